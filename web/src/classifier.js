// A classifier with its card: crop, prepare, probabilities by name (classifier.py, preprocessor.py).

import { cropBox } from "./boxes.js";
import { crop, resize, toGrey } from "./pixels.js";

export class Classifier {
  constructor(card, model) {
    this.card = card;
    this.model = model;
  }

  /** Return class name -> probability for the face in a box of an RGB image. */
  async classify(image, box) {
    const face = crop(image, cropBox(box, this.card.crop_margin, image.height, image.width));
    const { image_size: size, channels } = this.card.preprocessor;
    const [outputs] = await this.model.run(this.prepare(face), [1, ...size, channels]);
    return Object.fromEntries(this.card.class_names.map((name, index) => [name, outputs[index]]));
  }

  prepare(face) {
    const { image_size: size, channels, value_range: range, mean } = this.card.preprocessor;
    const small = resize(face, ...size);
    const { data } = channels === 1 ? toGrey(small) : small;
    const [low, high] = range;
    const scale = (high - low) / 255;
    return Float32Array.from(data, (value, index) => {
      return mean ? (value - mean[index % channels]) * scale : value * scale + low;
    });
  }
}

/** Return the most probable class, null where there are none. */
export function mostProbable(scores) {
  const names = Object.keys(scores);
  if (!names.length) return null;
  return names.reduce((best, name) => (scores[name] > scores[best] ? name : best));
}
