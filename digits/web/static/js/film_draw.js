// Overlays on canvases: classes of every pixel as layers that are made once and blended again at each move of a slider; boxes.

const NOTHING = 255; // pixels that do not count

async function decoded(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/** Values (0 to 255) of a grey picture. */
export async function grey(address) {
  const image = await decoded(address);
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const values = new Uint8Array(canvas.width * canvas.height);
  for (let i = 0; i < values.length; i += 1) values[i] = data[4 * i];
  return { values, width: canvas.width, height: canvas.height };
}

/** The colour of each value as one 32-bit number; 0 (transparent) for black, unknown and what does not count. */
export function table(colours) {
  const found = new Uint32Array(256);
  colours.slice(0, 256).forEach(([r, g, b], i) => { if (r || g || b) found[i] = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0; });
  found[NOTHING] = colours.length > NOTHING ? found[NOTHING] : 0;
  return found;
}

/** A canvas with the classes in their colours; with `outline` only their borders. */
export function layer({ values, width, height }, colours, outline = false) {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const thick = Math.max(1, Math.round(Math.max(width, height) / 256));
  for (let i = 0; i < values.length; i += 1) {
    const colour = colours[values[i]];
    if (colour && (!outline || isEdge(values, i, width, height, thick))) pixels[i] = colour;
  }
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function isEdge(values, i, width, height, thick) {
  const x = i % width, y = (i - x) / width, own = values[i];
  if (x < thick || y < thick || x >= width - thick || y >= height - thick) return true;
  for (let d = 1; d <= thick; d += 1) {
    if (values[i - d] !== own || values[i + d] !== own || values[i - d * width] !== own || values[i + d * width] !== own) return true;
  }
  return false;
}

/** Picture, prediction (filled) and ground truth (outlined) on one canvas. */
export class MapLayers {
  constructor(canvas, colours) {
    this.canvas = canvas;
    this.colours = table(colours);
  }

  /** `truth` may be missing; `size` is width and height of the picture in pixels. */
  async load(input, truth, [width, height]) {
    const [picture, classes] = await Promise.all([input ? decoded(input) : null, truth ? grey(truth) : null]);
    this.picture = picture;
    this.truth = classes && layer(classes, this.colours, true);
    this.canvas.width = classes?.width ?? width;
    this.canvas.height = classes?.height ?? height;
    this.canvas.classList.toggle("pixelated", this.canvas.width < 160);
  }

  async setPrediction(address) {
    this.prediction = layer(await grey(address), this.colours);
  }

  paint({ opacity, prediction, truth }) {
    const context = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    context.globalAlpha = 1;
    context.clearRect(0, 0, width, height);
    if (this.picture) context.drawImage(this.picture, 0, 0, width, height);
    context.imageSmoothingEnabled = false;
    context.globalAlpha = opacity;
    if (prediction && this.prediction) context.drawImage(this.prediction, 0, 0, width, height);
    context.globalAlpha = 1;
    if (truth && this.truth) context.drawImage(this.truth, 0, 0, width, height);
  }
}

/** Predicted boxes with a score of at least `score`, true ones dashed; how many of the former were drawn. */
export function drawBoxes(canvas, image, sample, boxes, { class_labels: names, colours }, { score, truth, prediction, opacity }) {
  const zoom = Math.max(1, Math.min(3, 480 / sample.size[0]));
  canvas.width = Math.round(sample.size[0] * zoom);
  canvas.height = Math.round(sample.size[1] * zoom);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  context.lineWidth = 2;
  context.font = "12px system-ui, sans-serif";
  if (truth) {
    context.setLineDash([5, 3]);
    context.strokeStyle = "#fff";
    for (const { box } of sample.truth ?? []) stroke(context, box, zoom);
    context.setLineDash([]);
  }
  const shown = boxes.filter((box) => box.score >= score);
  context.globalAlpha = (1 + opacity) / 2; // lines are thin: never fainter than half
  for (const found of prediction ? shown : []) {
    const colour = colours[found.class] ?? [230, 75, 53];
    context.strokeStyle = context.fillStyle = `rgb(${colour.join(",")})`;
    stroke(context, found.box, zoom);
    const text = `${names[found.class] ?? found.class} ${found.score.toFixed(2)}`;
    const [x, y] = [found.box[0] * zoom, Math.max(14, found.box[1] * zoom)];
    context.fillRect(x, y - 14, context.measureText(text).width + 6, 14);
    context.fillStyle = 2 * colour[0] + 5 * colour[1] + colour[2] > 1000 ? "#000" : "#fff";
    context.fillText(text, x + 3, y - 3);
  }
  context.globalAlpha = 1;
  return shown.length;
}

function stroke(context, [x0, y0, x1, y1], zoom) {
  context.strokeRect(x0 * zoom, y0 * zoom, (x1 - x0) * zoom, (y1 - y0) * zoom);
}
