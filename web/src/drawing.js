// What is drawn: the picture with boxes, and the emotions of a face over time.

import { mostProbable } from "./classifier.js";
import { classNamed, percent } from "./texts.js";

export const TIMELINE_SECONDS = 30;

/** Return a CSS colour of an emotion; `colours` are those of `models/rules.json`. */
export function colourOf(emotion, colours) {
  return emotion in colours ? `rgb(${colours[emotion].join(" ")})` : "#fff";
}

/** Return what is written at a face: a word and a share for each task. */
export function labelsOf(face) {
  return Object.values(face.scores)
    .map((scores) => [scores, mostProbable(scores)])
    .filter(([, name]) => name !== null)
    .map(([scores, name]) => `${classNamed(name)} ${percent(scores[name])}`);
}

/** Draw a picture (anything that a canvas draws) and its faces. */
export function drawFaces(canvas, picture, faces, colours) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const longer = Math.max(canvas.width, canvas.height);
  const font = Math.max(longer / 45, 11);
  context.font = `600 ${font}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const face of faces) {
    const { x, y, height } = face.box;
    const colour = colourOf(mostProbable(face.scores.emotion), colours);
    frame(context, face.box, "#000", longer / 110);
    frame(context, face.box, colour, longer / 220);
    const lines = labelsOf(face);
    const wide = Math.max(...lines.map((line) => context.measureText(line).width), 0) + font;
    const tall = lines.length * font * 1.3;
    const left = Math.max(Math.min(x, canvas.width - wide), 0);
    const top = y >= tall ? y - tall : Math.min(y + height, canvas.height - tall);
    context.fillStyle = colour;
    if (lines.length) context.fillRect(left, top, wide, tall);
    context.fillStyle = inkOn(colour);
    lines.forEach((line, row) => {
      context.fillText(line, left + font / 2, top + font * 1.3 * (row + 0.5));
    });
  }
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
