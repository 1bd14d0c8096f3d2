// Pixels as the package treats them (images/arrays.py, which is OpenCV). A picture is what a canvas gives,
// ImageData in RGBA; what is made of it is {data, width, height, channels}, rows of Uint8 values.

const RGBA = 4;
// OpenCV's weights of red, green and blue in fixed point, 15 bits.
const [RED, GREEN, BLUE, HALF] = [9798, 19235, 3735, 1 << 14];

/** Return a picture, or what was cut out of one, as grey. */
export function toGrey({ data, width, height, channels = RGBA }) {
  if (channels === 1) return { data, width, height, channels };
  const grey = new Uint8Array(width * height);
  for (let from = 0, to = 0; to < grey.length; from += channels, to += 1) {
    grey[to] = (data[from] * RED + data[from + 1] * GREEN + data[from + 2] * BLUE + HALF) >> 15;
  }
  return { data: grey, width, height, channels: 1 };
}

/** Cut a box that lies inside a picture out of it, as RGB, or grey as the picture is. */
export function crop({ data, width, channels: stored = RGBA }, box) {
  const channels = Math.min(stored, 3);
  const cut = new Uint8Array(box.width * box.height * channels);
  let to = 0;
  for (let row = box.y; row < box.y + box.height; row += 1) {
    let from = (row * width + box.x) * stored;
    for (let column = 0; column < box.width; column += 1, from += stored) {
      for (let channel = 0; channel < channels; channel += 1, to += 1) {
        cut[to] = data[from + channel];
      }
    }
  }
  return { data: cut, width: box.width, height: box.height, channels };
}

/** Return what a box shows once it is turned about a point by some degrees, upright, as RGB. */
export function cropTurned(picture, box, angle, [pivotX, pivotY]) {
  const { data, width, height } = picture;
  const [cosine, sine] = [Math.cos, Math.sin].map((of) => of((angle * Math.PI) / 180));
  const cut = new Uint8ClampedArray(box.width * box.height * 3); // it rounds
  let to = 0;
  for (let row = 0; row < box.height; row += 1) {
    for (let column = 0; column < box.width; column += 1) {
      const across = box.x + column + 0.5 - pivotX;
      const down = box.y + row + 0.5 - pivotY;
      const x = neighbours(pivotX + cosine * across - sine * down - 0.5, width);
      const y = neighbours(pivotY + sine * across + cosine * down - 0.5, height);
      for (let channel = 0; channel < 3; channel += 1, to += 1) {
        const mix = (line) => {
          const at = (place) => data[(line * width + place) * RGBA + channel];
          return at(x.first) * (1 - x.share) + at(x.next) * x.share;
        };
        cut[to] = mix(y.first) * (1 - y.share) + mix(y.next) * y.share;
      }
    }
  }
  return { data: cut, width: box.width, height: box.height, channels: 3 };
}

/** Return the pixels on either side of a place, at the border the last one, and the second's share. */
function neighbours(place, length) {
  const below = Math.floor(place);
  const [first, next] = [below, below + 1].map((each) => Math.min(Math.max(each, 0), length - 1));
  return { first, next, share: place - below };
}

/** Write pixels as numbers in a range into rows of `width` numbers. */
export function scaleInto(target, width, pixels, [low, high]) {
  const scale = (high - low) / 255;
  let from = 0;
  for (let row = 0; row < pixels.height; row += 1) {
    const start = row * width;
    for (let to = start; to < start + pixels.width; to += 1, from += 1) {
      target[to] = pixels.data[from] * scale + low;
    }
  }
}

/** Resize: averaging over the area where both sides shrink, else bilinear, or bicubic if asked for. */
export function resize(image, height, width, isCubic = false) {
  if (image.height === height && image.width === width) return image;
  const shrinks = height <= image.height && width <= image.width;
  const grow = isCubic ? interpolateCubic : interpolate;
  const data = (shrinks ? average : grow)(image, height, width);
  return { data, width, height, channels: image.channels };
}

function average(image, height, width) {
  const { data, channels } = image;
  const across = areaWeights(image.width, width);
  const result = new Uint8ClampedArray(width * height * channels); // it rounds, a half to even
  const isHalved = image.width === 2 * width && image.height === 2 * height; // OpenCV: a half up
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
        result[target] = isHalved ? Math.floor(sum + 0.5) : sum;
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

/** The same for OpenCV's bicubic: each pixel is made of four by four, those at the border repeated. */
function interpolateCubic(image, height, width) {
  const { data, channels } = image;
  const across = cubicWeights(image.width, width);
  const result = new Uint8ClampedArray(width * height * channels);
  const mixed = new Int32Array(image.height * width * channels); // every row, made wider
  let to = 0;
  for (let row = 0; row < image.height; row += 1) {
    for (const { places, weights } of across) {
      for (let channel = 0; channel < channels; channel += 1, to += 1) {
        for (let tap = 0; tap < 4; tap += 1) {
          const from = (row * image.width + places[tap]) * channels + channel;
          mixed[to] += data[from] * weights[tap];
        }
      }
    }
  }
  const wide = width * channels;
  let target = 0;
  for (const { places, weights } of cubicWeights(image.height, height)) {
    for (let place = 0; place < wide; place += 1, target += 1) {
      let sum = 0;
      for (let tap = 0; tap < 4; tap += 1) sum += mixed[places[tap] * wide + place] * weights[tap];
      result[target] = Math.floor(sum / 2 ** 22 + 0.5);
    }
  }
  return result;
}

function cubicWeights(from, to) {
  const bend = -0.75; // as in OpenCV
  return Array.from({ length: to }, (_, index) => {
    const exact = ((index + 0.5) * from) / to - 0.5;
    const first = Math.floor(exact) - 1;
    const weights = [0, 1, 2, 3].map((tap) => {
      const x = Math.abs(exact - first - tap);
      const share =
        x <= 1
          ? ((bend + 2) * x - (bend + 3)) * x * x + 1
          : ((bend * x - 5 * bend) * x + 8 * bend) * x - 4 * bend;
      return Math.round(share * 2048);
    });
    const places = weights.map((_, tap) => Math.min(Math.max(first + tap, 0), from - 1));
    return { places, weights };
  });
}
