// @ts-check
// The choice of a second model, or of another snapshot, whose answer stands beside the first.

import { el, find } from "../parts/elements.js";
import { request } from "../parts/request.js";

/** @typedef {{choice: string, label: string, best: boolean}} Snapshot */
/** @typedef {{id: string, name: string, same_classes: boolean, same_dataset: boolean, snapshots: Snapshot[]}} Model */

/**
 * The snapshot that is proposed: the best, or of the first model itself the best, or else the newest, of those it does not use.
 * @param {Snapshot[]} snapshots the newest first
 * @param {string} used choice of the first; empty: of another model
 */
export function usual(snapshots, used) {
  const others = snapshots.filter(({ choice }) => choice !== used);
  return (others.find(({ best }) => best) ?? others[0] ?? snapshots[0])?.choice ?? "";
}

export class SecondModel {
  /**
   * @param {HTMLFormElement} form
   * @param {() => void} changed
   */
  constructor(form, changed) {
    this.own = form.dataset.model ?? "";
    this.models = find("[name=second]", form, HTMLSelectElement);
    this.epochs = find("[name=second_epoch]", form, HTMLSelectElement);
    this.first = find("[data-snapshot]", form, HTMLSelectElement);
    /** @type {Map<string, Model>} */
    this.known = new Map();
    this.models.addEventListener("change", () => {
      this.drawEpochs("");
      changed();
    });
    this.epochs.addEventListener("change", changed);
  }

  async open() {
    const { models } = /** @type {{models: Model[]}} */ (await request(`/models/${this.own}/seconds.json`));
    for (const model of models) this.add(model);
    this.drawEpochs(this.epochs.value);
  }

  /** @param {Model} model */
  add(model) {
    const isShown = this.known.has(model.id);
    this.known.set(model.id, model);
    if (isShown) return;
    const same = model.same_classes ? "" : " (some of the classes)";
    const text = model.id === this.own ? "This model, another snapshot" : `${model.name}${same}`;
    this.models.append(el("option", { value: model.id }, text));
  }

  /**
   * Choose what a kept answer had.
   * @param {string} id
   * @param {string} name
   * @param {string} epoch
   */
  choose(id, name, epoch) {
    if (id && !this.known.has(id)) this.add({ id, name, same_classes: true, same_dataset: false, snapshots: [] });
    this.models.value = id;
    this.drawEpochs(epoch);
  }

  /** @param {string} chosen */
  drawEpochs(chosen) {
    const model = this.known.get(this.models.value);
    const snapshots = model?.snapshots ?? [];
    const wanted = chosen || usual(snapshots, this.models.value === this.own ? this.first.value : "");
    const options = snapshots.map(({ choice, label, best }) =>
      el("option", { value: choice, selected: choice === wanted }, `Epoch ${label}${best ? " (best)" : ""}`)
    );
    if (chosen && !snapshots.some(({ choice }) => choice === chosen)) {
      options.push(el("option", { value: chosen, selected: true }, `Epoch ${chosen}`));
    }
    this.epochs.replaceChildren(...options);
    this.epochs.hidden = !options.length;
  }
}
