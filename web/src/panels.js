// What is told beside the picture: a panel for each face, a timeline for each person, the card.

import { mostProbable } from "./classifier.js";
import { colourOf, drawTimeline, labelsOf, numberOf, TIMELINE_SECONDS } from "./drawing.js";
import { classNamed, percent, say } from "./texts.js";

/** Make an element with attributes and children; text is never read as markup. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function tint(element, colour) {
  element.style.setProperty("--colour", colour);
  return element;
}

/** Show a panel for each face: its labels, and a bar for each emotion. */
export function showFaces(place, faces, colours) {
  const panels = faces.map((face, index) => {
    const bars = Object.entries(face.scores.emotion).flatMap(([name, share]) => {
      const fill = tint(make("span"), colourOf(name, colours));
      fill.style.width = `${100 * share}%`;
      return [
        make("dt", {}, classNamed(name)),
        make("dd", { class: "bar", "aria-hidden": "true" }, fill),
        make("dd", { class: "share" }, percent(share)),
      ];
    });
    const title = `${say("face", numberOf(face, index))}: ${labelsOf(face).join(", ")}`;
    const panel = make("article", { class: "face" }, make("h2", {}, title), make("dl", {}, ...bars));
    return tint(panel, colourOf(mostProbable(face.scores.emotion), colours));
  });
  place.replaceChildren(...panels);
}

/** The timelines of the faces before the camera, by track. */
export class Timelines {
  constructor(place, colours) {
    this.place = place;
    this.colours = colours;
    this.clear();
  }

  clear() {
    this.histories = new Map();
    this.place.replaceChildren();
    this.place.hidden = true;
  }

  /** Append the faces of a frame. */
  add(faces, seconds) {
    for (const { track, scores } of faces) {
      if (!this.histories.has(track)) this.histories.set(track, []);
      this.histories.get(track).push({ seconds, scores: scores.emotion });
    }
    for (const [track, rows] of this.histories) {
      while (rows.length && seconds - rows[0].seconds > TIMELINE_SECONDS) rows.shift();
      if (!rows.length) this.histories.delete(track);
    }
  }

  /** Draw all of them; `now` is at their right border. */
  draw(now) {
    this.place.hidden = this.histories.size === 0;
    for (const element of [...this.place.children]) {
      if (!this.histories.has(Number(element.dataset.track))) element.remove();
    }
    for (const [track, rows] of this.histories) {
      const panel = this.place.querySelector(`[data-track="${track}"]`) ?? this.open(track);
      const last = rows.at(-1).scores;
      const label = classNamed(mostProbable(last) ?? "");
      const canvas = panel.querySelector("canvas");
      canvas.setAttribute("aria-label", say("timelineOf", track, label));
      panel.querySelector("h2").textContent = say("face", track);
      const legend = Object.keys(last).map((name) => {
        return tint(make("li", {}, classNamed(name)), colourOf(name, this.colours));
      });
      panel.querySelector("ul").replaceChildren(...legend);
      drawTimeline(canvas, rows, now, this.colours);
    }
  }

  open(track) {
    const parts = [make("h2"), make("canvas", { role: "img" }), make("ul", { class: "legend" })];
    const panel = make("article", { class: "timeline", "data-track": track }, ...parts);
    this.place.append(panel);
    return panel;
  }
}

/** Show a card in plain words. */
export function showCard(place, card) {
  const rows = [
    ["cardName", card.name],
    ["cardParameters", card.parameters.toLocaleString(document.documentElement.lang)],
    ["cardClasses", card.class_names.map(classNamed).join(", ")],
    ["cardData", `${card.data.name} (${card.data.licence})`],
    ["cardAccuracy", accuracyOf(card)],
    ["cardWeaknesses", card.known_weaknesses],
  ];
  const list = rows.flatMap(([key, text]) => {
    const isEnglish = ["cardData", "cardWeaknesses"].includes(key);
    return [make("dt", {}, say(key)), make("dd", isEnglish ? { lang: "en" } : {}, text)];
  });
  place.replaceChildren(make("dl", {}, ...list));
}

/** Return the accuracy on the split that no choice was made by: the last without mirror images. */
function accuracyOf(card) {
  const splits = Object.keys(card.metrics).filter((name) => !name.includes(" "));
  const split = splits.at(-1);
  const { accuracy, accuracy_interval: interval, n } = card.metrics[split];
  const [share, low, high] = [accuracy, ...interval].map((each) => percent(each, 1));
  return say("accuracyOn", share, low, high, split, n);
}

export function showLimits(place) {
  place.replaceChildren(...say("limitTexts").map((text) => make("li", {}, text)));
}
