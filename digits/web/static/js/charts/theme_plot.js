// Plotly in the colours of the page: charts follow the switch between light and dark.

const FONT = getComputedStyle(document.body).fontFamily;
export const CONFIG = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
const SERIES = {
  light: ["#3451c6", "#c2410c", "#177245", "#8b3fb5", "#0e7490", "#a16207", "#be185d", "#475569"],
  dark: ["#8ea5ff", "#ff9d6c", "#6fd39b", "#d39bf0", "#62cfe4", "#e9bd62", "#ff9ac6", "#a6aebb"],
};

const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const isDark = () => document.documentElement.dataset.bsTheme === "dark";

/** The colour of the i-th series. */
export const colour = (i) => { const all = SERIES[isDark() ? "dark" : "light"]; return all[i % all.length]; };

function axis(title, more) {
  return { title: { text: title, font: { size: 12 } }, gridcolor: variable("--line"), zerolinecolor: variable("--line-strong"),
    linecolor: variable("--line-strong"), tickfont: { size: 11 }, automargin: true, ...more };
}

/** A layout in the colours of now. */
export function layout({ x = "", y = "", xaxis = {}, yaxis = {}, ...more } = {}) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: FONT, color: variable("--ink-2"), size: 12 },
    margin: { l: 52, r: 14, t: 10, b: 40 }, hovermode: "x unified", showlegend: true,
    hoverlabel: { bgcolor: variable("--raised"), bordercolor: variable("--line-strong"), font: { color: variable("--ink") } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal", font: { size: 11 } },
    xaxis: axis(x, xaxis), yaxis: axis(y, yaxis), ...more,
  };
}

/** Plotly itself, once its deferred script has run. */
export function plotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  return new Promise((resolve) => addEventListener("load", () => resolve(window.Plotly), { once: true }));
}

/** Calls `draw` now and at each change of colours. */
export function drawAlways(draw) {
  document.addEventListener("digits:theme", () => draw());
  draw();
}
