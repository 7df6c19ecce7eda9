// @ts-check
// The layers of a model: a list that can be searched, and one of them large, also beside the same layer of another snapshot.

import { el, find, icon } from "../parts/elements.js";
import { compact, counted, measured } from "../parts/format.js";
import { url } from "../parts/request.js";
import { debounced } from "../parts/timing.js";
import { failed, sideTitle, stretched } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Side} Side */
/**
 * @typedef {object} Statistics of one array
 * @property {string} part
 * @property {number[]} shape
 * @property {number | null} mean
 * @property {number | null} stddev
 * @property {number | null} min
 * @property {number | null} max
 * @property {[number[], number[], number[]] | null} histogram
 * @property {number} nonfinite
 */
/**
 * @typedef {{name: string, kind: string, parameters: number, weights: Statistics[], activations: Statistics[], reason: string,
 *   note: string}} Layer
 */
/** @typedef {{low: number, high: number, shown: number, total: number, reason: string, note: string}} Drawing */
/**
 * @typedef {{layer: Layer, of: "weights" | "activations", part: string, drawing: Drawing, image: string,
 *   snapshot_epoch: number, network: string}} Shown
 */

const TILES = 64;
const COLOURED = "In the colours of the picture";

export class LayersView {
  /** @param {State} state */
  constructor(state) {
    this.state = state;
    this.list = find("[data-layer-list]");
    this.place = find("[data-layer]");
    this.search = find("[data-search]", document, HTMLInputElement);
    /** @type {Layer[]} */
    this.layers = [];
    this.first = 0;
    this.running = new AbortController();
    this.search.value ||= state.get("q"); // what was typed before this ran stays
    this.search.addEventListener(
      "input",
      debounced(() => {
        state.set({ q: this.search.value.trim() });
        this.drawList();
      }, 120),
    );
  }

  /** Draw the chosen layer, then the list: the first picture is there before the numbers of all layers. */
  async show() {
    this.running.abort();
    this.running = new AbortController();
    const { signal } = this.running;
    await this.drawLayer(signal);
    const [side] = this.state.sides();
    const found = await this.state.answer(side, "inside.json", {}, signal);
    this.layers = found.layers;
    find("[data-layer-count]").textContent = `${counted(this.layers.length, "layer")}, ${
      counted(found.total_parameters, "learned parameter")
    }`;
    find("#why-layers").replaceChildren(...this.layers.map(({ name }) => el("option", { value: name })));
    this.drawList();
  }

  /** The list without waiting for the numbers. */
  drawList() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = this.state.get("layer") || this.shownName;
    const rows = this.layers.filter(({ name, kind }) => words.every((word) => `${name} ${kind}`.toLowerCase().includes(word)));
    const row = (/** @type {Layer} */ layer) => {
      const facts = layer.activations[0] ?? layer.weights[0];
      const bad = [...layer.weights, ...layer.activations].reduce((sum, one) => sum + one.nonfinite, 0);
      return el(
        "button",
        {
          type: "button",
          class: "layer-row",
          "aria-current": layer.name === chosen ? "true" : null,
          onclick: () => this.choose({ layer: layer.name, of: "", part: "" }),
        },
        el("strong", {}, layer.name),
        el("span", { class: "muted" }, layer.kind, layer.parameters > 0 && ` · ${compact(layer.parameters)}`),
        facts && el("span", { class: "muted" }, facts.shape.join("×") || "1"),
        bad > 0 ? el("span", { class: "text-danger" }, `${compact(bad)} NaN or infinite`) : facts && histogram(facts),
      );
    };
    this.list.replaceChildren(...rows.map(row));
    if (!rows.length) this.list.append(el("p", { class: "muted" }, "No layer is called so."));
  }

  /** @param {Record<string, string>} changes */
  choose(changes) {
    this.first = 0;
    this.state.set(changes, true);
    this.running.abort();
    this.running = new AbortController();
    this.drawList();
    return this.drawLayer(this.running.signal);
  }

  /** @param {AbortSignal} signal */
  async drawLayer(signal) {
    this.place.classList.add("busy");
    const { state } = this;
    const options = { layer: state.get("layer"), of: state.get("of"), part: state.get("part"), colours: state.get("colours") };
    const tiles = { first: String(this.first), most: String(TILES) };
    try {
      const sides = state.sides();
      /** @type {Shown[]} */
      const shown = [];
      const row = el("div", { class: "sides" });
      for (const side of sides) {
        try {
          // without a wish the second shows what the first does
          const same = shown.length ? { layer: shown[0].layer.name, of: shown[0].of, part: shown[0].part } : {};
          shown.push(await state.answer(side, "inside/layer.json", { ...options, ...tiles, ...same }, signal));
        } catch (error) {
          if (!shown.length || /** @type {Error} */ (error).name === "AbortError") throw error;
          row.append(failed(side, error));
        }
      }
      await this.sameScale(sides, shown, { ...options, ...tiles }, signal);
      this.shownName = shown[0].layer.name;
      row.prepend(...shown.map((one, i) => this.side(sides[i], one)));
      this.place.replaceChildren(this.head(shown[0]), row);
    } catch (error) {
      if (/** @type {Error} */ (error).name === "AbortError") return;
      this.place.replaceChildren(
        el("div", { class: "alert alert-danger mb-0", role: "alert" }, /** @type {Error} */ (error).message),
      );
    }
    this.place.classList.remove("busy");
  }

  /**
   * Two that lie side by side have the same colours for the same values.
   * @param {Side[]} sides
   * @param {Shown[]} shown
   * @param {Record<string, string>} options
   * @param {AbortSignal} signal
   */
  async sameScale(sides, shown, options, signal) {
    if (shown.length < 2 || shown.some(({ image }) => !image)) return;
    const low = Math.min(...shown.map(({ drawing }) => drawing.low)),
      high = Math.max(...shown.map(({ drawing }) => drawing.high));
    for (const [i, { drawing }] of shown.entries()) {
      if (drawing.low === low && drawing.high === high) continue;
      const same = { ...options, low: String(low), high: String(high) };
      shown[i] = await this.state.answer(sides[i], "inside/layer.json", same, signal);
    }
  }

  /** @param {Shown} shown */
  head({ layer, of, part }) {
    const kinds = /** @type {("weights" | "activations")[]} */ (["weights", "activations"]);
    const title = { weights: "Weights", activations: "Activations" };
    const button = (/** @type {"weights" | "activations"} */ kind) =>
      el("button", {
        type: "button",
        class: `btn btn-sm ${kind === of ? "btn-primary" : "btn-outline-primary"}`,
        "aria-pressed": String(kind === of),
        onclick: () => this.choose({ layer: layer.name, of: kind, part: "" }),
      }, title[kind]);
    const parts = layer[of];
    const select = parts.length > 1 && el(
      "select",
      {
        class: "form-select form-select-sm",
        "aria-label": "Which array",
        onchange: (/** @type {Event} */ event) =>
          this.choose({ layer: layer.name, of, part: /** @type {HTMLSelectElement} */ (event.target).value }),
      },
      ...parts.map((one) => el("option", { value: one.part, selected: one.part === part }, `${one.part} ${one.shape.join("×")}`)),
    );
    return el(
      "div",
      { class: "chart-head" },
      el(
        "div",
        {},
        el("h2", { class: "mb-0 layer-title" }, layer.name),
        el("span", { class: "muted" }, `${layer.kind}, ${counted(layer.parameters, "learned parameter")}`),
      ),
      el(
        "div",
        { class: "chart-tools" },
        el("div", { class: "btn-group", role: "group", "aria-label": "What of it" }, ...kinds.map(button)),
        select,
      ),
    );
  }

  /**
   * @param {Side} side
   * @param {Shown} shown
   */
  side(side, { layer, of, part, drawing, image, snapshot_epoch, network }) {
    const facts = layer[of].find((one) => one.part === part);
    const options = { layer: layer.name, of, part };
    const address = url(this.state.address(side, "inside/layer.npy", options));
    const what = `${of === "weights" ? "Weights" : "Activations"} of ${layer.name}`;
    return el(
      "div",
      { class: "side" },
      sideTitle(side, { network, snapshot_epoch }),
      layer.note && of === "activations" && el("p", { class: "alert alert-info" }, layer.note),
      image
        ? el(
          "a",
          { href: image, download: `${layer.name}-${of}.png`, title: "Save the picture" },
          drawn(image, what),
        )
        : el("div", { class: "empty" }, el("p", { class: "mb-0" }, drawing.reason || "Nothing is drawn.")),
      image && layer.name !== "data" && this.scale(of, facts, drawing),
      drawing.note && el("p", { class: "muted" }, drawing.note),
      drawing.total > drawing.shown && this.pager(drawing),
      facts && statistics(facts),
      facts &&
        el("p", { class: "mb-0" }, el("a", { href: address, download: true }, icon("download"), " Numbers (.npy)")),
    );
  }

  /**
   * @param {string} of
   * @param {Statistics | undefined} facts
   * @param {Drawing} drawing
   */
  scale(of, facts, { low, high }) {
    const coloured = of === "weights" && facts?.shape.length === 4 && facts.shape[1] === 3 && facts.shape[2] * facts.shape[3] > 1;
    if (coloured) return el("p", { class: "muted" }, `${COLOURED}: ${measured(low)} dark, ${measured(high)} bright.`);
    const colours = this.state.get("colours") || "viridis";
    return el("div", { class: "scale" }, measured(low), el("span", { class: `ramp ramp-${colours}` }), measured(high));
  }

  /** @param {Drawing} drawing */
  pager({ shown, total }) {
    const go = (/** @type {number} */ to) => {
      this.first = to;
      this.running.abort();
      this.running = new AbortController();
      return this.drawLayer(this.running.signal);
    };
    const last = Math.min(total, this.first + shown);
    return el(
      "div",
      { class: "pager" },
      el("button", {
        type: "button",
        class: "btn btn-outline-secondary btn-sm",
        disabled: this.first === 0,
        "aria-label": "Maps before",
        onclick: () => go(Math.max(0, this.first - TILES)),
      }, icon("chevron-left")),
      el("span", { class: "muted" }, `${this.first + 1} to ${last} of ${total.toLocaleString("en")}`),
      el("button", {
        type: "button",
        class: "btn btn-outline-secondary btn-sm",
        disabled: last >= total,
        "aria-label": "Maps after",
        onclick: () => go(last),
      }, icon("chevron-right")),
    );
  }
}

/** @param {Statistics} facts */
function statistics(facts) {
  const rows = [
    ["Shape", facts.shape.join(" × ") || "1"],
    ["Mean", measured(facts.mean)],
    ["Deviation", measured(facts.stddev)],
    ["Smallest", measured(facts.min)],
    ["Largest", measured(facts.max)],
    ["NaN or infinite", facts.nonfinite.toLocaleString("en")],
  ];
  const list = el("dl", { class: "facts" }, ...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  return el("div", { class: "layer-facts" }, list, histogram(facts, true));
}

/**
 * @param {Statistics} facts
 * @param {boolean} [large]
 */
function histogram({ histogram: found, min, max }, large = false) {
  if (!found) return el("span", {});
  const [counts] = found;
  const most = Math.max(1, ...counts);
  const bar = (/** @type {number} */ count) =>
    el("span", { style: `height: ${count ? Math.max(4, (100 * count) / most) : 0}%`, title: large ? String(count) : null });
  const bars = el("span", {
    class: large ? "bars bars-large" : "bars",
    role: "img",
    "aria-label": `Histogram from ${measured(min)} to ${measured(max)}`,
  }, ...counts.map(bar));
  return large ? el("div", {}, bars, el("div", { class: "scale" }, measured(min), el("span", {}), measured(max))) : bars;
}

/**
 * A drawing; rows and columns of a long matrix stay thick enough to be seen.
 * @param {string} src
 * @param {string} alt
 */
function drawn(src, alt) {
  const image = el("img", { class: "drawing", alt });
  image.onload = () => image.classList.add(...stretched(image.naturalWidth, image.naturalHeight));
  image.src = src;
  return image;
}
