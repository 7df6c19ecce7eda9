// The built-in views on canvases: segmentation overlays and bounding boxes, redrawn at once when a slider moves.

import { fileName, saveJson, savePicture } from "../parts/downloads.js";
import { ColourLayer, compose, decoded, grey, NOTHING, pixel, scaled, table } from "../overlay/overlay_maps.js";
import { drawBoxes } from "../overlay/overlay_boxes.js";
import { Stage } from "../overlay/stage.js";
import { chosen, unpack } from "../overlay/suppression.js";
import { el, icon } from "../parts/ui.js";

const MISSED = 256; // in a difference: something true that was taken for class 0
const CODES = 1 << 16; // true class × 256 + predicted class, or the foreground's probability

const options = (controls) => {
  const found = {};
  for (const input of controls?.querySelectorAll("[data-option]") ?? []) {
    if (input.type === "checkbox") found[input.dataset.option] = input.checked;
    else found[input.dataset.option] = input.type === "range" ? Number(input.value) : input.value;
  }
  const boxes = [...(controls?.querySelectorAll("[data-class]") ?? [])];
  found.hidden = new Set(boxes.filter((box) => !box.checked).map((box) => Number(box.dataset.class)));
  return found;
};

// As wide as there is room for, but no higher than the window.
function place(canvas, [width, height]) {
  canvas.style.setProperty("--natural", `${width}px`);
  canvas.style.setProperty("--shape", width / height);
  canvas.style.aspectRatio = `${width} / ${height}`;
}

class Segmentation {
  constructor(root, { colours }) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.colours = colours;
  }

  async load() {
    const { input, classes, foreground, truth } = this.root.dataset;
    this.pictures = Object.fromEntries(await Promise.all(Object.entries({ input, classes, foreground, truth }).map(async ([name, address]) => [name, address && await decoded(address)])));
    const made = this.pictures.classes, real = this.pictures.truth;
    this.comparable = real && real.naturalWidth === made.naturalWidth && real.naturalHeight === made.naturalHeight;
    this.natural = [Math.max(made.naturalWidth, this.pictures.input.naturalWidth), Math.max(made.naturalHeight, this.pictures.input.naturalHeight)];
    place(this.canvas, this.natural);
  }

  fit(width, height) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.made = this.prepare(width, height);
  }

  // Everything in one size that no slider changes.
  prepare(width, height) {
    const { input, classes, foreground, truth } = this.pictures;
    const values = grey(foreground || classes, width, height);
    const real = this.comparable ? grey(truth, width, height) : new Uint8Array(values.length);
    const codes = new Uint16Array(values.length), occurs = new Uint8Array(CODES);
    for (let i = 0; i < codes.length; i += 1) {
      codes[i] = (real[i] << 8) | values[i];
      occurs[codes[i]] = 1;
    }
    const used = Uint16Array.from(occurs.keys()).filter((code) => occurs[code]);
    return { codes, used, picture: scaled(input, width, height), layer: new ColourLayer(width, height), table: new Uint32Array(CODES), classes: new Uint16Array(codes.length) };
  }

  // What each code is shown as: a class, MISSED or NOTHING.
  classOf({ source, threshold }) {
    const least = threshold === undefined ? 127.5 : threshold * 255;
    const predicted = this.pictures.foreground ? (value) => (value > least ? 1 : 0) : (value) => value;
    if (source !== "truth" && source !== "difference") return (code) => predicted(code & 255);
    if (!this.comparable) return () => NOTHING;
    if (source === "truth") return (code) => code >> 8;
    return (code) => {
      const real = code >> 8, made = predicted(code & 255);
      return real === NOTHING || made === real ? NOTHING : made || MISSED;
    };
  }

  draw(choice) {
    this.paint(this.canvas, this.made, choice);
    this.root.dataset.drawn = "yes";
  }

  paint(canvas, made, choice, fine = 1) {
    const { layer, opacity } = choice;
    if (layer !== "none") this.colour(made, choice, fine);
    compose(canvas, layer === "mask" ? null : made.picture, layer === "none" ? [] : [[made.layer.canvas, layer === "fill" ? opacity : 1]]);
  }

  // The layer is made anew only when something else than the opacity has changed.
  colour(made, choice, fine) {
    const key = JSON.stringify([choice.layer, choice.source, choice.threshold, choice.layer === "line" && choice.width, [...choice.hidden]]);
    if (key === made.key) return;
    made.key = key;
    const shown = this.classOf(choice);
    const colours = new Uint32Array(MISSED + 1);
    colours.set(table(this.colours, choice.hidden, choice.layer === "mask"));
    if (!choice.hidden.has(0)) colours[MISSED] = pixel([255, 255, 255]);
    if (choice.layer === "line") this.outline(made, shown, colours, choice, fine);
    else {
      for (const code of made.used) made.table[code] = colours[shown(code)];
      made.layer.fill(made.codes, made.table);
    }
  }

  outline(made, shown, colours, { source, threshold, width }, fine) {
    const key = `${source} ${threshold}`;
    if (made.outlined !== key) {
      const { codes, classes, table: found } = made;
      for (const code of made.used) found[code] = shown(code);
      for (let i = 0; i < codes.length; i += 1) classes[i] = found[codes[i]];
      made.outlined = key;
    }
    made.layer.outline(made.classes, colours, width * fine);
  }

  // The overlay in the picture's own size.
  whole(choice) {
    const [width, height] = this.natural;
    const canvas = el("canvas", { width, height });
    this.paint(canvas, this.prepare(width, height), choice, width / this.canvas.width);
    return canvas;
  }

  // A grey picture whose values are the classes, in the size of the prediction.
  mask(choice) {
    const { naturalWidth: width, naturalHeight: height } = this.pictures.classes;
    const canvas = el("canvas", { width, height });
    const shown = this.classOf({ ...choice, source: "classes" });
    const layer = new ColourLayer(width, height);
    layer.fill(grey(this.pictures.foreground || this.pictures.classes, width, height), Uint32Array.from({ length: 256 }, (_, value) => pixel([shown(value), shown(value), shown(value)])));
    compose(canvas, null, [[layer.canvas, 1]]);
    return canvas;
  }

  downloads(choice) {
    return [
      ["Picture", () => savePicture(this.whole(choice()), fileName(keyOf(this), "overlay.png"))],
      ["Mask", () => savePicture(this.mask(choice()), fileName(keyOf(this), "mask.png"))],
    ];
  }
}

class Boxes {
  constructor(root, { colours, names }) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.sharp = true;
    const { width, height, boxes, most, truth } = root.dataset;
    this.natural = [Number(width), Number(height)];
    this.scene = { boxes: unpack(boxes), most: Number(most), truth: JSON.parse(truth), names, colours, natural: this.natural };
    place(this.canvas, this.natural);
    this.canvas.classList.add("sharp");
  }

  async load() {
    this.image = await decoded(this.root.dataset.input);
  }

  fit(width, height) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.picture = scaled(this.image, width, height);
  }

  draw(choice) {
    const shown = drawBoxes(this.canvas, this.picture, this.scene, { ...choice, score: choice.threshold });
    this.root.querySelector("[data-count]").textContent = shown.length;
    this.root.dataset.drawn = "yes";
  }

  whole(choice) {
    const [width, height] = this.natural;
    const canvas = el("canvas", { width, height });
    drawBoxes(canvas, this.image, this.scene, { ...choice, score: choice.threshold, fine: 1 });
    return canvas;
  }

  // COCO's results of what is shown; a picture's number is its place on the page.
  results(choice) {
    const { boxes, most, names } = this.scene;
    const shown = chosen(boxes, { ...choice, score: choice.threshold }, most).filter((box) => !choice.hidden.has(box.class));
    const number = [...document.querySelectorAll('[data-view="boxes"]')].indexOf(this.root);
    return shown.map(({ box: [x0, y0, x1, y1], score, class: label }) => ({ image_id: number, file_name: keyOf(this), category_id: label, category_name: names[label], bbox: [x0, y0, x1 - x0, y1 - y0], score }));
  }

  downloads(choice) {
    return [
      ["Picture", () => savePicture(this.whole(choice()), fileName(keyOf(this), "overlay.png"))],
      ["Boxes", () => saveJson(this.results(choice()), fileName(keyOf(this), "coco.json"))],
    ];
  }
}

const keyOf = (view) => view.root.closest("[data-sample]")?.dataset.sample ?? "sample";

const buttons = (view, choice) => el("div", { class: "view-downloads" }, ...view.downloads(choice).map(([text, work]) =>
  el("button", { type: "button", class: "btn btn-outline-secondary btn-sm", onclick: work }, icon("download"), ` ${text}`)));

const KINDS = { segmentation: Segmentation, boxes: Boxes };

const drawn = new WeakMap(); // by root of a sample: when it is drawn

/** Bring the samples below `scope` to life; resolves when those that can be seen are drawn. */
export const start = async (scope = document) => {
  for (const [kind, View] of Object.entries(KINDS)) {
    const roots = [...scope.querySelectorAll(`[data-view="${kind}"]`)];
    begin(View, roots.filter((root) => !drawn.has(root)), scope.querySelector(`[data-view-controls="${kind}"]`));
    await Promise.all(roots.map((root) => drawn.get(root)));
  }
};

function begin(View, roots, controls) {
  const legend = { colours: JSON.parse(controls?.dataset.colours ?? "[]"), names: JSON.parse(controls?.dataset.names ?? "[]") };
  const choice = () => options(controls);
  const stage = new Stage(choice);
  for (const root of roots) {
    const view = new View(root, legend);
    root.append(buttons(view, choice));
    drawn.set(root, stage.add(view));
  }
  if (!roots.length) return;
  const truth = controls?.querySelector("input[data-option=truth]");
  if (truth) truth.parentElement.hidden = roots.every((root) => root.dataset.truth === "[]");
  controls?.addEventListener("input", ({ target }) => {
    const output = target.parentElement.querySelector("output");
    if (output) output.textContent = target.value;
    stage.redraw();
  });
}

start();
