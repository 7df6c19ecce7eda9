// The built-in views on canvases: segmentation overlays and bounding boxes, redrawn at once when a slider moves.

const pixels = async (source) => {
  if (!source) return null;
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
};

const classAt = (data, i) => data.data[4 * i];

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
    [this.classes, this.foreground, this.truth] = await Promise.all([classes, foreground, truth].map(pixels));
    this.canvas.width = Math.max(this.classes.width, this.picture.naturalWidth);
    this.canvas.height = Math.max(this.classes.height, this.picture.naturalHeight);
  }

  // Class of every pixel under the present choice; -1 where nothing is to be drawn.
  map(choice) {
    const size = this.classes.width * this.classes.height;
    const map = new Int16Array(size);
    const predicted = (i) =>
      this.foreground && choice.threshold !== undefined ? Number(classAt(this.foreground, i) / 255 > choice.threshold) : classAt(this.classes, i);
    const comparable = this.truth && this.truth.width === this.classes.width && this.truth.height === this.classes.height;
    for (let i = 0; i < size; i += 1) {
      if (choice.source === "truth") map[i] = comparable ? classAt(this.truth, i) : -1;
      else if (choice.source === "difference") map[i] = comparable && predicted(i) !== classAt(this.truth, i) ? predicted(i) || -2 : -1;
      else map[i] = predicted(i);
    }
    return map;
  }

  draw(choice, colours, hidden) {
    const { width, height } = this.classes;
    const overlay = new ImageData(width, height);
    const map = this.map(choice);
    const line = choice.layer === "line";
    const alpha = choice.layer === "mask" ? 255 : Math.round(255 * choice.opacity);
    const skipBackground = choice.layer !== "mask";
    for (let i = 0; i < map.length; i += 1) {
      const value = map[i] === -2 ? 0 : map[i];
      if (value < 0 || hidden.has(value) || (skipBackground && map[i] === 0)) continue;
      if (line && !this.isEdge(map, i, width, height, choice.width)) continue;
      const colour = map[i] === -2 ? [255, 255, 255] : colours[value] ?? [255, 255, 255];
      overlay.data.set([...colour, line ? 255 : alpha], 4 * i);
    }
    this.paint(choice, overlay);
  }

  isEdge(map, i, width, height, thickness) {
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

  paint(choice, overlay) {
    const context = this.canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (choice.layer !== "mask") context.drawImage(this.picture, 0, 0, this.canvas.width, this.canvas.height);
    if (choice.layer === "none") return;
    const layer = document.createElement("canvas");
    layer.width = overlay.width;
    layer.height = overlay.height;
    layer.getContext("2d").putImageData(overlay, 0, 0);
    context.drawImage(layer, 0, 0, this.canvas.width, this.canvas.height);
  }
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
      view.root.dataset.drawn = "yes";
    }
  }
};

start();
