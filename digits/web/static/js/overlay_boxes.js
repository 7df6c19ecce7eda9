// Boxes over a picture: lines and names keep their size however large the picture is shown.

import { chosen } from "./suppression.js";

const UNKNOWN = [230, 75, 53];
const LETTERS = 12;

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
  if (choice.truth) drawTruth(context, scene.truth ?? [], scale, fine, choice.hidden);
  const shown = choice.prediction === false ? [] : chosen(scene.boxes, choice, scene.most).filter((box) => !choice.hidden?.has(box.class));
  context.globalAlpha = choice.opacity;
  for (const box of [...shown].reverse()) drawBox(context, box, scene, scale, fine, choice.labels !== false); // the best on top
  context.globalAlpha = 1;
  return shown;
}

function drawTruth(context, truth, scale, fine, hidden) {
  for (const [dash, colour] of [[[], "#000a"], [[5 * fine, 3 * fine], "#fff"]]) { // white on dark: seen on any picture
    context.setLineDash(dash);
    context.strokeStyle = colour;
    for (const { box, class: label } of truth) if (!hidden?.has(label)) stroke(context, box, scale);
  }
  context.setLineDash([]);
}

function drawBox(context, { box, score, class: label }, { names, colours }, scale, fine, labelled) {
  const colour = colours[label] ?? UNKNOWN;
  context.strokeStyle = context.fillStyle = `rgb(${colour.join(",")})`;
  stroke(context, box, scale);
  if (!labelled) return;
  const text = `${names[label] ?? label} ${score.toFixed(2)}`;
  const height = (LETTERS + 3) * fine;
  const x = box[0] * scale, top = box[1] * scale, y = top >= height ? top - height : top;
  context.fillRect(x - context.lineWidth / 2, y, context.measureText(text).width + 6 * fine, height);
  context.fillStyle = 2 * colour[0] + 5 * colour[1] + colour[2] > 1000 ? "#000" : "#fff";
  context.fillText(text, x + 2 * fine, y + height - 4 * fine);
}

const stroke = (context, [x0, y0, x1, y1], scale) => context.strokeRect(x0 * scale, y0 * scale, (x1 - x0) * scale, (y1 - y0) * scale);
