// What is drawn: the picture with boxes, and the emotions of a face over time.

import { sharedArea } from "./boxes.js";
import { mostProbable } from "./classifier.js";
import { classNamed, percent } from "./texts.js";

export const TIMELINE_SECONDS = 30;
const LEAST_SIDE = 640; // pixels: in fewer, the letters of a label would be coarse

/** Return a CSS colour of an emotion; `colours` are those of `models/rules.json`. */
export function colourOf(emotion, colours) {
  return emotion in colours ? `rgb(${colours[emotion].join(" ")})` : "#fff";
}

/** Return the number of a face: that of its track, or its place in the picture. */
export function numberOf(face, index) {
  return face.track ?? index + 1;
}

/** Return what is written at a face: a word and a share for each task. */
export function labelsOf(face) {
  return Object.values(face.scores)
    .map((scores) => [scores, mostProbable(scores)])
    .filter(([, name]) => name !== null)
    .map(([scores, name]) => `${classNamed(name)} ${percent(scores[name])}`);
}

/** Draw a picture (anything that a canvas draws), enlarged if it is small, and its faces. */
export function drawFaces(canvas, picture, faces, colours) {
  const scale = Math.max(LEAST_SIDE / Math.max(picture.width, picture.height), 1);
  const [width, height] = [picture.width, picture.height].map((side) => Math.round(scale * side));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0, width, height);
  const longer = Math.max(width, height);
  const letters = Math.min(45 + faces.length / 2, 70); // along the longer side: smaller in crowds
  const font = Math.max(Math.min(longer / letters, width / 9, height / 4), 11);
  context.font = `600 ${font}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const boxes = faces.map(({ box }) => {
    return Object.fromEntries(Object.entries(box).map(([name, pixels]) => [name, scale * pixels]));
  });
  const inks = faces.map((face) => colourOf(mostProbable(face.scores.emotion), colours));
  boxes.forEach((box, index) => {
    frame(context, box, "#000", longer / 110);
    frame(context, box, inks[index], longer / 220);
  });
  const drawn = [];
  boxes.forEach((box, index) => {
    const lines = labelsOf(faces[index]);
    if (!lines.length) return;
    if (faces.length > 1) lines[0] = `${numberOf(faces[index], index)}: ${lines[0]}`;
    const wide = Math.max(...lines.map((line) => context.measureText(line).width)) + font;
    const size = { width: wide, height: lines.length * font * 1.3 };
    const place = placeOf(size, box, boxes, drawn, canvas);
    drawn.push(place);
    context.fillStyle = inks[index];
    context.fillRect(place.x, place.y, size.width, size.height);
    context.fillStyle = inkOn(inks[index]);
    lines.forEach((line, row) => {
      context.fillText(line, place.x + font / 2, place.y + font * 1.3 * (row + 0.5));
    });
  });
}

/** Return where a label covers least: above its box, below, beside or inside, as drawing/faces.py. */
function placeOf({ width, height }, box, boxes, drawn, canvas) {
  const [right, bottom] = [box.x + box.width, box.y + box.height];
  const flush = (...rows) => rows.flatMap((y) => [[box.x, y], [right - width, y]]);
  const beside = [[right, box.y], [box.x - width, box.y]];
  const corners = [...flush(box.y - height, bottom), ...beside, ...flush(bottom - height, box.y)];
  const places = corners.map(([x, y]) => {
    const inside = [Math.min(x, canvas.width - width), Math.min(y, canvas.height - height)];
    return { x: Math.max(inside[0], 0), y: Math.max(inside[1], 0), width, height };
  });
  const covered = (place, others) => others.reduce((sum, one) => sum + sharedArea(place, one), 0);
  const costs = places.map((place) => {
    return 2 * covered(place, boxes) - sharedArea(place, box) + 8 * covered(place, drawn);
  });
  return places[costs.indexOf(Math.min(...costs))];
}

function frame(context, { x, y, width, height }, colour, thickness) {
  context.strokeStyle = colour;
  context.lineWidth = thickness;
  context.strokeRect(x, y, width, height);
}

function inkOn(colour) {
  const [red, green, blue] = (colour.match(/\d+/g) ?? [255, 255, 255]).map(Number);
  return 0.299 * red + 0.587 * green + 0.114 * blue > 128 ? "#000" : "#fff";
}

/**
 * Draw the emotions of one face.
 *
 * @param history rows {seconds, scores} in the order of time
 * @param now seconds at the right border
 */
export function drawTimeline(canvas, history, now, colours) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const context = canvas.getContext("2d");
  context.lineWidth = 2 * ratio;
  context.lineJoin = "round";
  const place = (row, name) => [
    canvas.width * (1 - (now - row.seconds) / TIMELINE_SECONDS),
    (canvas.height - 4 * ratio) * (1 - row.scores[name]) + 2 * ratio,
  ];
  // All of them: who changes the model may change the classes.
  for (const name of new Set(history.flatMap((row) => Object.keys(row.scores)))) {
    context.strokeStyle = colourOf(name, colours);
    context.beginPath();
    let before = -Infinity;
    for (const row of history.filter(({ scores }) => name in scores)) {
      if (row.seconds - before > 1) context.moveTo(...place(row, name));
      else context.lineTo(...place(row, name));
      before = row.seconds;
    }
    context.stroke();
  }
}
