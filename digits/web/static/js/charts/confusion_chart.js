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
  const columns = labels.map((_, i) => i), places = rows.map((_, i) => i);
  const low = token("sunken");
  const trace = {
    type: "heatmap",
    z: shares,
    customdata: counts,
    x: columns,
    y: places,
    zmin: 0,
    zmax: 100,
    colorscale: [[0, low], [0.005, low], [0.02, `rgba(${token("accent-rgb")}, .3)`], [1, token("accent")]],
    colorbar: { title: "%", thickness: 12, outlinewidth: 0 },
    hovertemplate: "%{customdata} of %{text}<extra></extra>",
    text: rows.map((row) => labels.map((label) => `${labels[row]} taken for ${label}`)),
  };
  const bare = { tickfont: { size: 10 }, showgrid: false, zeroline: false };
  const shape = layout({
    x: "Predicted",
    y: "True",
    xaxis: { ...bare, ...ticks(columns, (i) => labels[i]) },
    yaxis: { ...bare, ...ticks(places, (i) => labels[rows[i]]), autorange: "reversed" },
    hovermode: "closest",
    margin: { t: 10, r: 10 },
  });
  (await plotly()).react(chart, [trace], shape, CONFIG);
  chart.removeAllListeners?.("plotly_click");
  chart.on("plotly_click", (/** @type {any} */ { points: [point] }) => {
    const detail = { label: String(rows[point.y]), predicted: String(point.x) };
    chart.dispatchEvent(new CustomEvent("pictures", { bubbles: true, detail }));
  });
}

/**
 * As many names as can be read; the others appear on hover.
 * @param {number[]} values
 * @param {(value: number) => string} name
 */
function ticks(values, name) {
  const step = Math.ceil(values.length / MOST_TICKS);
  const shown = values.filter((_, place) => place % step === 0);
  return { tickvals: shown, ticktext: shown.map(name) };
}
