// Detector and classifiers together, their files fetched when they are first needed.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";

import { Checker } from "./checker.js";
import { Classifier } from "./classifier.js";
import { Detector } from "./detector.js";

const FOLDER = "models/";

export class Analyzer {
  /** Load the runtime and the rules; `analyze` loads the models that it is asked for. */
  static async load() {
    const [rules] = await Promise.all([fetchJson("rules"), loadLiteRt("wasm/")]);
    const card = await fetchJson(rules.detector.name);
    return new Analyzer(rules, card, await hasGraphics());
  }

  /** @param usesGraphics whether WebGPU searches the frames of a film */
  constructor(rules, detectorCard, usesGraphics) {
    this.rules = rules;
    this.usesGraphics = usesGraphics;
    this.classifiers = new Map();
    const content = fetchBytes(rules.detector.name);
    const compileFor = (bytes, isFilm) => {
      return isFilm && this.usesGraphics ? this.compileForGraphics(bytes) : compile(bytes);
    };
    const look = async (...what) => (await this.checker()).bestFrame(...what);
    this.detector = new Detector(detectorCard, rules.detector, content, compileFor, look);
  }

  /** Return the faces {box, scores} in a picture; `names` are task -> name of the model. */
  async analyze(picture, names) {
    return this.classify(picture, await this.detector.find(picture), names);
  }

  /** Return the faces {box, scores} in boxes of a picture. */
  async classify(picture, boxes, names) {
    const faces = [];
    const checker = await this.checker();
    for (const box of boxes) {
      const scores = {};
      const angle = await checker.turn(picture, box);
      for (const task of Object.keys(this.rules.models)) {
        const classifier = names[task] ? await this.classifier(names[task]) : null;
        scores[task] = classifier ? await classifier.classify(picture, box, angle) : {};
      }
      faces.push({ box, scores });
    }
    return faces;
  }

  async compileForGraphics(bytes) {
    try {
      return await compile(bytes, "webgpu");
    } catch (error) {
      console.warn(error); // the driver may lack something
      this.usesGraphics = false;
      return compile(bytes);
    }
  }

  async checker() {
    const { checker } = this.rules;
    return new Checker(await this.classifier(checker.name), checker);
  }

  async classifier(name) {
    return remember(this.classifiers, name, async () => {
      const [card, content] = await Promise.all([fetchJson(name), fetchBytes(name)]);
      return new Classifier(card, await compile(content));
    });
  }

  /** Return task -> classes, none for a task without a model. */
  async classNames(names) {
    const classes = {};
    for (const task of Object.keys(this.rules.models)) {
      classes[task] = names[task] ? (await this.classifier(names[task])).card.class_names : [];
    }
    return classes;
  }
}

/** Tell whether there is a graphics processor; what only imitates one is slower than WebAssembly. */
async function hasGraphics() {
  const adapter = await navigator.gpu?.requestAdapter();
  return Boolean(adapter) && !(adapter.info ?? adapter).isFallbackAdapter;
}

async function compile(content, accelerator = "wasm") {
  const options = { accelerator, gpuOptions: { precision: "fp32" } };
  return new Model(await loadAndCompile(content, options));
}

class Model {
  constructor(compiled) {
    this.compiled = compiled;
  }

  delete() {
    this.compiled.delete();
  }

  /** Return the outputs, Float32Array each. */
  async run(values, shape) {
    const input = new Tensor(values, shape);
    const outputs = await this.compiled.run(input);
    try {
      return await Promise.all(outputs.map(async (output) => (await output.data()).slice()));
    } finally {
      input.delete();
      for (const output of outputs) output.delete();
    }
  }
}

/** Make something once; what fails is tried again the next time. */
function remember(made, key, make) {
  if (!made.has(key)) {
    const promise = make();
    made.set(key, promise);
    promise.catch(() => made.delete(key));
  }
  return made.get(key);
}

export async function fetchJson(name) {
  return (await fetchFile(`${name}.json`)).json();
}

async function fetchBytes(name) {
  return new Uint8Array(await (await fetchFile(`${name}.tflite`)).arrayBuffer());
}

async function fetchFile(name) {
  const response = await fetch(FOLDER + name);
  if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
  return response;
}
