// A classifier with its card: crop, prepare, probabilities by name (classifier.py, preprocessor.py).

import { clip, expand } from "./boxes.js";
import { crop, cropTurned, resize, scaleInto, toGrey } from "./pixels.js";

export class Classifier {
  constructor(card, model) {
    this.card = card;
    this.model = model;
  }

  /** Return class name -> probability for the face in a box, turned by some degrees clockwise. */
  async classify(picture, box, angle = 0) {
    const face = cutFace(picture, box, this.card.crop_margin, angle);
    const { image_size: size, channels } = this.card.preprocessor;
    const [outputs] = await this.model.run(this.prepare(face), [1, ...size, channels]);
    const probabilities = withTemperature(outputs, this.card.temperature ?? 1);
    return Object.fromEntries(
      this.card.class_names.map((name, index) => [name, probabilities[index]]),
    );
  }

  prepare(face) {
    const { image_size: size, channels, value_range: range, mean } = this.card.preprocessor;
    const small = resize(face, ...size);
    const pixels = channels === 1 ? toGrey(small) : small;
    const inputs = new Float32Array(pixels.data.length);
    const row = { ...pixels, width: inputs.length, height: 1 };
    scaleInto(inputs, inputs.length, row, range);
    if (!mean) return inputs;
    const shift = mean.map((value) => (value / 255) * (range[1] - range[0]) + range[0]);
    return inputs.map((value, index) => value - shift[index % channels]);
  }
}

/** Cut a face out of a picture, turned upright. */
function cutFace(picture, box, margin, angle) {
  const { height, width } = picture;
  const inside = clip(box, height, width);
  if (!angle) return crop(picture, clip(expand(inside, margin), height, width));
  const middle = [inside.x + inside.width / 2, inside.y + inside.height / 2];
  const isLying = Math.abs(angle) > 45 && Math.abs(angle) < 135;
  return cropTurned(picture, expand(isLying ? lying(inside) : inside, margin), angle, middle);
}

/** Return a box whose width and height have changed places about its middle. */
function lying({ x, y, width, height }) {
  const across = Math.floor((width - height) / 2);
  return { x: x + across, y: y - across, width: height, height: width };
}

/** Return probabilities as if the logits behind them were divided by a temperature. */
function withTemperature(probabilities, temperature) {
  const highest = Math.max(...probabilities);
  const powers = Array.from(probabilities, (each) => (each / highest) ** (1 / temperature));
  const sum = powers.reduce((total, each) => total + each, 0);
  return powers.map((each) => each / sum);
}

/** Return the most probable class, null where there are none. */
export function mostProbable(scores) {
  const names = Object.keys(scores);
  if (!names.length) return null;
  return names.reduce((best, name) => (scores[name] > scores[best] ? name : best));
}
