// @ts-check
// The charts of an evaluation: precision and recall, ROC, reliability, residuals, and how a number is distributed.

import { colour, CONFIG, layout, plotly, token } from "./theme_plot.js";

/** @typedef {[threshold: number | null, right: number, wrong: number]} Point null stands for a threshold above all scores */
/**
 * @typedef {object} Curve
 * @property {string} label
 * @property {number} positives
 * @property {number} negatives
 * @property {number | null} auc
 * @property {number | null} ap
 * @property {Point[]} points from high thresholds to low
 */
/** @typedef {{low: number, high: number, count: number, confidence: number | null, accuracy: number | null}} Bin */

const MOST_OTHERS = 12; // classes that are drawn behind the chosen one

/**
 * What a threshold does: shares in [0, 1], null where they divide by 0.
 * @param {Curve} curve
 * @param {number} at place of a point
 */
export function effectOf({ points, positives }, at) {
  const [threshold, right, wrong] = points[at];
  const found = right + wrong, missed = positives - right;
  return {
    threshold,
    right,
    wrong,
    missed,
    precision: found ? right / found : null,
    recall: positives ? right / positives : null,
    f1: found + positives ? (2 * right) / (found + positives) : null,
  };
}

/**
 * The place of the lowest point that is not below a threshold.
 * @param {Curve} curve
 * @param {number} threshold
 */
export function placeOf({ points }, threshold) {
  let place = 0;
  for (const [i, [score]] of points.entries()) if (score === null || score >= threshold) place = i;
  return place;
}

/**
 * The place of the point with the highest F1.
 * @param {Curve} curve
 */
export function bestPlace(curve) {
  let best = 0;
  for (const i of curve.points.keys()) if ((effectOf(curve, i).f1 ?? -1) > (effectOf(curve, best).f1 ?? -1)) best = i;
  return best;
}

/**
 * @param {Curve} curve
 * @param {"pr" | "roc"} kind
 */
function line(curve, kind) {
  const places = [...curve.points.keys()];
  const all = places.map((i) => effectOf(curve, i));
  const scores = all.map(({ threshold }) => threshold);
  if (kind === "pr") {
    const known = places.filter((i) => all[i].precision !== null && all[i].recall !== null);
    return {
      x: known.map((i) => all[i].recall),
      y: known.map((i) => all[i].precision),
      customdata: known.map((i) => [i, scores[i]]),
    };
  }
  const x = all.map(({ wrong }) => (curve.negatives ? wrong / curve.negatives : null));
  return { x, y: all.map(({ recall }) => recall), customdata: places.map((i) => [i, scores[i]]) };
}

/**
 * The curve of one class, those of some others behind it, and where the threshold is. `choose` gets the place that is clicked.
 * @param {any} chart the element, which Plotly gives methods
 * @param {Curve[]} curves
 * @param {number} chosen
 * @param {"pr" | "roc"} kind
 * @param {number} at place of the threshold
 * @param {(place: number) => void} choose
 */
export async function drawCurve(chart, curves, chosen, kind, at, choose) {
  const own = curves[chosen];
  const names = kind === "pr" ? ["Recall", "Precision"] : ["False positive rate", "True positive rate"];
  const others = curves.length <= MOST_OTHERS ? curves.filter((_, i) => i !== chosen) : [];
  const thin = others.map((curve) => ({
    ...line(curve, kind),
    name: curve.label,
    mode: "lines",
    line: { color: token("line-strong"), width: 1 },
    hovertemplate: "%{fullData.name}<extra></extra>",
  }));
  const main = {
    ...line(own, kind),
    name: own.label,
    mode: "lines",
    line: { color: colour(0), width: 2.5, shape: kind === "pr" ? "hv" : "linear" },
    hovertemplate: `${names[0]} %{x:.3f}<br>${names[1]} %{y:.3f}<br>score ≥ %{customdata[1]:.4f}<extra></extra>`,
  };
  const place = main.customdata.findIndex(([i]) => i === at);
  const marker = {
    x: [main.x[place]],
    y: [main.y[place]],
    mode: "markers",
    marker: { color: token("accent-strong"), size: 12, symbol: "diamond" },
    hoverinfo: "skip",
  };
  const chance = {
    x: [0, 1],
    y: [0, 1],
    mode: "lines",
    line: { color: token("ink-3"), dash: "dot", width: 1 },
    hoverinfo: "skip",
  };
  const range = { range: [-0.02, 1.02] };
  const shape = layout({ x: names[0], y: names[1], xaxis: range, yaxis: range, hovermode: "closest", showlegend: false });
  (await plotly()).react(chart, [...thin, ...(kind === "roc" ? [chance] : []), main, marker], shape, CONFIG);
  chart.removeAllListeners?.("plotly_click");
  chart.on("plotly_click", (/** @type {any} */ { points }) => {
    const hit = points.find((/** @type {any} */ point) => point.fullData.name === own.label && point.customdata);
    if (hit) choose(hit.customdata[0]);
  });
}

/**
 * How often the model is right when it says that it is so sure, before and after the temperature.
 * @param {HTMLElement} chart
 * @param {{bins: Bin[]}} before
 * @param {{bins: Bin[]} | null} after
 * @param {string} right what the height of a bar is
 */
export async function drawReliability(chart, before, after, right) {
  const middles = before.bins.map(({ low, high }) => (low + high) / 2);
  const bars = {
    type: "bar",
    name: "as it is",
    x: middles,
    y: before.bins.map(({ accuracy }) => accuracy),
    width: before.bins.map(({ low, high }) => 0.94 * (high - low)),
    customdata: before.bins.map(({ count, confidence }) => [count, confidence]),
    marker: { color: `rgba(${token("accent-rgb")}, .45)`, line: { color: token("accent"), width: 1 } },
    hovertemplate: "said %{customdata[1]:.1%}, right %{y:.1%}<br>%{customdata[0]:,} of them<extra></extra>",
  };
  const filled = (after?.bins ?? []).filter(({ count }) => count);
  const mended = {
    name: "with the temperature",
    x: filled.map(({ confidence }) => confidence),
    y: filled.map(({ accuracy }) => accuracy),
    mode: "lines+markers",
    line: { color: colour(1), width: 2 },
    hovertemplate: "said %{x:.1%}, right %{y:.1%}<extra>with the temperature</extra>",
  };
  const ideal = { name: "as it should be", x: [0, 1], y: [0, 1], mode: "lines", line: { color: token("ink-3"), dash: "dot" } };
  const share = { range: [0, 1.02], tickformat: ".0%" };
  const shape = layout({ x: "What the model says", y: right, xaxis: share, yaxis: share, hovermode: "closest", bargap: 0 });
  (await plotly()).react(chart, [bars, ...(after ? [mended] : []), { ...ideal, hoverinfo: "skip" }], shape, CONFIG);
}

/**
 * A histogram that was counted already.
 * @param {HTMLElement} chart
 * @param {{edges: number[], counts: number[]}} counted
 * @param {string} title of the number
 */
export async function drawHistogram(chart, { edges, counts }, title) {
  const bars = {
    type: "bar",
    x: counts.map((_, i) => (edges[i] + edges[i + 1]) / 2),
    y: counts,
    width: counts.map((_, i) => edges[i + 1] - edges[i]),
    customdata: counts.map((_, i) => [edges[i], edges[i + 1]]),
    marker: { color: `rgba(${token("accent-rgb")}, .6)`, line: { color: token("surface"), width: 1 } },
    hovertemplate: "%{customdata[0]:.4g} to %{customdata[1]:.4g}: %{y:,}<extra></extra>",
  };
  const shape = layout({ x: title, y: "Pictures", hovermode: "closest", showlegend: false, bargap: 0 });
  (await plotly()).react(chart, [bars], shape, CONFIG);
}

/**
 * True against predicted; a click gives the row of a picture.
 * @param {any} chart
 * @param {{label: string, points: [truth: number, predicted: number, row: number][]}} column
 * @param {(row: number) => void} open
 */
export async function drawResiduals(chart, { points }, open) {
  const truth = points.map(([real]) => real);
  const ends = [Math.min(...truth), Math.max(...truth)];
  const dots = {
    type: "scattergl",
    x: truth,
    y: points.map(([, made]) => made),
    customdata: points.map(([, , row]) => row),
    mode: "markers",
    marker: { color: `rgba(${token("accent-rgb")}, .55)`, size: 6 },
    hovertemplate: "true %{x:.5g}, predicted %{y:.5g}<br>picture %{customdata}<extra></extra>",
  };
  const ideal = { x: ends, y: ends, mode: "lines", line: { color: token("ink-3"), dash: "dot" }, hoverinfo: "skip" };
  const shape = layout({ x: "True", y: "Predicted", hovermode: "closest", showlegend: false });
  (await plotly()).react(chart, [{ ...dots, type: "scatter" }, ideal], shape, CONFIG);
  chart.removeAllListeners?.("plotly_click");
  chart.on("plotly_click", (/** @type {any} */ { points: [point] }) => point.customdata !== undefined && open(point.customdata));
}
