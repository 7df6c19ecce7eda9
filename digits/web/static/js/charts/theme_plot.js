// @ts-check
// Plotly in the colours of the page: charts follow the switch between light and dark.

export const SERIES = 8; // tokens --series-0 to --series-7
const HEIGHT = 190; // pixels of a plot without its axis and legend, about: Plotly places legends by shares of it
export const CONFIG = {
  displaylogo: false,
  responsive: true,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  showSendToCloud: false, // a button that gives the chart to somebody else's server
  plotlyServerURL: "",
};

/**
 * A colour of css/tokens.css as it is now.
 * @param {string} name
 */
export const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/**
 * The colour of the i-th series.
 * @param {number} i
 */
export const colour = (i) => token(`series-${i % SERIES}`);

/**
 * @param {string} title
 * @param {Record<string, any>} more
 */
function axis(title, more) {
  return {
    title: { text: title, font: { size: 12 } },
    gridcolor: token("line"),
    zerolinecolor: token("line-strong"),
    linecolor: token("line-strong"),
    tickfont: { size: 11 },
    automargin: true,
    ...more,
  };
}

/**
 * A layout in the colours of now; `x` and `y` are the titles of the axes, `above` the pixels that stay free over the plot, below
 * its legend; what else is given overrides Plotly's own names.
 * @param {Record<string, any>} [options]
 */
export function layout({ x = "", y = "", xaxis = {}, yaxis = {}, above = 0, ...more } = {}) {
  return {
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    font: { family: getComputedStyle(document.body).fontFamily, color: token("ink-2"), size: 12 },
    margin: { l: 52, r: 14, t: 10 + above, b: 40 },
    hovermode: "x unified",
    showlegend: true,
    hoverlabel: { bgcolor: token("raised"), bordercolor: token("line-strong"), font: { color: token("ink") } },
    modebar: { bgcolor: "transparent", color: token("ink-3"), activecolor: token("ink") },
    legend: { orientation: "h", x: 0, y: 1.02 + above / HEIGHT, yanchor: "bottom", traceorder: "normal", font: { size: 11 } },
    xaxis: axis(x, xaxis),
    yaxis: axis(y, yaxis),
    ...more,
  };
}

/**
 * Whether the axis of these values is logarithmic where that is wanted: one that has values below zero, which it has no place for,
 * stays linear.
 * @param {boolean} wanted
 * @param {Iterable<number | null | undefined>} values
 */
export function isLog(wanted, values) {
  let hasPositive = false;
  for (const value of wanted ? values : []) {
    if (typeof value !== "number" || !Number.isFinite(value)) continue;
    if (value < 0) return false;
    hasPositive ||= value > 0;
  }
  return hasPositive;
}

/**
 * Where Plotly is to put a line and a text at a value of an axis: of a logarithmic one it takes texts at the value's logarithm.
 * Null where the axis has no place for it.
 * @param {number} value
 * @param {boolean} log
 * @returns {{line: number, text: number} | null}
 */
export const levelOf = (value, log) =>
  !log ? { line: value, text: value } : value > 0 ? { line: value, text: Math.log10(value) } : null;

/**
 * A text as it is: Plotly reads tags in names.
 * @param {string} text
 */
export const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** @type {Promise<any> | undefined} */
let loading;

/**
 * Plotly itself, once its script has run: of pages that fetch it beforehand only now, as it holds up all else for a while.
 * @returns {Promise<any>}
 */
export function plotly() {
  const known = () => /** @type {any} */ (globalThis).Plotly;
  if (known()) return Promise.resolve(known());
  const link = document.querySelector("link[data-plotly]");
  if (link instanceof HTMLLinkElement) {
    return loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.onload = () => resolve(known());
      script.onerror = () => reject(new Error("The charts could not be loaded; reload the page."));
      script.src = link.href;
      document.head.append(script);
    });
  }
  return new Promise((resolve) => addEventListener("load", () => resolve(known()), { once: true }));
}

/**
 * The chart keeps the size of its place; what has it already is not drawn again.
 * @param {HTMLElement} area
 * @param {any} Plotly
 */
export function followSize(area, Plotly) {
  new ResizeObserver(() => {
    const drawn = /** @type {any} */ (area)._fullLayout;
    if (drawn && area.offsetWidth && drawn.width !== area.clientWidth) Plotly.Plots.resize(area);
  }).observe(area);
}

/** Charts are drawn when they come near what is seen: each takes its time. Before the page is printed all are. */
export class DrawnInView {
  constructor() {
    /** @type {Map<Element, () => void>} */
    this.waiting = new Map();
    this.seen = new WeakSet();
    this.observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        this.observer.unobserve(target);
        this.seen.add(target);
        this.waiting.get(target)?.();
        this.waiting.delete(target);
      }
    }, { rootMargin: "600px 0px" });
    addEventListener("beforeprint", () => {
      for (const draw of this.waiting.values()) draw();
      this.waiting.clear();
    });
  }

  /**
   * Draw now where the chart is in view or was, else when it is.
   * @param {Element} area
   * @param {() => void} draw
   */
  draw(area, draw) {
    if (this.seen.has(area)) return draw();
    if (!this.waiting.has(area)) this.observer.observe(area);
    this.waiting.set(area, draw);
  }

  /** @param {Element} area that is removed */
  forget(area) {
    this.observer.unobserve(area);
    this.waiting.delete(area);
  }
}

/**
 * Calls `draw` now and at each change of colours.
 * @param {() => void} draw
 */
export function drawAlways(draw) {
  document.addEventListener("digits:theme", () => draw());
  draw();
}
