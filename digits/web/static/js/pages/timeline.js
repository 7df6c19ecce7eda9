// @ts-check
// The page of execution traces: where the time of a step went, its timeline, its longest operations.

import { drawAlways, token } from "../charts/theme_plot.js";
import { Timeline, timeText } from "../charts/timeline.js";
import { all, el, find, pageData, table } from "../parts/elements.js";
import { number, percent } from "../parts/format.js";
import { below, request } from "../parts/request.js";

/**
 * What a trace says of its step.
 * @typedef {object} Step
 * @property {number} step
 * @property {number} seconds
 * @property {Record<string, number>} parts
 * @property {string} where
 * @property {{name: string, calls: number, seconds: number}[]} [operations]
 */

/** @type {Record<string, string>} */
const COLOURS = {
  forward: "series-0",
  backward: "series-1",
  optimizer: "series-3",
  data: "series-5",
  rest: "series-7",
  layer: "series-4",
  operation: "series-2",
  runtime: "series-7",
};

const root = find("[data-trace]");
/** @type {{traces: Step[], words: Record<string, string>}} */
const data = pageData("trace-data");
const choice = find("#trace-step", document, HTMLSelectElement);
const said = find("[data-timeline-said]", root);
const colourOf = (/** @type {string} */ category) => COLOURS[category] ?? "series-7";
const timeline = new Timeline(find("[data-timeline]", root, HTMLCanvasElement), colourOf, (text) => {
  said.textContent = text;
});

/** @param {Step} step */
function showParts({ parts, seconds }) {
  const ordered = Object.entries(parts).sort(([, a], [, b]) => b - a);
  const style = (/** @type {string} */ part) => `background: ${token(colourOf(part))}`;
  find("[data-trace-parts]", root).replaceChildren(
    ...ordered.map(([part, value]) => el("span", { style: `${style(part)}; flex: ${value / seconds} 0 0` })),
  );
  find("[data-trace-legend]", root).replaceChildren(
    ...ordered.map(([part, value]) =>
      el(
        "div",
        {},
        el("dt", {}, el("span", { style: style(part) }), data.words[part] ?? part),
        el("dd", {}, `${timeText(value * 1e6)}, ${percent(value / seconds)}`),
      )
    ),
  );
}

/** @param {Step} step */
function showOperations({ operations = [], seconds }) {
  const rows = operations.map(({ name, calls, seconds: own }) => {
    const cells = [number(calls), timeText(own * 1e6), percent(own / seconds)];
    return el("tr", {}, el("td", {}, name), ...cells.map((text) => el("td", { class: "num" }, text)));
  });
  find("[data-trace-operations]", root).replaceChildren(table(["Operation", "Calls", "Time", "Of the step"], rows, (i) => i > 0));
}

async function show() {
  const step = choice.value, query = new URLSearchParams({ job_id: root.dataset.job ?? "", step });
  const address = root.dataset.address ?? "";
  const known = data.traces.find((trace) => String(trace.step) === step);
  const where = find("[data-trace-where]", root);
  find("[data-trace-download]", root).setAttribute("href", `${address}?${query}`);
  where.textContent = known?.where ?? "";
  if (known) showParts(known);
  try {
    const found = await request(below(address), { method: "POST", data: Object.fromEntries(query) });
    if (choice.value !== step) return;
    timeline.show(found.traceEvents);
    showOperations(found.digits);
  } catch (error) {
    where.textContent = /** @type {Error} */ (error).message;
  }
}

for (const button of all("[data-zoom]", root)) {
  const factor = Number(button.dataset.zoom);
  button.addEventListener("click", () => factor ? timeline.zoom(factor) : timeline.reset());
}
choice.addEventListener("change", show);
drawAlways(() => {
  timeline.later();
  const known = data.traces.find((trace) => String(trace.step) === choice.value);
  if (known) showParts(known);
});
show();
