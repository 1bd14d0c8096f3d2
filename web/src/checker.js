// A second look at what may be a face: is it one, and by how many degrees is it turned (checker.py)?

import { clip, round } from "./boxes.js";

const NO_FACE = "none";

export class Checker {
  /**
   * @param classifier of the task "roll"
   * @param rules of `models/rules.json`, its part `checker`
   */
  constructor(classifier, rules) {
    this.classifier = classifier;
    this.rules = rules;
  }

  /** Return the probability of a face in a box of a picture, and its roll in degrees clockwise. */
  async check(picture, box) {
    const { [NO_FACE]: none, ...rolls } = await this.classifier.classify(picture, box);
    let [across, down] = [0, 0];
    for (const [name, probability] of Object.entries(rolls)) {
      const angle = (Number(name) * Math.PI) / 180;
      across += probability * Math.cos(angle);
      down += probability * Math.sin(angle);
    }
    return { share: 1 - none, roll: (Math.atan2(down, across) * 180) / Math.PI };
  }

  /** Return {box, share, roll} of the frame that shows a face best; others only if it is likely. */
  async bestFrame(picture, box, isLikely) {
    const first = { box, ...(await this.check(picture, box)) };
    const { frames, least_share: leastShare, least_share_of_frame: leastOfFrame } = this.rules;
    if (!isLikely || first.share >= leastShare) return first;
    let best = { share: 0 };
    for (const scale of frames) {
      const frame = clip(scaled(box, scale), picture.height, picture.width);
      const look = { box: frame, ...(await this.check(picture, frame)) };
      if (look.share > best.share) best = look;
    }
    return best.share >= leastOfFrame ? best : first;
  }

  /** Return by how many degrees to turn a face back; 0 leaves it as it is. */
  async turn(picture, box) {
    const { share, roll } = await this.check(picture, box);
    const { least_turn: leastTurn, least_share: leastShare } = this.rules;
    return Math.abs(roll) >= leastTurn && share >= leastShare ? roll : 0;
  }
}

/** Return a box of another size with the same middle. */
function scaled(box, scale) {
  const width = round(box.width * scale);
  const height = round(box.height * scale);
  const x = box.x + Math.floor((box.width - width) / 2);
  const y = box.y + Math.floor((box.height - height) / 2);
  return { x, y, width: Math.max(width, 1), height: Math.max(height, 1) };
}
