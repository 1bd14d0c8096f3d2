// The page: what a user does, and what comes of it.

import { Analyzer, fetchJson } from "./analyzer.js";
import { drawFaces, labelsOf } from "./drawing.js";
import { showCard, showFaces, showLimits, Timelines } from "./panels.js";
import { Camera, pixelsOf, readPicture } from "./pictures.js";
import { save, toCsv, toJson } from "./saving.js";
import { chooseLanguage, say } from "./texts.js";
import { Tracker } from "./tracker.js";

const MOST_ROWS = 100_000; // of the table of a camera: an hour of one face
const LEAST_RATE = 15; // frames a second, below which faces are looked for in every second frame
const PANELS_EVERY = 0.25; // seconds: who reads, or hears, numbers cannot follow every frame
const PICTURE_COLUMNS = ["picture", "faces", "error"];
const CAMERA_COLUMNS = ["frame", "time_seconds", "track"];
const CAMERA_PROBLEMS = {
  NotFoundError: "noCamera",
  OverconstrainedError: "noCamera",
  NotAllowedError: "cameraDenied",
};

const part = (id) => document.getElementById(id);

class Page {
  constructor() {
    this.shown = null; // {name, canvas, faces}: the picture at hand
    this.camera = null;
    this.rows = []; // {head, face} of the table
    this.columns = PICTURE_COLUMNS; // of the heads
    this.opening = null; // the file that was given last
    this.turn = null; // of the analysis that counts, none while the camera runs
    this.status = ["loading"];
    this.problem = null;
    this.listen();
    this.speak(chooseLanguage());
    this.loaded = this.load();
  }

  async load() {
    try {
      this.analyzer = await Analyzer.load();
      const { models, colours } = this.analyzer.rules;
      this.colours = colours;
      this.timelines = new Timelines(part("timelines"), colours);
      part("emotion-model").replaceChildren(...models.emotion.map((name) => new Option(name)));
      await Promise.all(Object.values(this.names()).map((name) => this.analyzer.classifier(name)));
      await this.showModel();
      this.tell("ready");
    } catch (error) {
      this.fail(error);
    }
    keepForOffline();
  }

  /** Return task -> name of the model that is chosen. */
  names() {
    const gender = part("gender").checked ? this.analyzer.rules.models.gender[0] : null;
    const emotion = part("emotion-model").value || this.analyzer.rules.models.emotion[0];
    return gender ? { emotion, gender } : { emotion };
  }

  listen() {
    const on = (id, event, act) => part(id).addEventListener(event, act);
    on("open", "click", () => part("file").click());
    on("file", "change", () => {
      this.open([...part("file").files]);
      part("file").value = ""; // the same file may be opened again
    });
    on("camera", "click", () => (this.camera ? this.stop() : this.film()));
    on("language", "change", () => this.speak(chooseLanguage(part("language").value)));
    on("emotion-model", "change", () => {
      this.showModel();
      this.again();
    });
    on("gender", "change", () => this.again());
    on("save-json", "click", () => this.saveJson());
    on("save-csv", "click", () => this.saveCsv());
    addEventListener("paste", (event) => this.open([...event.clipboardData.files]));
    for (const event of ["dragover", "dragleave", "drop"]) {
      addEventListener(event, (drag) => {
        drag.preventDefault();
        part("stage").classList.toggle("over", event === "dragover");
        if (event === "drop") this.open([...drag.dataTransfer.files]);
      });
    }
  }

  /** Say everything in the language that has been chosen. */
  speak(language) {
    part("language").value = language;
    showLimits(part("limits"));
    this.tell(...this.status);
    if (this.problem) this.complain(...this.problem);
    if (this.camera) part("camera").textContent = say("cameraStop");
    if (this.analyzer) this.showModel();
    if (this.shown?.faces) this.show(this.shown);
  }

  tell(key, ...values) {
    this.status = [key, ...values];
    part("status").textContent = say(key, ...values);
  }

  complain(key, ...values) {
    this.problem = [key, ...values];
    part("problem").textContent = say(key, ...values);
  }

  quiet() {
    this.problem = null;
    part("problem").textContent = "";
  }

  /** Say that something is missing, and that the page goes on where it can. */
  fail(error) {
    console.error(error);
    this.complain("modelFails");
    this.tell(this.analyzer ? "ready" : "notReady");
  }

  async showModel() {
    const { emotion } = this.names();
    try {
      const card = await fetchJson(emotion);
      if (emotion === this.names().emotion) showCard(part("card"), card);
    } catch (error) {
      this.fail(error);
    }
  }

  async open([file, ...others]) {
    if (!file) return;
    await this.loaded; // a picture may be opened before the models are there
    if (!this.analyzer) return;
    await this.stop();
    this.quiet();
    this.tell("working");
    this.opening = file;
    const canvas = await readPicture(file).catch(() => null);
    if (file !== this.opening) return;
    if (canvas) {
      this.shown = { name: file.name, canvas, faces: [] };
      if ((await this.again()) && others.length) this.complain("onlyFirst", file.name);
    } else {
      this.complain("noPicture", file.name);
      this.tell("ready");
    }
  }

  /** Analyze the picture at hand, anew where a model has been changed; return whether it is shown. */
  async again() {
    if (!this.shown || this.camera) return false;
    const { shown } = this;
    const turn = (this.turn = {}); // another picture or model may be chosen meanwhile
    this.quiet();
    this.tell("working");
    shown.faces = null; // those of before are of another model
    part("save-json").disabled = part("save-csv").disabled = true;
    await new Promise((resolve) => setTimeout(resolve)); // the browser may show the text first
    let faces;
    try {
      faces = await this.analyzer.analyze(pixelsOf(shown.canvas), this.names());
      if (turn !== this.turn) return false;
    } catch (error) {
      if (turn === this.turn) this.fail(error);
      return false;
    }
    shown.faces = faces;
    const head = { picture: shown.name, faces: faces.length, error: "" };
    this.columns = PICTURE_COLUMNS;
    this.rows = (faces.length ? faces : [null]).map((face) => ({ head, face }));
    this.show(shown);
    this.tell(...(faces.length ? ["found", faces.length] : ["none"]));
    return true;
  }

  show({ canvas, faces }) {
    part("stage").classList.add("filled");
    drawFaces(part("picture"), canvas, faces, this.colours);
    part("picture").setAttribute("aria-label", say("pictureOf", faces.map((face) => labelsOf(face).join(", "))));
    showFaces(part("results"), faces, this.colours);
    part("save-json").disabled = part("save-csv").disabled = false;
  }

  async film() {
    part("camera").disabled = true;
    await this.loaded;
    try {
      if (!this.analyzer) return;
      this.quiet();
      this.camera = await Camera.open();
    } catch (error) {
      this.complain(CAMERA_PROBLEMS[error.name] ?? "cameraFails");
      return;
    } finally {
      part("camera").disabled = false;
    }
    this.turn = null;
    part("camera").textContent = say("cameraStop");
    this.tell("cameraRuns");
    this.filming = this.follow(this.camera)
      .catch((error) => this.fail(error))
      .finally(() => this.endFilm());
  }

  /** Take the frames of the camera through all stages until it is closed. */
  async follow(camera) {
    const { tracking, detector } = this.analyzer.rules;
    const tracker = new Tracker(tracking);
    const times = [];
    let told = -Infinity;
    let spent = 0; // milliseconds for a frame in which faces are looked for
    let every = 1; // of so many frames one; in between boxes move on, as with --detect-every
    this.rows = [];
    this.columns = CAMERA_COLUMNS;
    this.timelines.clear();
    for (let frame = await camera.next(), number = 0; frame; frame = await camera.next(), number += 1) {
      const { canvas, seconds } = frame;
      const start = performance.now();
      const pixels = pixelsOf(canvas);
      const looks = number % every === 0;
      const boxes = looks
        ? await this.analyzer.detector.find(pixels, detector.film_size)
        : tracker.expectedBoxes(seconds, canvas.height, canvas.width);
      const found = await this.analyzer.classify(pixels, boxes, this.names());
      const faces = tracker.update(found, seconds);
      for (const face of faces) {
        const head = { frame: number, time_seconds: seconds, track: face.track };
        this.rows.push({ head, face });
      }
      if (this.rows.length > MOST_ROWS) this.rows.splice(0, MOST_ROWS / 10);
      this.timelines.add(faces, seconds);
      part("stage").classList.add("filled");
      drawFaces(part("picture"), canvas, faces, this.colours);
      times.push(performance.now());
      if (looks) spent += (times.at(-1) - start - spent) / Math.min(number + 1, 10);
      every = spent > 1000 / LEAST_RATE ? 2 : 1;
      if (times.length > 30) times.shift();
      if (seconds - told >= PANELS_EVERY) {
        told = seconds;
        this.shown = { name: "camera", canvas, faces };
        this.show(this.shown);
        this.timelines.draw(seconds);
        this.showRate(times);
      }
    }
  }

  showRate(times) {
    if (times.length < 3) return;
    part("rate").hidden = false;
    const rate = (1000 * (times.length - 1)) / (times.at(-1) - times[0]);
    const by = this.analyzer.usesGraphics ? ", WebGPU" : "";
    part("rate").textContent = say("frames", rate) + by;
  }

  endFilm() {
    this.camera?.close();
    this.camera = null;
    part("rate").hidden = true;
    part("camera").textContent = say("camera");
    this.tell("cameraStopped");
  }

  async stop() {
    this.camera?.close();
    await this.filming;
  }

  name() {
    return (this.shown?.name ?? "faces").replace(/\.[^.]*$/, "");
  }

  async saveCsv() {
    const classes = await this.analyzer.classNames(this.names());
    save(`${this.name()}.csv`, toCsv(this.rows, this.columns, classes), "text/csv");
  }

  /** A picture as `minixception image --json` writes it; of a film a row for each face. */
  saveJson() {
    const content = this.columns === CAMERA_COLUMNS
      ? this.rows.map(({ head, face }) => ({ ...head, ...toJson(face) }))
      : { [this.shown.name]: this.shown.faces.map(toJson) };
    save(`${this.name()}.json`, `${JSON.stringify(content, null, 2)}\n`, "application/json");
  }
}

/** Let a service worker keep the files of the page, so that it works without a connection. */
async function keepForOffline() {
  if (!navigator.serviceWorker) return;
  const { serviceWorker } = navigator;
  await serviceWorker.register("sw.js");
  if (!serviceWorker.controller) {
    await new Promise((resolve) => (serviceWorker.oncontrollerchange = resolve));
  }
  // What was loaded before the worker was there passes it once more.
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  await Promise.all(loaded.map((name) => fetch(name).catch(() => null)));
  document.documentElement.dataset.offline = "ready";
}

new Page();
