// Boxes over a picture: lines and names keep their size however large the picture is shown.

import { chosen } from "./suppression.js";

const UNKNOWN = [230, 75, 53];
const LETTERS = 12;
const MOST_NAMES = 100; // of the best boxes; more cannot be read

/**
 * Draw on a canvas of any size. `picture` fits it; `scene` has `boxes` (before suppression, best first), `most`, `truth`, `names`,
 * `colours` and `natural`, the size that the boxes are in; returns the boxes that are shown.
 */
export function drawBoxes(canvas, picture, scene, choice) {
  const context = canvas.getContext("2d");
  const scale = canvas.width / scene.natural[0];
  const fine = choice.fine ?? Math.min(devicePixelRatio, 2);
  context.globalAlpha = 1;
  context.filter = choice.desaturation ? `grayscale(${choice.desaturation})` : "none";
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (picture) context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  context.filter = "none";
  context.lineWidth = (choice.width ?? 2) * fine;
  context.font = `${LETTERS * fine}px system-ui, sans-serif`;
  if (choice.truth) drawTruth(context, scene, scale, fine, choice);
  const shown = choice.prediction === false ? [] : chosen(scene.boxes, choice, scene.most).filter((box) => !choice.hidden?.has(box.class));
  context.globalAlpha = choice.opacity;
  drawLines(context, shown, scene.colours, scale);
  if (choice.labels !== false) for (const box of shown.slice(0, MOST_NAMES).reverse()) drawName(context, box, scene, scale, fine);
  context.globalAlpha = 1;
  return shown;
}

// Dashed beside predictions, white on dark so that it is seen on any picture; alone in the colours of the classes.
function drawTruth(context, { truth, colours }, scale, fine, { hidden, prediction }) {
  const shown = (truth ?? []).filter((box) => !hidden?.has(box.class));
  if (prediction === false) return drawLines(context, shown, colours, scale);
  for (const [dash, colour] of [[[], "#000a"], [[5 * fine, 3 * fine], "#fff"]]) {
    context.setLineDash(dash);
    stroke(context, shown, colour, scale);
  }
  context.setLineDash([]);
}

// Lines as filled rectangles on whole pixels: much faster than strokes, and sharp.
function drawLines(context, boxes, colours, scale) {
  const line = Math.max(1, Math.round(context.lineWidth)), half = line / 2;
  for (let i = boxes.length - 1; i >= 0; i -= 1) { // the best on top
    const { box, class: label } = boxes[i];
    const x = Math.round(box[0] * scale - half), y = Math.round(box[1] * scale - half);
    const width = Math.round(box[2] * scale + half) - x, height = Math.round(box[3] * scale + half) - y;
    context.fillStyle = css(colours[label] ?? UNKNOWN);
    context.fillRect(x, y, width, line);
    context.fillRect(x, y + height - line, width, line);
    context.fillRect(x, y + line, line, height - 2 * line);
    context.fillRect(x + width - line, y + line, line, height - 2 * line);
  }
}

function stroke(context, boxes, style, scale) {
  context.strokeStyle = style;
  context.beginPath();
  for (const { box: [x0, y0, x1, y1] } of boxes) context.rect(x0 * scale, y0 * scale, (x1 - x0) * scale, (y1 - y0) * scale);
  context.stroke();
}

function drawName(context, { box, score, class: label }, { names, colours }, scale, fine) {
  const colour = colours[label] ?? UNKNOWN;
  const whole = `${names[label] ?? label} ${score.toFixed(2)}`;
  const text = widthOf(context, whole) > 1.2 * (box[2] - box[0]) * scale ? score.toFixed(2) : whole; // a long name would hide others
  const height = (LETTERS + 3) * fine;
  const x = box[0] * scale, top = box[1] * scale, y = top >= height ? top - height : top;
  context.fillStyle = css(colour);
  context.fillRect(x - context.lineWidth / 2, y, widthOf(context, text) + 6 * fine, height);
  context.fillStyle = 2 * colour[0] + 5 * colour[1] + colour[2] > 1000 ? "#000" : "#fff";
  context.fillText(text, x + 2 * fine, y + height - 4 * fine);
}

const css = (colour) => `rgb(${colour.join(",")})`;

const widths = new Map(); // of texts by font

function widthOf(context, text) {
  const key = `${context.font} ${text}`;
  if (widths.size > 10_000) widths.clear();
  if (!widths.has(key)) widths.set(key, context.measureText(text).width);
  return widths.get(key);
}
