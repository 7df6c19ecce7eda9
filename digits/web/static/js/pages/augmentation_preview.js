// @ts-check
// A few training pictures as the augmentation of the form would change them; masks and boxes move along.

import { CARDS, isDrawn, picture } from "../overlay/sample_cards.js";
import { Stage } from "../overlay/stage.js";
import { el, find } from "../parts/elements.js";
import { below, request } from "../parts/request.js";
import { debounced } from "../parts/timing.js";

const WAIT_MS = 500;
const TRUTH_ONLY = { truth: true, prediction: false, opacity: 1, score: 0, hidden: new Set() };

/** @param {string} name of a field */
const matters = (name) => name === "dataset" || name === "crop_size" || name.startsWith("aug_");

/**
 * Wires the preview below the augmentation's fields of `form`.
 * @param {HTMLFormElement} form
 */
export function attachPreview(form) {
  const box = form.querySelector("[data-augmentation]");
  if (!(box instanceof HTMLElement)) return;
  const part = (/** @type {string} */ name) => find(`[data-${name}]`, box);
  const state = part("preview-state");
  let draw = 0, shown = false, running = /** @type {AbortController | null} */ (null);

  const load = async () => {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    const fields = Object.fromEntries([...new FormData(form)].filter(([name]) => matters(name)));
    state.textContent = fields.dataset ? "Drawing …" : "Choose a data set first.";
    if (!fields.dataset) return;
    try {
      const found = await request(below(box.dataset.augmentation ?? ""), { method: "POST", data: { ...fields, draw }, signal });
      await show(part("preview-cards"), found);
      const outlined = found.kind === "map" || found.kind === "boxes";
      state.textContent = `Left as it is, right augmented${outlined ? "; the outlines are the ground truth" : ""}.`;
      part("redraw").hidden = false;
      shown = true;
    } catch (error) {
      const { name, message } = /** @type {Error} */ (error);
      if (name !== "AbortError") state.textContent = message;
    }
  };
  const loadSoon = debounced(load, WAIT_MS);
  part("preview").addEventListener("click", load);
  part("redraw").addEventListener("click", () => {
    draw += 1;
    load();
  });
  form.addEventListener("input", ({ target }) => {
    if (shown && target instanceof Element && matters(target.getAttribute("name") ?? "")) loadSoon();
  });
}

/**
 * @param {HTMLElement} place
 * @param {any} found
 */
async function show(place, found) {
  const stage = new Stage(() => TRUTH_ONLY);
  /** @type {import("../overlay/stage.js").Item[]} */
  const drawn = [];
  const cards = found.samples.map((/** @type {any} */ sample) => {
    const pair = [sample.before, sample.after].flatMap((moment) => pictures(moment, sample, found, drawn));
    const caption = el("figcaption", {}, el("span", { class: "sample-key" }, sample.key), el("span", {}, sample.label));
    return el("figure", { class: "sample-card" }, el("div", { class: "sample-pair" }, ...pair), caption);
  });
  place.dataset.kind = "pairs";
  place.replaceChildren(...cards);
  await Promise.all(drawn.map((card) => stage.add(card)));
}

/**
 * A sample at one moment: with its mask or boxes on a canvas, which is put on `drawn`, else as pictures.
 * @param {any} moment
 * @param {any} sample
 * @param {any} found
 * @param {import("../overlay/stage.js").Item[]} drawn
 * @returns {HTMLElement[]}
 */
function pictures(moment, sample, found, drawn) {
  const truth = found.kind === "boxes" ? moment.boxes : moment.truth;
  if (["map", "boxes"].includes(found.kind) && truth) {
    const card = new CARDS[found.kind]({ key: sample.key, input: moment.input, truth, size: sample.size }, found);
    if (!isDrawn(card)) return [];
    drawn.push(card);
    return [card.canvas];
  }
  const own = picture(moment.input, sample.key);
  return found.kind === "pictures" && moment.truth ? [own, picture(moment.truth, `Target of ${sample.key}`)] : [own];
}
