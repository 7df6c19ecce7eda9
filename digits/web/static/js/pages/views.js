// @ts-check
// The built-in views on canvases: segmentation overlays and bounding boxes, redrawn at once when a slider moves.

import { Stage } from "../overlay/stage.js";
import { BoxesView } from "../overlay/boxes_view.js";
import { SegmentationView } from "../overlay/segmentation_view.js";
import { all, el, icon } from "../parts/elements.js";

/** @typedef {SegmentationView | BoxesView} View */
/** @typedef {{colours: import("../overlay/overlay_maps.js").Colour[], names: string[]}} Legend */

/** @type {Record<string, new (root: HTMLElement, legend: Legend) => View>} */
const KINDS = { segmentation: SegmentationView, boxes: BoxesView };

/** @type {WeakMap<Element, Promise<void>>} */
const drawn = new WeakMap(); // by root of a sample: when it is drawn

/**
 * What the controls say; `hidden` are the numbers of the classes without a tick.
 * @param {HTMLElement | null} controls
 */
function readChoice(controls) {
  /** @type {Record<string, any>} */
  const found = { hidden: new Set() };
  if (!controls) return found;
  for (const select of all("select[data-option]", controls, HTMLSelectElement)) found[select.dataset.option ?? ""] = select.value;
  for (const input of all("input[data-option]", controls, HTMLInputElement)) {
    const value = input.type === "range" ? Number(input.value) : input.value;
    found[input.dataset.option ?? ""] = input.type === "checkbox" ? input.checked : value;
  }
  for (const box of all("[data-class]", controls, HTMLInputElement)) {
    if (!box.checked) found.hidden.add(Number(box.dataset.class));
  }
  return found;
}

/**
 * Bring the samples below `scope` to life; resolves when those that can be seen are drawn.
 * @param {ParentNode} [scope]
 */
export async function start(scope = document) {
  for (const [kind, View] of Object.entries(KINDS)) {
    const roots = all(`[data-view="${kind}"]`, scope);
    const controls = /** @type {HTMLElement | null} */ (scope.querySelector(`[data-view-controls="${kind}"]`));
    const fresh = roots.filter((root) => !drawn.has(root));
    if (fresh.length) begin(View, fresh, controls);
    await Promise.all(roots.map((root) => drawn.get(root)));
  }
}

/**
 * @param {new (root: HTMLElement, legend: Legend) => View} View
 * @param {HTMLElement[]} roots
 * @param {HTMLElement | null} controls
 */
function begin(View, roots, controls) {
  const legend = { colours: JSON.parse(controls?.dataset.colours ?? "[]"), names: JSON.parse(controls?.dataset.names ?? "[]") };
  const choice = () => /** @type {any} */ (readChoice(controls));
  const stage = new Stage(choice);
  for (const root of roots) {
    const view = new View(root, legend);
    root.append(buttons(view, choice));
    drawn.set(root, stage.add(view));
  }
  const truth = controls?.querySelector("input[data-option=truth]")?.parentElement;
  if (truth) truth.hidden = roots.every((root) => root.dataset.truth === "[]");
  controls?.addEventListener("input", ({ target }) => {
    if (!(target instanceof HTMLInputElement || target instanceof HTMLSelectElement)) return;
    const output = target.parentElement?.querySelector("output");
    if (output) output.textContent = target.value;
    stage.redraw();
  });
}

/**
 * @param {View} view
 * @param {() => any} choice
 */
function buttons(view, choice) {
  const downloads = view.downloads(choice).map(([text, work]) =>
    el("button", { type: "button", class: "btn btn-outline-secondary btn-sm", onclick: work }, icon("download"), ` ${text}`)
  );
  return el("div", { class: "view-downloads" }, ...downloads);
}

start();
