// @ts-check
// What a chart is taken away as: a picture, a drawing, or its numbers.

import { el, icon } from "../parts/elements.js";
import { fileName, saveText } from "../parts/downloads.js";
import { plotly } from "./theme_plot.js";

const SCALE = 2; // of pictures, so that they print well

/**
 * A button with a menu for one chart.
 * @param {HTMLElement} area where Plotly draws it
 * @param {string} title
 */
export function chartMenu(area, title) {
  const name = fileName(title, document.getElementById("job")?.dataset.jobId ?? "chart");
  const item = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
    el("li", {}, el("button", { class: "dropdown-item", type: "button", onclick }, text));
  const button = el(
    "button",
    {
      class: "btn btn-link btn-sm chart-menu",
      type: "button",
      "data-bs-toggle": "dropdown",
      "aria-expanded": "false",
      "aria-label": `Save the chart: ${title}`,
      title: "Save this chart",
    },
    icon("download"),
  );
  const items = [
    item("PNG picture", () => savePicture(area, name, "png")),
    item("SVG drawing", () => savePicture(area, name, "svg")),
    item("CSV numbers", () => saveText(csvOf(area), `${name}.csv`, "text/csv")),
  ];
  return el("span", { class: "dropdown" }, button, el("ul", { class: "dropdown-menu dropdown-menu-end" }, ...items));
}

/**
 * @param {HTMLElement} area
 * @param {string} filename
 * @param {"png" | "svg"} format
 */
async function savePicture(area, filename, format) {
  const Plotly = await plotly();
  const size = { width: area.clientWidth, height: area.clientHeight, scale: format === "png" ? SCALE : 1 };
  await Plotly.downloadImage(area, { format, filename, ...size });
}

/**
 * The points as they are drawn: `curve, x, y`, a line each.
 * @param {HTMLElement} area
 */
function csvOf(area) {
  const { data = [], layout } = /** @type {any} */ (area);
  const x = layout?.xaxis?.title?.text || "x";
  const lines = [["curve", x, "value"]];
  for (const trace of data) {
    for (const [i, at] of [...(trace.x ?? [])].entries()) {
      const value = trace.y[i];
      lines.push([trace.text?.[i] ?? trace.name ?? "", String(at), value === null || value === undefined ? "" : String(value)]);
    }
  }
  return lines.map((cells) => cells.map(quoted).join(",")).join("\n") + "\n";
}

/** @param {string} text as a cell */
const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
