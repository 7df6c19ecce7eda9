// @ts-check
// A confusion matrix that is too large for a table, as a heat map; a click asks for the pictures of a cell (an event `pictures`).

import { CONFIG, layout, plotly, token } from "./theme_plot.js";

const MOST_TICKS = 40;

/** @typedef {{labels: string[], cells: [row: number, column: number, count: number][]}} Matrix the cells that are not 0 */

/**
 * Counts and shares (in percent of their row) of the rows that have any.
 * @param {Matrix} matrix
 */
export function dense({ labels, cells }) {
  const rows = [...new Set(cells.map(([row]) => row))].sort((a, b) => a - b);
  const at = new Map(rows.map((row, place) => [row, place]));
  const counts = rows.map(() => new Array(labels.length).fill(0));
  for (const [row, column, count] of cells) counts[at.get(row) ?? 0][column] = count;
  const shares = counts.map((row) => {
    const sum = row.reduce((a, b) => a + b, 0);
    return row.map((count) => (100 * count) / sum);
  });
  return { rows, counts, shares };
}

/**
 * @param {any} chart the element, which Plotly gives methods
 * @param {Matrix} matrix
 */
export async function drawMatrix(chart, matrix) {
  const { labels } = matrix;
  const { rows, counts, shares } = dense(matrix);
  const names = new Set(labels).size === labels.length ? labels : labels.map((label, i) => `${label} (${i})`);
  const low = token("sunken");
  const trace = {
    type: "heatmap",
    z: shares,
    customdata: counts,
    x: names,
    y: rows.map((row) => names[row]),
    zmin: 0,
    zmax: 100,
    colorscale: [[0, low], [0.005, low], [0.02, `rgba(${token("accent-rgb")}, .3)`], [1, token("accent")]],
    colorbar: { title: "%", thickness: 12, outlinewidth: 0 },
    hovertemplate: "%{customdata} of %{y} taken for %{x}<extra></extra>",
  };
  const bare = { type: "category", tickfont: { size: 10 }, showgrid: false, zeroline: false };
  const shape = layout({
    x: "Predicted",
    y: "True",
    xaxis: { ...bare, ...ticks(names) },
    yaxis: { ...bare, ...ticks(trace.y), autorange: "reversed" },
    hovermode: "closest",
    margin: { t: 10, r: 10 },
  });
  (await plotly()).react(chart, [trace], shape, CONFIG);
  chart.removeAllListeners?.("plotly_click");
  chart.on("plotly_click", (/** @type {any} */ { points: [point] }) => {
    const [row, column] = point.pointIndex;
    const detail = { label: String(rows[row]), predicted: String(column) };
    chart.dispatchEvent(new CustomEvent("pictures", { bubbles: true, detail }));
  });
}

/**
 * As many names as can be read; the others appear on hover.
 * @param {string[]} values
 */
function ticks(values) {
  const step = Math.ceil(values.length / MOST_TICKS);
  const shown = values.filter((_, place) => place % step === 0);
  return { tickvals: shown };
}
