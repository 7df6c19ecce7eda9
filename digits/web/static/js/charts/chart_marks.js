// @ts-check
// What stands in a chart beside its curves.

import { colour, levelOf } from "./theme_plot.js";

/** @typedef {import("../parts/training_state.js").TrainingState} TrainingState */

const ABOVE = 16; // pixels that the word at the best needs

/**
 * A line where the best snapshot is, named above the plot, where no curve is, and one at what a guess without looking scores.
 * @param {{name: string, epoch: number}} best
 * @param {TrainingState} state
 * @param {boolean} log whether the chart's axis is logarithmic
 */
export function bestMark(best, state, log) {
  const tint = colour(2);
  const upright = { yref: "paper", y0: 0, y1: 1, line: { color: tint, width: 1.5, dash: "dot" } };
  const line = { type: "line", x0: best.epoch, x1: best.epoch, ...upright };
  const { train, val } = state.curves;
  const side = best.epoch > Math.max(train.epoch.at(-1) ?? 0, val.epoch.at(-1) ?? 0) / 2 ? "right" : "left";
  const place = { yref: "paper", y: 1, showarrow: false, xanchor: side, yanchor: "bottom" };
  const note = { x: best.epoch, text: "best", ...place, font: { size: 11, color: tint } };
  const guess = state.baseline?.values[best.name];
  const at = typeof guess === "number" && levelOf(guess * (state.facts(best.name).unit === "%" ? 100 : 1), log);
  if (!at) return { above: ABOVE, shapes: [line], annotations: [note] };
  const [level, name] = baselineMark(at);
  return { above: ABOVE, shapes: [line, level], annotations: [note, name] };
}

/** @param {{line: number, text: number}} at */
function baselineMark({ line: y, text }) {
  const tint = colour(7);
  const level = { type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: tint, width: 1, dash: "dot" } };
  const place = { xref: "paper", x: 1, y: text, showarrow: false, xanchor: "right", yanchor: "bottom" };
  return [level, { text: "baseline", ...place, font: { size: 10, color: tint } }];
}
