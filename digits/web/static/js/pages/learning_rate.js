// @ts-check
// The learning rate over a training as the fields of the form have it now, drawn by the server's own rule.

import { colour, CONFIG, drawAlways, layout, plotly } from "../charts/theme_plot.js";
import { el, find } from "../parts/elements.js";
import { control } from "../parts/forms.js";
import { list } from "../parts/model_summary.js";
import { request } from "../parts/request.js";
import { debounced } from "../parts/timing.js";

const WAIT_MS = 150;

/**
 * Wires the chart below the fields of the learning rate; returns what draws it anew.
 * @param {HTMLFormElement} form
 * @param {string} address of the server's calculation, below the prefix
 */
export function attachLearningRate(form, address) {
  const panel = find("#lr-panel", form, HTMLDetailsElement);
  const chart = find("#lr-chart", form);
  /** @type {[name: string, ...values: number[]][]} */
  let rates = [];

  const plot = async () => {
    if (!rates.length || !panel.open) return;
    if (!chart.classList.contains("js-plotly-plot")) chart.replaceChildren();
    const bases = list(control(form, "learning_rate").value);
    const traces = rates.map(([name, ...y], i) => ({
      y,
      name: bases[i] || name,
      mode: "lines",
      line: { width: 2, color: colour(i) },
    }));
    const space = {
      margin: { l: 52, r: 10, t: 8, b: 36 },
      yaxis: { rangemode: "tozero" },
    };
    const shape = layout({
      x: "progress (%)",
      showlegend: rates.length > 1,
      ...space,
    });
    (await plotly()).react(chart, traces, shape, {
      ...CONFIG,
      displayModeBar: false,
    });
  };

  const draw = debounced(async () => {
    if (!panel.open) return;
    const fields = [...new FormData(form)].filter(([name]) => name === "learning_rate" || name.startsWith("lr_"));
    try {
      rates = (await request(address, {
        method: "POST",
        data: Object.fromEntries(fields),
      })).data.columns;
      await plot();
    } catch (error) {
      (await plotly()).purge(chart);
      chart.replaceChildren(
        el("p", { class: "muted p-3" }, /** @type {Error} */ (error).message),
      );
    }
  }, WAIT_MS);

  panel.addEventListener("toggle", draw);
  drawAlways(plot);
  return draw;
}
