// An evaluation's page: shows the result when the job ends, draws large confusion matrices, sorts the table of classes.

import { request } from "../parts/ui.js";

const MOST_TICKS = 40;
const job = document.getElementById("job");

for (const select of document.querySelectorAll("[data-goto]")) {
  select.addEventListener("change", () => { location.href = select.value; });
}

const waiting = document.querySelector("[data-wait]");
if (waiting) waitForResult();

async function waitForResult() {
  const page = `/evaluations/${job.dataset.jobId}`;
  if (!location.pathname.endsWith(page)) history.replaceState(null, "", document.querySelector("meta[name=digits-root]").content + page + location.hash);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 700));
    try {
      const status = (await request(`/jobs/${job.dataset.jobId}/status`)).status;
      if (!["Initialized", "Waiting", "Running"].includes(status)) return location.reload();
    } catch { /* the server is away; it is asked again */ }
  }
}

const chart = document.querySelector("[data-matrix]");
if (chart) {
  addEventListener("load", () => drawMatrix(chart));
  document.addEventListener("digits:theme", () => window.Plotly && drawMatrix(chart));
}

function drawMatrix(chart) {
  const { labels, cells } = JSON.parse(document.getElementById("matrix-data").textContent);
  const rows = [...new Set(cells.map(([row]) => row))].sort((a, b) => a - b);
  const at = new Map(rows.map((row, place) => [row, place]));
  const counts = rows.map(() => new Array(labels.length).fill(0));
  for (const [row, column, count] of cells) counts[at.get(row)][column] = count;
  const shares = counts.map((row) => { const sum = row.reduce((a, b) => a + b, 0); return row.map((n) => (100 * n) / sum); });
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink-2").trim();
  const low = style.getPropertyValue("--sunken").trim();
  const high = style.getPropertyValue("--accent").trim();
  const some = `rgba(${style.getPropertyValue("--accent-rgb").trim()}, .3)`;
  const axis = { tickfont: { size: 10 }, automargin: true, showgrid: false, zeroline: false };
  const columns = labels.map((_, i) => i);
  const places = rows.map((_, i) => i);
  const trace = {
    type: "heatmap", z: shares, customdata: counts, x: columns, y: places, zmin: 0, zmax: 100,
    colorscale: [[0, low], [0.005, low], [0.02, some], [1, high]], colorbar: { title: "%", thickness: 12, outlinewidth: 0 },
    hovertemplate: "%{customdata} of %{text}<extra></extra>",
    text: rows.map((row) => labels.map((label) => `${labels[row]} taken for ${label}`)),
  };
  const layout = {
    margin: { t: 10, r: 10 }, paper_bgcolor: "transparent", plot_bgcolor: "transparent", font: { color: ink },
    xaxis: { ...axis, ...ticks(columns, (i) => labels[i]), title: { text: "Predicted" } },
    yaxis: { ...axis, ...ticks(places, (i) => labels[rows[i]]), autorange: "reversed", title: { text: "True" } },
  };
  window.Plotly.react(chart, [trace], layout, { responsive: true, displaylogo: false });
  chart.removeAllListeners?.("plotly_click");
  chart.on("plotly_click", ({ points: [point] }) => {
    const query = new URLSearchParams({ label: rows[point.y], predicted: point.x });
    location.href = `${location.pathname}?${query}#pictures`;
  });
}

/** As many names as can be read; the others appear on hover. */
function ticks(values, name) {
  const step = Math.ceil(values.length / MOST_TICKS);
  const shown = values.filter((_, place) => place % step === 0);
  return { tickvals: shown, ticktext: shown.map(name) };
}

for (const table of document.querySelectorAll("[data-sortable]")) {
  [...table.tHead.rows[0].cells].forEach((cell, column) => sortable(table, cell, column));
}

function sortable(table, cell, column) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...cell.childNodes);
  cell.append(button);
  button.addEventListener("click", () => {
    const up = cell.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => row.cells[column].textContent.trim();
    const number = (text) => (text === "–" ? -1 : Number(text.replace(/[,%\s]/g, "")));
    const order = column ? (a, b) => number(value(a)) - number(value(b)) : (a, b) => value(a).localeCompare(value(b), undefined, { numeric: true });
    const rows = [...table.tBodies[0].rows].sort((a, b) => (up ? order(a, b) : order(b, a)));
    table.tBodies[0].append(...rows);
  });
}
