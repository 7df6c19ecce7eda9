// The table of metrics beside what a trivial answer scores, and what the page says when a model is no better than that.

import { isOfClass } from "./training_state.js";
import { el, number } from "./ui.js";

const TITLES = {
  loss: "Loss", accuracy: "Accuracy (top 1)", accuracy_top5: "Accuracy (top 5)", mean_dice: "Mean Dice (pooled over all pixels)",
  mean_dice_pictures: "Mean Dice (mean over pictures)", mean_iou: "Mean IoU (pooled over all pixels)", mean_iou_pictures: "Mean IoU (mean over pictures)",
  pixel_accuracy: "Pixel accuracy", psnr: "PSNR", ssim: "SSIM", mae: "Mean absolute error", rmse: "Root mean square error", r2: "R²",
  map: "mAP@[.5:.95]", map50: "mAP@.5", map75: "mAP@.75", precision: "Precision", recall: "Recall",
};
const SHORT = { accuracy_top5: "top-5 accuracy", mean_dice_pictures: "Dice per picture", mean_iou_pictures: "IoU per picture" };
const COLUMNS = { dice: "Dice (pooled)", dice_pictures: "Dice (pictures)", iou: "IoU (pooled)", iou_pictures: "IoU (pictures)", ap: "AP@[.5:.95]", ap50: "AP@.5", precision: "Precision", recall: "Recall" };
const ABBREVIATIONS = { iou: "IoU", psnr: "PSNR", ssim: "SSIM", map: "mAP", dice: "Dice" };
const MOST_ROWS = 64;

export const title = (name) => TITLES[name] ?? name;
/** Without what stands in brackets, for tiles and columns; two outputs never get the same. */
export const shortTitle = (name) => SHORT[name] ?? title(name).replace(/ \(.*/, "").toLowerCase().replace(/\b(iou|map|psnr|ssim|dice)\b/gi, (word) => ABBREVIATIONS[word] ?? word);

/** A value of an output as text. */
export function shown(state, name, value) {
  if (value === null || value === undefined) return "–";
  if (state.curves.kinds[name] === "accuracy") return `${number(value * 100)} %`;
  return name === "psnr" ? `${number(value)} dB` : number(value);
}

/** Table of the validations' metrics: best, last, and the baseline; null before the first one. */
export function metricsTable(state) {
  const { val } = state.curves;
  const names = Object.keys(val.values).filter((name) => !isOfClass(name)).sort((a, b) => place(a) - place(b));
  if (!names.length) return null;
  const guess = state.baseline;
  const head = ["Metric", "Best", "at epoch", "Last", ...(guess ? ["Baseline"] : [])];
  const decider = state.decider();
  const rows = names.map((name) => {
    const best = state.bestOf(name);
    return el("tr", { class: name === decider ? "is-deciding" : "" },
      el("th", { scope: "row" }, title(name), name === decider && el("span", { class: "muted" }, " decides"), el("span", { class: "muted" }, state.isLowerBetter(name) ? " ↓" : " ↑")),
      cell(shown(state, name, best?.value)), cell(best ? number(Math.round(best.epoch * 100) / 100) : ""), cell(shown(state, name, state.last("val", name))),
      guess && cell(name in guess.values ? shown(state, name, guess.values[name]) : ""));
  });
  return el("div", { class: "table-scroll" }, el("table", { class: "table-list" }, header(head), el("tbody", {}, ...rows)));
}

/** Table of the newest values of each class; null where there are none. */
export function classTable(state) {
  const found = new Map();
  for (const name of Object.keys(state.curves.val.values).filter(isOfClass)) {
    const [kind, label] = split(name);
    if (!found.has(label)) found.set(label, {});
    found.get(label)[kind] = name;
  }
  if (!found.size) return null;
  const kinds = [...new Set([...found.values()].flatMap((row) => Object.keys(row)))];
  const compared = state.baseline && kinds.find((kind) => [...found.values()].some((row) => row[kind] in state.baseline.values));
  const head = ["Class", ...kinds.map((kind) => COLUMNS[kind] ?? kind), ...(compared ? ["Baseline"] : [])];
  const rows = [...found].slice(0, MOST_ROWS).map(([label, row]) => el("tr", {}, el("th", { scope: "row" }, label),
    ...kinds.map((kind) => cell(shown(state, row[kind], state.last("val", row[kind])))),
    compared && cell(shown(state, row[compared], state.baseline.values[row[compared]]))));
  return el("div", { class: "table-scroll class-metrics" }, el("table", { class: "table-list" }, header(head), el("tbody", {}, ...rows)));
}

/** What has to be said about the numbers: sentences, none while all is well or nothing was trained yet. */
export function verdict(state) {
  const best = state.best();
  if (!best || Math.max(...state.curves.val.epoch) < 1) return [];
  return [...noBetter(state, best), ...notFound(state)];
}

function noBetter(state, best) {
  const guess = state.baseline?.values[best.name];
  if (guess === null || guess === undefined || state.isBetter(best.name, best.value, guess)) return [];
  const values = `${shown(state, best.name, best.value)} against ${shown(state, best.name, guess)}`;
  return [`The model is no better than the trivial answer (${state.baseline.description}): ${title(best.name)} ${values}. ${advice(state)}`];
}

function advice(state) {
  return isRunning(state) ? "It may need more epochs." : "Train longer, try another learning rate, or look at the labels in the data set.";
}

const isRunning = (state) => ["I", "W", "R"].includes(state.status);

/** Classes that are there and that the newest validation did not find at all, perhaps while most pixels are right. */
function notFound(state) {
  const { values } = state.curves.val;
  const missing = Object.keys(values).filter((name) => /^(dice|ap50)\//.test(name) && state.last("val", name) === 0).map((name) => split(name)[1]);
  const accuracy = state.last("val", "pixel_accuracy");
  if (!missing.length) return [];
  const names = missing.slice(0, 5).map((name) => `“${name}”`).join(", ") + (missing.length > 5 ? ` and ${missing.length - 5} more` : "");
  const high = accuracy > 0.8 ? `${number(accuracy * 100)} % of all pixels are right, but the thing itself is not found: ` : "";
  return [`${high}${names} ${missing.length === 1 ? "is" : "are"} not found in any validation picture. ${advice(state)}`];
}

const place = (name) => (name in TITLES ? Object.keys(TITLES).indexOf(name) : 1000);
const split = (name) => [name.slice(0, name.indexOf("/")), name.slice(name.indexOf("/") + 1)];
const cell = (text) => el("td", { class: "num" }, text);
const header = (names) => el("thead", {}, el("tr", {}, ...names.map((name, i) => el("th", { class: i ? "num" : "" }, name))));
