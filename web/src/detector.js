// The detector of the package, on LiteRT.js: network_detector.py and cells.py in the browser.

import { clip, compare, intersectionOverUnion, round } from "./boxes.js";
import { resize, scaleInto, toGrey } from "./pixels.js";

const COLUMNS = 14; // of a cell: a score logit, middle x and y, logarithm of the side, landmarks
// Of different sizes in memory. A film takes three, and more as faces come closer.
const MOST_MODELS = 8;

export class Detector {
  /**
   * @param card of the detector
   * @param rules of `models/rules.json`, its part `detector`
   * @param content promise of the bytes of its model file
   * @param compile a function to a model from the bytes of its file, and from whether it is for
   *   all frames of a film
   * @param look a function to {box, share}, the frame that shows a face best and its probability,
   *   from a grey picture, a box, and whether other frames are tried too
   */
  constructor(card, rules, content, compile, look) {
    this.card = card;
    this.rules = rules;
    this.content = content;
    this.compile = compile;
    this.secondLook = look;
    this.models = new Map();
  }

  /**
   * Return the boxes of the faces in a picture, from left to right.
   *
   * @param workingSize longer side at which the frames of a film are searched; null for pictures
   */
  async find(picture, workingSize = null) {
    const grey = toGrey(picture);
    let found = await this.checked(grey, await this.seen(grey, workingSize));
    if (found.length === 0) {
      const lying = await this.checked(grey, await this.seenLying(grey));
      found = lying.filter(({ score }) => score >= this.rules.lying_threshold);
    }
    return found.map(({ box }) => box).sort(compare);
  }

  /** Return what the network takes for faces. */
  async seen(grey, workingSize) {
    const { height, width } = grey;
    const side = this.rules.overview;
    const overview = side / Math.max(height, width);
    const lowest = this.rules.close_threshold; // close faces are seen in the overview
    const faces = await this.look(grey, overview, { least: side, lowest });
    const scale = this.scaleFor(height, width, workingSize, this.most(height, width, faces));
    if (scale <= overview) return faces;
    const isFilm = workingSize !== null;
    return this.keepBest([...faces, ...(await this.look(grey, scale, { isFilm }))]);
  }

  /** Return what the network takes for faces with the picture turned to either side. */
  async seenLying(grey) {
    const scale = this.rules.turned_side / Math.max(grey.height, grey.width);
    const left = await this.look(grey, scale, { quarter: 1 });
    const right = await this.look(grey, scale, { quarter: -1 });
    return this.keepBest([...left, ...right]);
  }

  /** Return the faces of which both networks are sure: {box, score}. */
  async checked(grey, faces) {
    const { height, width } = grey;
    const found = [];
    for (const { score, x, y, side } of faces) {
      const square = clip(boxAround(x - side / 2, y - side / 2, side), height, width);
      if (!square) continue;
      if (logOdds(score) < this.leastLogit(this.lowest(square, grey))) continue;
      const isLikely = score >= this.rules.likely;
      const { box, share } = await this.secondLook(grey, square, isLikely);
      const joined = this.joined(score, share);
      if (joined >= this.lowest(box, grey)) found.push({ box, score: joined });
    }
    return this.bestOfEach(found);
  }

  /** Return the lowest score of a face with this box: less if it fills half the picture. */
  lowest(box, grey) {
    const { close_up: share, close_threshold: close, score_threshold: usual } = this.rules;
    const half = share * Math.max(grey.height, grey.width);
    return Math.max(box.width, box.height) >= half ? close : usual;
  }

  /** Return the lowest logit of the network that the surest checker raises to a score. */
  leastLogit(score) {
    return logOdds(this.joined(score, 1 - this.rules.surest));
  }

  /** Return the score of a face that the checker takes for one with this probability. */
  joined(score, share) {
    const { surest, checker_power: power } = this.rules;
    const within = Math.min(Math.max(share, 1 - surest), surest);
    return 1 / (1 + Math.exp(-logOdds(score) - power * logOdds(within)));
  }

  /** Return the faces without those that frame a better one: their middles are close. */
  bestOfEach(found) {
    const best = [];
    const same = this.rules.same_middle;
    for (const face of found.sort((a, b) => b.score - a.score)) {
      if (!best.some(({ box }) => framesTheSame(face.box, box, same))) best.push(face);
    }
    return best;
  }

  /** Return how large a copy is worth it where the overview shows these faces. */
  most(height, width, seen) {
    const { small_picture: pixels, most_enlarged: most, largest_pixels: enough } = this.rules;
    const halves = Math.floor(2 * Math.sqrt(pixels / (height * width)));
    const enlarged = Math.min(Math.max(halves / 2, 1), most);
    const sure = seen.filter(({ score }) => score >= this.rules.likely);
    if (!sure.length) return enlarged;
    const largest = Math.max(...sure.map(({ side }) => side));
    const overview = this.rules.overview / Math.max(height, width);
    const needed = enough / (largest * overview);
    return Math.min((overview * Math.ceil(2 * needed)) / 2, enlarged);
  }

  scaleFor(height, width, workingSize, most) {
    const { face_pixels: pixels, smallest_face: smallest } = this.rules;
    if (workingSize !== null) return Math.min(workingSize / Math.max(height, width), most);
    return Math.min(pixels / (smallest * Math.min(height, width)), most);
  }

  /**
   * Return the faces in a copy of a picture, in pixels of the picture.
   *
   * @param isFilm more frames of this size will follow
   * @param least the copy is filled up to sides of this length: pictures of all forms have one size
   * @param quarter the copy is turned to the left (1) or right (-1)
   * @param lowest score of a face
   */
  async look(
    grey,
    scale,
    { isFilm = false, least = 0, quarter = 0, lowest = this.rules.score_threshold } = {},
  ) {
    const height = Math.max(round(grey.height * scale), 1);
    const width = Math.max(round(grey.width * scale), 1);
    const copy = turned(resize(grey, height, width, true), quarter);
    const last = this.card.strides.at(-1);
    const size = [copy.height, copy.width].map((side) => {
      return Math.max(Math.ceil(side / last) * last, least);
    });
    const model = await this.modelFor(size, isFilm);
    const maps = await model.run(this.prepare(copy, size), [1, ...size, 1]);
    maps.sort((a, b) => b.length - a.length); // finest first
    const across = grey.width / width;
    const down = grey.height / height;
    return this.decode(maps, size, this.leastLogit(lowest)).map((face) => {
      const [x, y] = turnedBack(face, height, width, quarter);
      const side = face.side * Math.sqrt(across * down);
      return { score: face.score, x: x * across, y: y * down, side };
    });
  }

  /** Return a promise of the model for a size. */
  modelFor(size, isFilm) {
    const key = `${size} ${isFilm}`;
    const model = this.models.get(key) ?? this.makeModel(size, isFilm);
    this.models.delete(key); // and put at the end: the first is what was not used for longest
    this.models.set(key, model);
    model.catch(() => this.models.delete(key));
    if (this.models.size > MOST_MODELS) {
      const [[oldest, unused]] = this.models;
      this.models.delete(oldest);
      unused.then((each) => each.delete(), () => null);
    }
    return model;
  }

  /** Return the model for a size, with the size written into its file. */
  async makeModel([height, width], isFilm) {
    const content = (await this.content).slice();
    const numbers = new DataView(content.buffer);
    for (const [place, stride] of this.rules.places_of_sizes) {
      numbers.setInt32(place, height / stride, true);
      numbers.setInt32(place + 4, width / stride, true);
    }
    return this.compile(content, isFilm);
  }

  prepare(copy, [height, width]) {
    const inputs = new Float32Array(height * width).fill(this.rules.value_range[0]);
    scaleInto(inputs, width, copy, this.rules.value_range);
    return inputs;
  }

  decode(maps, [, width], leastLogit) {
    const faces = [];
    this.card.strides.forEach((stride, number) => {
      const map = maps[number];
      const columns = width / stride;
      for (let cell = 0; cell < map.length / COLUMNS; cell += 1) {
        const [sure, x, y, side] = map.subarray(cell * COLUMNS);
        if (sure < leastLogit) continue;
        faces.push({
          score: 1 / (1 + Math.exp(-sure)),
          x: (x + (cell % columns) + 0.5) * stride,
          y: (y + Math.floor(cell / columns) + 0.5) * stride,
          side: Math.exp(Math.min(side, 8)) * stride,
        });
      }
    });
    return this.keepBest(faces);
  }

  /** Of squares that overlap keep the best, and none that is a part of a better one. */
  keepBest(faces) {
    const { most_overlap: most, part_of_face: part, most_candidates: count } = this.rules;
    const best = [];
    for (const face of [...faces].sort((a, b) => b.score - a.score).slice(0, count)) {
      const square = squareOf(face);
      if (best.every((other) => intersectionOverUnion(square, squareOf(other)) <= most)) {
        best.push(face);
      }
    }
    return best.filter((face, rank) => {
      return best.slice(0, rank).every((better) => {
        const apart = Math.max(Math.abs(face.x - better.x), Math.abs(face.y - better.y));
        return apart + face.side / 2 >= part * better.side;
      });
    });
  }
}

function squareOf({ x, y, side }) {
  return { x: x - side / 2, y: y - side / 2, width: side, height: side };
}

function framesTheSame(box, other, share) {
  const across = Math.abs(2 * box.x + box.width - 2 * other.x - other.width);
  const down = Math.abs(2 * box.y + box.height - 2 * other.y - other.height);
  const side = Math.max(box.width, box.height, other.width, other.height);
  return Math.max(across, down) / 2 < share * side;
}

function logOdds(probability) {
  const within = Math.min(Math.max(probability, 1e-6), 1 - 1e-6);
  return Math.log(within / (1 - within));
}

function boxAround(left, top, side) {
  const x = round(left);
  const y = round(top);
  return { x, y, width: round(left + side) - x, height: round(top + side) - y };
}

/** Return a grey picture turned by a quarter, to the left (1) or right (-1), or not (0). */
function turned(picture, quarter) {
  if (quarter === 0) return picture;
  const { data, height, width } = picture;
  const result = new Uint8Array(data.length);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const [down, across] =
        quarter === 1 ? [width - 1 - column, row] : [column, height - 1 - row];
      result[down * height + across] = data[row * width + column];
    }
  }
  return { data: result, height: width, width: height, channels: 1 };
}

/** Return where a point of a turned picture lies in that of this height and width. */
function turnedBack({ x, y }, height, width, quarter) {
  if (quarter === 0) return [x, y];
  return quarter === 1 ? [width - y, x] : [y, height - x];
}
