// Pixels as the package treats them (images.py, which is OpenCV): {data, width, height, channels}
// with rows of Uint8 values.

/** Return the RGB pixels of what a canvas gives. */
export function toRgb(imageData) {
  const { data, width, height } = imageData;
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + 1];
    rgb[to + 2] = data[from + 2];
  }
  return { data: rgb, width, height, channels: 3 };
}

/** Return RGB as grey, with OpenCV's weights in fixed point. */
export function toGrey(image) {
  const { data, width, height } = image;
  const grey = new Uint8Array(width * height);
  for (let from = 0, to = 0; to < grey.length; from += 3, to += 1) {
    grey[to] = (data[from] * 9798 + data[from + 1] * 19235 + data[from + 2] * 3735 + 16384) >> 15;
  }
  return { data: grey, width, height, channels: 1 };
}

/** Cut out a box that lies inside the image. */
export function crop(image, box) {
  const { data, width, channels } = image;
  const cut = new Uint8Array(box.width * box.height * channels);
  for (let row = 0; row < box.height; row += 1) {
    const start = ((box.y + row) * width + box.x) * channels;
    cut.set(data.subarray(start, start + box.width * channels), row * box.width * channels);
  }
  return { data: cut, width: box.width, height: box.height, channels };
}

/** Resize: averaging over the area where both sides shrink, else bilinear. */
export function resize(image, height, width) {
  if (image.height === height && image.width === width) return image;
  const shrinks = height <= image.height && width <= image.width;
  const data = (shrinks ? average : interpolate)(image, height, width);
  return { data, width, height, channels: image.channels };
}

function average(image, height, width) {
  const { data, channels } = image;
  const across = areaWeights(image.width, width);
  const result = new Uint8ClampedArray(width * height * channels); // it rounds
  const mixed = new Float32Array(image.width * channels);
  areaWeights(image.height, height).forEach(({ first, weights }, row) => {
    mixed.fill(0);
    weights.forEach((weight, offset) => {
      const start = (first + offset) * mixed.length;
      for (let place = 0; place < mixed.length; place += 1) {
        mixed[place] += weight * data[start + place];
      }
    });
    let target = row * width * channels;
    for (const { first: column, weights: shares } of across) {
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = 0;
        for (let offset = 0; offset < shares.length; offset += 1) {
          sum += shares[offset] * mixed[(column + offset) * channels + channel];
        }
        result[target] = sum;
        target += 1;
      }
    }
  });
  return result;
}

/** For each new pixel: where the old ones begin that it is made of, and their weights. */
function areaWeights(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, index) => {
    const begin = index * scale;
    const end = Math.min(begin + scale, from);
    const first = Math.floor(begin + 1e-3);
    const last = Math.min(Math.ceil(end - 1e-3), from);
    const weights = [];
    for (let place = first; place < last; place += 1) {
      weights.push((Math.min(place + 1, end) - Math.max(place, begin)) / (end - begin));
    }
    return { first, weights };
  });
}

/** OpenCV's way, in whole numbers: weights of 11 bits, rounded as there. */
function interpolate(image, height, width) {
  const { data, channels } = image;
  const across = linearWeights(image.width, width);
  const result = new Uint8Array(width * height * channels);
  let target = 0;
  for (const down of linearWeights(image.height, height)) {
    const upper = down.place * image.width;
    const lower = down.next * image.width;
    for (const { place, next, weights } of across) {
      for (let channel = 0; channel < channels; channel += 1) {
        const mix = (row) =>
          data[(row + place) * channels + channel] * weights[0] +
          data[(row + next) * channels + channel] * weights[1];
        const above = (down.weights[0] * (mix(upper) >> 4)) >> 16;
        const below = (down.weights[1] * (mix(lower) >> 4)) >> 16;
        result[target] = (above + below + 2) >> 2;
        target += 1;
      }
    }
  }
  return result;
}

function linearWeights(from, to) {
  return Array.from({ length: to }, (_, index) => {
    const exact = ((index + 0.5) * from) / to - 0.5;
    const place = Math.min(Math.max(Math.floor(exact), 0), from - 1);
    const share = Math.min(Math.max(exact - place, 0), 1);
    const weights = [Math.round((1 - share) * 2048), Math.round(share * 2048)];
    return { place, next: Math.min(place + 1, from - 1), weights };
  });
}
