// The built-in views on canvases: segmentation overlays and bounding boxes, redrawn at once when a slider moves.

import { grey } from "./film_draw.js";
import { el, icon } from "./ui.js";

const MISSED = 256; // in a difference: something true that was taken for class 0
const NOTHING = 257;

const options = (controls) => {
  const found = {};
  for (const input of controls?.querySelectorAll("[data-option]") ?? []) {
    if (input.type === "checkbox") found[input.dataset.option] = input.checked;
    else found[input.dataset.option] = input.type === "range" ? Number(input.value) : input.value;
  }
  return found;
};

const hiddenClasses = (controls) =>
  new Set([...(controls?.querySelectorAll("[data-class]") ?? [])].filter((box) => !box.checked).map((box) => Number(box.dataset.class)));

class Segmentation {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
  }

  async load() {
    const { input, classes, foreground, truth } = this.root.dataset;
    this.picture = new Image();
    this.picture.src = input;
    await this.picture.decode();
    [this.classes, this.foreground, this.truth] = await Promise.all([classes, foreground, truth].map((address) => (address ? grey(address) : null)));
    this.canvas.width = Math.max(this.classes.width, this.picture.naturalWidth);
    this.canvas.height = Math.max(this.classes.height, this.picture.naturalHeight);
  }

  // Class of every pixel under the present threshold.
  predicted({ threshold }) {
    const map = new Uint16Array(this.classes.values);
    if (!this.foreground || threshold === undefined) return map;
    const { values } = this.foreground, least = threshold * 255;
    for (let i = 0; i < map.length; i += 1) map[i] = values[i] > least ? 1 : 0;
    return map;
  }

  // What is to be drawn under the present choice.
  map(choice) {
    if (choice.source !== "truth" && choice.source !== "difference") return this.predicted(choice);
    const comparable = this.truth && this.truth.width === this.classes.width && this.truth.height === this.classes.height;
    if (!comparable) return new Uint16Array(this.classes.values.length).fill(NOTHING);
    const truth = this.truth.values;
    if (choice.source === "truth") return new Uint16Array(truth);
    const map = this.predicted(choice);
    for (let i = 0; i < map.length; i += 1) map[i] = map[i] === truth[i] ? NOTHING : map[i] || MISSED;
    return map;
  }

  // The overlay is made anew only when something else than the opacity has changed.
  draw(choice, colours, hidden) {
    const { layer, source, threshold, width } = choice;
    const key = JSON.stringify([layer, source, threshold, layer === "line" && width, [...hidden]]);
    if (key !== this.key) this.overlay = this.make(choice, table(colours, hidden, layer === "mask"));
    this.key = key;
    this.paint(choice);
  }

  make(choice, table) {
    const { width, height } = this.classes;
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const map = this.map(choice);
    const line = choice.layer === "line";
    for (let i = 0; i < map.length; i += 1) {
      if (!line || isEdge(map, i, width, height, choice.width)) pixels[i] = table[map[i]];
    }
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  paint(choice) {
    const context = this.canvas.getContext("2d");
    context.globalAlpha = 1;
    context.imageSmoothingEnabled = false;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (choice.layer !== "mask") context.drawImage(this.picture, 0, 0, this.canvas.width, this.canvas.height);
    if (choice.layer === "none") return;
    context.globalAlpha = choice.layer === "fill" ? choice.opacity : 1;
    context.drawImage(this.overlay, 0, 0, this.canvas.width, this.canvas.height);
  }

  // A grey picture whose values are the classes, in the size of the prediction.
  mask(choice) {
    const { width, height } = this.classes;
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    this.predicted(choice).forEach((value, i) => { pixels[i] = ((255 << 24) | (value << 16) | (value << 8) | value) >>> 0; });
    const canvas = el("canvas", { width, height });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }
}

// Colour of each class as one number; transparent what is hidden and, but for masks, the background.
function table(colours, hidden, withBackground) {
  const found = new Uint32Array(NOTHING + 1);
  for (let value = 0; value < MISSED - 1; value += 1) {
    const [r, g, b] = colours[value] ?? [255, 255, 255];
    if (!hidden.has(value) && (value || withBackground)) found[value] = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  }
  if (!hidden.has(0)) found[MISSED] = 0xffffffff;
  return found;
}

function isEdge(map, i, width, height, thickness) {
  const x = i % width;
  const y = Math.floor(i / width);
  for (let d = 1; d <= thickness; d += 1) {
    if (x >= d && map[i - d] !== map[i]) return true;
    if (x + d < width && map[i + d] !== map[i]) return true;
    if (y >= d && map[i - d * width] !== map[i]) return true;
    if (y + d < height && map[i + d * width] !== map[i]) return true;
  }
  return false;
}

class Boxes {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    for (const name of ["boxes", "names", "colours", "truth"]) this[name] = JSON.parse(root.dataset[name]);
  }

  async load() {
    this.picture = new Image();
    this.picture.src = this.root.dataset.input;
    await this.picture.decode();
    this.canvas.width = this.picture.naturalWidth;
    this.canvas.height = this.picture.naturalHeight;
  }

  draw(choice) {
    const context = this.canvas.getContext("2d");
    context.globalAlpha = 1;
    context.filter = `grayscale(${choice.desaturation})`;
    context.drawImage(this.picture, 0, 0);
    context.filter = "none";
    context.lineWidth = choice.width;
    if (choice.truth) this.drawTruth(context);
    context.globalAlpha = choice.opacity;
    const shown = this.boxes.filter((box) => box.score >= choice.threshold);
    for (const box of shown) this.drawBox(context, box, choice.labels);
    this.root.querySelector("[data-count]").textContent = shown.length;
  }

  drawTruth(context) {
    context.setLineDash([6, 4]);
    context.strokeStyle = "#fff";
    for (const [left, top, right, bottom] of this.truth) context.strokeRect(left, top, right - left, bottom - top);
    context.setLineDash([]);
  }

  drawBox(context, { box: [left, top, right, bottom], score, class: index }, labels) {
    const colour = `rgb(${(this.colours[index] ?? [230, 75, 53]).join(",")})`;
    context.strokeStyle = colour;
    context.strokeRect(left, top, right - left, bottom - top);
    if (!labels) return;
    const text = `${this.names[index] ?? index} ${score.toFixed(2)}`;
    const size = Math.max(11, Math.round(this.canvas.width / 60));
    context.font = `${size}px system-ui, sans-serif`;
    const width = context.measureText(text).width + 6;
    const y = top > size + 4 ? top - size - 4 : top;
    context.fillStyle = colour;
    context.fillRect(left, y, width, size + 4);
    context.fillStyle = "#fff";
    context.fillText(text, left + 3, y + size);
  }
}

// Hand a canvas over as a PNG file.
function save(canvas, view, what) {
  const sample = view.root.closest("[data-sample]")?.dataset.sample ?? "sample";
  canvas.toBlob((blob) => {
    const link = el("a", { href: URL.createObjectURL(blob), download: `${sample.split(/[\\/]/).pop().replace(/[^\w.-]+/g, "_")}_${what}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

function downloads(view, choice) {
  const button = (text, work) => el("button", { type: "button", class: "btn btn-outline-secondary btn-sm", onclick: work }, icon("download"), ` ${text}`);
  const buttons = [button("Picture", () => save(view.canvas, view, "overlay"))];
  if (view.mask) buttons.push(button("Mask", () => save(view.mask(choice()), view, "mask")));
  return el("div", { class: "view-downloads" }, ...buttons);
}

const KINDS = { segmentation: Segmentation, boxes: Boxes };

export const start = async (scope = document) => {
  for (const [kind, View] of Object.entries(KINDS)) {
    const controls = scope.querySelector(`[data-view-controls="${kind}"]`);
    const views = [...scope.querySelectorAll(`[data-view="${kind}"]`)].map((root) => new View(root));
    if (!views.length) continue;
    const colours = JSON.parse(controls?.dataset.colours ?? "[]");
    const loaded = [];
    let asked = false;
    const draw = () => {
      asked = false;
      const choice = options(controls);
      const hidden = hiddenClasses(controls);
      for (const view of loaded) view.draw(choice, colours, hidden);
    };
    controls?.addEventListener("input", (event) => {
      const output = event.target.parentElement.querySelector("output");
      if (output) output.textContent = event.target.value;
      if (!asked) requestAnimationFrame(draw);
      asked = true;
    });
    for (const view of views) {
      await view.load();
      loaded.push(view);
      view.draw(options(controls), colours, hiddenClasses(controls));
      view.root.append(downloads(view, () => options(controls)));
      view.root.dataset.drawn = "yes";
    }
  }
};

start();
