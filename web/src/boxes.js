// Boxes {x, y, width, height} in whole pixels, as in the package's boxes.py.

/** Round as Python does: halves go to the even neighbour. */
export function round(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** Return the part of a box inside an image, null if there is none. */
export function clip(box, height, width) {
  const left = Math.max(box.x, 0);
  const top = Math.max(box.y, 0);
  const right = Math.min(box.x + box.width, width);
  const bottom = Math.min(box.y + box.height, height);
  if (right <= left || bottom <= top) return null;
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** Return a box grown by the margin of a card, not clipped. */
export function expand(box, margin) {
  const [x, xEnd] = grow(box.x, box.width, margin);
  const [y, yEnd] = grow(box.y, box.height, margin);
  return { x, y, width: xEnd - x, height: yEnd - y };
}

function grow(start, length, margin) {
  const middle = start + Math.floor((length - 1) / 2);
  return [
    Math.min(round(start - margin * length), middle),
    Math.max(round(start + length + margin * length), middle + 1),
  ];
}

/** Return the area that two boxes share. */
export function sharedArea(first, second) {
  const width =
    Math.min(first.x + first.width, second.x + second.width) - Math.max(first.x, second.x);
  const height =
    Math.min(first.y + first.height, second.y + second.height) - Math.max(first.y, second.y);
  return Math.max(width, 0) * Math.max(height, 0);
}

/** Return the shared area of two boxes over the area of both. */
export function intersectionOverUnion(first, second) {
  const shared = sharedArea(first, second);
  const union = first.width * first.height + second.width * second.height - shared;
  return union ? shared / union : 0;
}

/** Order boxes from left to right, then from top to bottom. */
export function compare(a, b) {
  return a.x - b.x || a.y - b.y || a.width - b.width || a.height - b.height;
}
