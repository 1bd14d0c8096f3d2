// Following faces from frame to frame and smoothing what is said about each: tracking.py.

import { clip, compare, intersectionOverUnion, round } from "./boxes.js";

export class Tracker {
  /** @param rules of `models/rules.json`, its part `tracking` */
  constructor(rules) {
    this.rules = rules;
    this.tracks = [];
    this.given = 0;
  }

  /**
   * Take the faces {box, scores} of the next frame; return them with their `track`, smoothed.
   *
   * @param seconds when the frame was taken, later than the one before
   */
  update(faces, seconds) {
    this.tracks = this.tracks.filter((track) => {
      return track.inLastFrame || seconds - track.seenAt <= this.rules.lost_after_seconds;
    });
    const owners = this.findOwners(faces.map((face) => face.box), seconds);
    const owned = new Set(owners.values());
    const missed = this.tracks.filter((_, number) => !owned.has(number));
    const seen = new Map();
    for (const [index, owner] of owners) {
      seen.set(index, this.follow(this.tracks[owner], faces[index], seconds));
    }
    const fresh = faces.map((_, index) => index).filter((index) => !owners.has(index));
    for (const index of fresh.sort((a, b) => compare(faces[a].box, faces[b].box))) {
      this.given += 1;
      const face = { ...faces[index], track: this.given };
      seen.set(index, { face, seenAt: seconds, speed: [0, 0], inLastFrame: true });
    }
    this.tracks = [...missed.map((track) => ({ ...track, inLastFrame: false })), ...seen.values()];
    this.tracks.sort((a, b) => a.face.track - b.face.track);
    return faces.map((_, index) => seen.get(index).face);
  }

  /**
   * Return where the faces of the last frame should be at a later time, clipped to the picture.
   *
   * For frames that are not searched; Python follows the picture itself there.
   */
  expectedBoxes(seconds, height, width) {
    return this.tracks
      .filter((track) => track.inLastFrame)
      .map((track) => clip(this.expectedBox(track, seconds), height, width))
      .filter((box) => box !== null);
  }

  /** Return index of a box -> index of its track, at the expected place or that of the last sight. */
  findOwners(boxes, seconds) {
    const expected = this.tracks.map((track) => this.expectedBox(track, seconds));
    const owners = this.match(boxes, expected);
    const taken = new Set(owners.values());
    const tracks = this.tracks.map((_, index) => index).filter((index) => !taken.has(index));
    const free = boxes.map((_, index) => index).filter((index) => !owners.has(index));
    const more = this.match(
      free.map((index) => boxes[index]),
      tracks.map((index) => this.tracks[index].face.box),
    );
    for (const [box, track] of more) owners.set(free[box], tracks[track]);
    return owners;
  }

  expectedBox({ face, seenAt, speed }, seconds) {
    const elapsed = Math.min(seconds - seenAt, this.rules.speed_seconds);
    const { box } = face;
    const x = round(box.x + elapsed * speed[0]);
    return { ...box, x, y: round(box.y + elapsed * speed[1]) };
  }

  match(boxes, others) {
    const pairs = [];
    others.forEach((other, second) => {
      boxes.forEach((box, first) => {
        pairs.push({ overlap: intersectionOverUnion(box, other), first, second, box });
      });
    });
    pairs.sort((a, b) => b.overlap - a.overlap || a.second - b.second || compare(a.box, b.box));
    const matches = new Map();
    for (const { overlap, first, second } of pairs) {
      const isFree = !matches.has(first) && ![...matches.values()].includes(second);
      if (isFree && overlap >= this.rules.smallest_overlap) matches.set(first, second);
    }
    return matches;
  }

  follow(track, face, seconds) {
    const elapsed = seconds - track.seenAt;
    const { smoothing_seconds: smoothing, speed_seconds: span } = this.rules;
    const weight = smoothing > 0 ? 1 - Math.exp(-elapsed / smoothing) : 1;
    const scores = Object.fromEntries(
      Object.entries(face.scores).map(([task, now]) => {
        return [task, mixScores(track.face.scores[task] ?? {}, now, weight)];
      }),
    );
    const share = 1 - Math.exp(-elapsed / span);
    const here = centre(track.face.box);
    const there = centre(face.box);
    const speed = track.speed.map((old, axis) => {
      return (1 - share) * old + (share * (there[axis] - here[axis])) / elapsed;
    });
    const followed = { box: face.box, scores, track: track.face.track };
    return { face: followed, seenAt: seconds, speed, inLastFrame: true };
  }
}

function mixScores(old, now, weight) {
  const names = Object.keys(now);
  const isSame = names.length === Object.keys(old).length && names.every((name) => name in old);
  if (!isSame) return now;
  return Object.fromEntries(
    names.map((name) => [name, (1 - weight) * old[name] + weight * now[name]]),
  );
}

function centre({ x, y, width, height }) {
  return [x + width / 2, y + height / 2];
}
