// @ts-check
// Boxes over a picture: lines and names keep their size however large the picture is shown.

import { fixed } from "../parts/format.js";
import { contextOf } from "./overlay_maps.js";
import { chosen } from "./suppression.js";

/** @typedef {import("./suppression.js").Box} Box */
/** @typedef {import("./overlay_maps.js").Colour} Colour */
/**
 * What is in a picture.
 * @typedef {object} Scene
 * @property {Box[]} boxes before suppression, best first
 * @property {number} [most] boxes that stay; 0: all
 * @property {Omit<Box, "score">[] | null} [truth]
 * @property {string[]} names of the classes
 * @property {Colour[]} colours of the classes
 * @property {number[]} natural width and height that the boxes are in
 */
/**
 * What the user has chosen.
 * @typedef {object} Choice
 * @property {number} score the least
 * @property {number} [overlap]
 * @property {number} opacity
 * @property {Set<number>} [hidden] classes
 * @property {boolean} [truth]
 * @property {boolean} [prediction]
 * @property {boolean} [labels]
 * @property {number} [desaturation]
 * @property {number} [width] of lines
 * @property {number} [fine] pixels of the canvas for one of the page
 */

const UNKNOWN = [230, 75, 53];
const LETTERS = 12;
const MOST_NAMES = 100; // of the best boxes; more cannot be read
const BRIGHT = 1000; // of 2 R + 5 G + B; a name on more is black
const BLACK = [0, 0, 0], WHITE = [255, 255, 255];

/**
 * Draw on a canvas of any size; returns the boxes that are shown.
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasImageSource | null | undefined} picture fits the canvas
 * @param {Scene} scene
 * @param {Choice} choice
 */
export function drawBoxes(canvas, picture, scene, choice) {
  const context = contextOf(canvas);
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
  const shown = choice.prediction === false ? [] : visible(chosen(scene.boxes, choice, scene.most), choice);
  context.globalAlpha = choice.opacity;
  drawLines(context, shown, scene.colours, scale);
  if (choice.labels !== false) {
    for (const box of shown.slice(0, MOST_NAMES).reverse()) drawName(context, box, scene, scale, fine);
  }
  context.globalAlpha = 1;
  return shown;
}

/**
 * @template {{class: number}} Any
 * @param {Any[]} boxes
 * @param {Choice} choice
 */
const visible = (boxes, { hidden }) => boxes.filter((box) => !hidden?.has(box.class));

/**
 * Dashed beside predictions, white on dark so that it is seen on any picture; alone in the colours of the classes.
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {number} scale
 * @param {number} fine
 * @param {Choice} choice
 */
function drawTruth(context, { truth, colours }, scale, fine, choice) {
  const shown = visible(truth ?? [], choice);
  if (choice.prediction === false) return drawLines(context, shown, colours, scale);
  context.setLineDash([]);
  stroke(context, shown, css(BLACK, 2 / 3), scale);
  context.setLineDash([5 * fine, 3 * fine]);
  stroke(context, shown, css(WHITE), scale);
  context.setLineDash([]);
}

/**
 * Lines as filled rectangles on whole pixels: much faster than strokes, and sharp.
 * @param {CanvasRenderingContext2D} context
 * @param {Omit<Box, "score">[]} boxes
 * @param {Colour[]} colours
 * @param {number} scale
 */
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

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Omit<Box, "score">[]} boxes
 * @param {string} style
 * @param {number} scale
 */
function stroke(context, boxes, style, scale) {
  context.strokeStyle = style;
  context.beginPath();
  for (const { box: [x0, y0, x1, y1] } of boxes) context.rect(x0 * scale, y0 * scale, (x1 - x0) * scale, (y1 - y0) * scale);
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Box} shown
 * @param {Scene} scene
 * @param {number} scale
 * @param {number} fine
 */
function drawName(context, { box, score, class: label }, { names, colours }, scale, fine) {
  const colour = colours[label] ?? UNKNOWN;
  const whole = `${names[label] ?? label} ${fixed(score, 2)}`;
  const isLong = widthOf(context, whole) > 1.2 * (box[2] - box[0]) * scale; // it would hide others
  const text = isLong ? fixed(score, 2) : whole;
  const height = (LETTERS + 3) * fine;
  const x = box[0] * scale, top = box[1] * scale, y = top >= height ? top - height : top;
  context.fillStyle = css(colour);
  context.fillRect(x - context.lineWidth / 2, y, widthOf(context, text) + 6 * fine, height);
  context.fillStyle = css(isBright(colour) ? BLACK : WHITE);
  context.fillText(text, x + 2 * fine, y + height - 4 * fine);
}

/** @param {Colour} colour */
export const isBright = ([r, g, b]) => 2 * r + 5 * g + b > BRIGHT;

/**
 * @param {Colour} colour
 * @param {number} [opacity]
 */
const css = (colour, opacity = 1) => `rgb(${colour.join(" ")} / ${opacity})`;

const widths = new Map(); // of texts by font

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @returns {number}
 */
function widthOf(context, text) {
  const key = `${context.font} ${text}`;
  if (widths.size > 10_000) widths.clear();
  if (!widths.has(key)) widths.set(key, context.measureText(text).width);
  return widths.get(key);
}
