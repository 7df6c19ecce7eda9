// @ts-check
// Why a model answers so: the map of a method over the picture, what speaks for it, and whether the map can be trusted.

import { el, find, pageData } from "../parts/elements.js";
import { fixed, measured } from "../parts/format.js";
import { failed, sideTitle, stretched } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Side} Side */
/** @typedef {{name: string, title: string, signed: boolean, about: string, source: string, of_class: boolean, of_layer: boolean}} Method */
/** @typedef {{target: number, label: string, score?: number, share?: number, box?: number[]}} Target */
/** @typedef {{correlation: number | null, changes: boolean | null, reason: string}} Sanity */
/**
 * @typedef {object} Explanation
 * @property {string} method
 * @property {boolean} signed
 * @property {number} target
 * @property {Target[]} targets
 * @property {number} score
 * @property {string} layer
 * @property {string} note
 * @property {number} low
 * @property {number} high
 * @property {[number, number]} size
 * @property {Record<string, string>} methods
 * @property {Record<string, string>} maps
 * @property {string} image
 * @property {number | null} total
 * @property {number | null} difference
 * @property {number} seconds
 * @property {Sanity | null} sanity
 * @property {number} snapshot_epoch
 * @property {string} network
 * @property {string} picture_note
 */

export class WhyView {
  /** @param {State} state */
  constructor(state) {
    this.state = state;
    this.place = find("[data-why]");
    this.method = find("[data-method]", document, HTMLSelectElement);
    this.target = find("[data-target]", document, HTMLSelectElement);
    this.layer = find("[data-why-layer]", document, HTMLInputElement);
    this.strength = find("[data-strength]", document, HTMLInputElement);
    this.methods = /** @type {Method[]} */ (pageData("inside-methods"));
    this.running = new AbortController();
    this.method.addEventListener("change", () => this.choose({ method: this.method.value }));
    this.target.addEventListener("change", () => this.choose({ target: this.target.value }));
    this.layer.addEventListener("change", () => this.choose({ at: this.layer.value.trim() }));
    this.strength.addEventListener("input", () => this.fade());
  }

  /** @param {Record<string, string>} changes */
  choose(changes) {
    this.state.set(changes, true);
    return this.show();
  }

  async show() {
    this.running.abort();
    this.running = new AbortController();
    const { signal } = this.running;
    if (!this.state.hasPicture()) {
      this.place.replaceChildren(el("p", { class: "muted mb-0" }, "Choose a picture above."));
      return;
    }
    this.place.classList.add("busy");
    if (!this.place.querySelector(".sides")) {
      this.place.replaceChildren(el("p", { class: "muted mb-0", role: "status" }, "Looking …"));
    }
    try {
      await this.draw(signal);
    } catch (error) {
      if (/** @type {Error} */ (error).name === "AbortError") return;
      this.place.replaceChildren(
        el("div", { class: "alert alert-danger mb-0", role: "alert" }, /** @type {Error} */ (error).message),
      );
    }
    this.place.classList.remove("busy");
  }

  /** @param {AbortSignal} signal */
  async draw(signal) {
    const { state } = this;
    const options = { method: state.get("method"), target: state.get("target"), layer: state.get("at") };
    const sides = state.sides();
    const boxes = [];
    const row = el("div", { class: "sides" });
    for (const side of sides) {
      /** @type {Explanation} */
      let found;
      try {
        found = await state.answer(side, "explain.json", options, signal);
      } catch (error) {
        if (!boxes.length || /** @type {Error} */ (error).name === "AbortError") throw error;
        row.append(failed(side, error));
        continue;
      }
      if (!boxes.length) this.offer(found);
      const label = found.targets.find(({ target }) => target === found.target)?.label;
      if (!found.targets[0]?.box) options.target = label ?? String(found.target); // the same class on both sides
      const line = el("p", { class: "sanity muted", role: "status" }, "Comparing with random weights …");
      boxes.push(
        this.checked(side, { ...options, target: String(found.target), method: found.method, sanity: "1" }, line, signal),
      );
      row.append(this.side(side, found, line));
      this.place.replaceChildren(row);
      this.place.classList.remove("busy");
      this.fade();
    }
    await Promise.all(boxes);
  }

  /**
   * The methods that are there, and what of the answer can be explained.
   * @param {Explanation} found
   */
  offer(found) {
    for (const option of this.method.options) {
      const reason = found.methods[option.value] ?? "";
      option.disabled = Boolean(reason);
      option.title = reason;
    }
    this.method.value = found.method;
    const text = (/** @type {Target} */ { label, score, share }) =>
      `${label}${score === undefined ? "" : ` · ${measured(score, 3)}`}${
        share === undefined ? "" : ` · ${fixed(100 * share, 1)} % of the pixels`
      }`;
    this.target.replaceChildren(...found.targets.map((one) => el("option", { value: one.target }, text(one))));
    if (!found.targets.some(({ target }) => target === found.target)) {
      this.target.append(el("option", { value: found.target }, String(found.target)));
    }
    this.target.value = String(found.target);
    const method = this.methods.find(({ name }) => name === found.method);
    this.target.disabled = method?.of_class === false;
    find("[data-why-layer-field]").hidden = !method?.of_layer;
    this.layer.value = this.state.get("at");
    const missing = this.methods.filter(({ name }) => found.methods[name]).map(({ name, title }) =>
      el("li", {}, `${title} is not there: ${found.methods[name]}`)
    );
    find("[data-why-about]").replaceChildren(
      method ? `${method.about} (${method.source})` : "",
      missing.length ? el("ul", { class: "missing" }, ...missing) : "",
    );
  }

  /**
   * @param {Side} side
   * @param {Explanation} found
   * @param {HTMLElement} line
   */
  side(side, found, line) {
    const { maps, image, signed, low, high, size, note, layer, total, difference } = found;
    const target = found.targets.find((one) => one.target === found.target);
    const colours = this.state.get("colours") || "viridis";
    const facts = [
      ["Explained", target?.label ?? String(found.target)],
      ["Score", measured(found.score)],
      ...(layer ? [["Layer", layer]] : []),
      ...(total !== null && difference !== null ? [["Sum of the map", `${measured(total)} of ${measured(difference)}`]] : []),
      ["Computed in", `${fixed(found.seconds, 2)} s`],
    ];
    const long = stretched(...size);
    const stage = el(
      "div",
      {
        class: ["why-stage", ...(Math.max(...size) < 96 ? ["small"] : []), ...long].join(" "),
        style: long.length ? "" : `aspect-ratio: ${size[0]} / ${size[1]}`,
      },
      el("img", { src: image, alt: "The picture as the network gets it" }),
      el("img", { class: "heat", src: maps[colours], alt: `What speaks for ${target?.label ?? "it"}` }),
      target?.box && boxOver(target.box, size),
    );
    const ends = signed ? ["against", "for"] : [measured(low), measured(high)];
    return el(
      "div",
      { class: "side" },
      sideTitle(side, found),
      stage,
      el("div", { class: "scale" }, ends[0], el("span", { class: `ramp ramp-${signed ? "signed" : colours}` }), ends[1]),
      line,
      (note || found.picture_note) && el("p", { class: "alert alert-info" }, `${note} ${found.picture_note}`.trim()),
      el("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    );
  }

  /**
   * @param {Side} side
   * @param {Record<string, string>} options
   * @param {HTMLElement} line
   * @param {AbortSignal} signal
   */
  async checked(side, options, line, signal) {
    const found = /** @type {Explanation} */ (await this.state.answer(side, "explain.json", options, signal));
    const { sanity } = found;
    line.classList.remove("muted");
    line.classList.toggle("doubtful", sanity?.changes === false);
    line.textContent = sanityText(sanity, found.targets.some(({ box }) => box));
  }

  fade() {
    const share = Number(this.strength.value) / 100;
    for (const heat of this.place.querySelectorAll(".heat")) /** @type {HTMLElement} */ (heat).style.opacity = String(share);
  }
}

/**
 * @param {Sanity | null} sanity
 * @param {boolean} [ofBox] whether a box is explained, whose place decides much of the map
 */
export function sanityText(sanity, ofBox = false) {
  if (!sanity || sanity.changes === null) return sanity?.reason ?? "";
  const measuredBy = `Rank correlation ${fixed(Number(sanity.correlation), 2)}.`;
  if (sanity.changes) return `With random weights the map is another one: it shows what was learned. ${measuredBy}`;
  const how = Number(sanity.correlation) < 0 ? "turns into nearly its opposite" : "stays nearly the same";
  return `With random weights the map ${how}: it shows ${
    ofBox ? "where the box lies" : "the picture"
  } rather than what was learned. ${measuredBy}`;
}

/**
 * @param {number[]} box left, top, right, bottom
 * @param {[number, number]} size
 */
function boxOver([left, top, right, bottom], [width, height]) {
  const part = (/** @type {number} */ value, /** @type {number} */ whole) => `${(100 * value) / whole}%`;
  const style = `left: ${part(left, width)}; top: ${part(top, height)}; width: ${part(right - left, width)}; height: ${
    part(bottom - top, height)
  }`;
  return el("span", { class: "why-box", style });
}
