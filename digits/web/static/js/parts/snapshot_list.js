// @ts-check
// The snapshots of a training: a table with downloads, and the selects of the inference forms, which follow it.

import { all, el, icon, table } from "./elements.js";
import { epochText } from "./format.js";
import { shown } from "./training_metrics.js";
import { isOfClass } from "./training_state.js";

/** @typedef {import("./training_state.js").Snapshot} Snapshot */

export class SnapshotList {
  /**
   * @param {HTMLElement | null} box
   * @param {import("./training_state.js").TrainingState} state
   * @param {string} download address without the ending
   */
  constructor(box, state, download) {
    this.box = box;
    this.state = state;
    this.download = download;
    document.addEventListener("change", ({ target }) => {
      if (target instanceof HTMLSelectElement && target.matches("select[data-snapshot]")) target.dataset.chosen = "by the user";
    });
  }

  newest() {
    return [...this.state.snapshots].reverse();
  }

  /** The best first, then the newest. */
  draw() {
    const newest = this.newest();
    const names = [...new Set(newest.flatMap(({ metrics }) => Object.keys(metrics)))].filter((name) => !isOfClass(name));
    const order = [...newest.filter(({ best }) => best), ...newest.filter(({ best }) => !best)];
    const rows = order.map((snapshot) => this.row(snapshot, names));
    const hidden = (/** @type {string} */ text) => el("span", { class: "visually-hidden" }, text);
    const heads = [
      "Epoch",
      ...names.map((name) => el("span", { title: name }, this.state.facts(name).short || name)),
      hidden("Download"),
      hidden("Test"),
    ];
    const isMetric = (/** @type {number} */ column) => column > 0 && column <= names.length;
    this.box?.replaceChildren(el("div", { class: "table-scroll snapshot-list" }, table(heads, rows, isMetric)));
  }

  /**
   * @param {Snapshot} snapshot
   * @param {string[]} names of the metrics
   */
  row({ epoch, best, metrics }, names) {
    const link = (/** @type {string} */ kind) =>
      el("a", {
        href: `${this.download}.${kind}?named=1&epoch=${snapshotChoice(epoch)}`,
        download: true,
        title: `Epoch ${epochText(epoch)} as ${kind}`,
      }, kind);
    const mark = best && el("span", { class: "badge-best" }, icon("star-fill"), " best");
    const value = (/** @type {string} */ name) => (name in metrics ? shown(this.state, name, metrics[name]) : "");
    return el(
      "tr",
      {},
      el("td", {}, `${epochText(epoch)}${epoch ? "" : " (the start)"} `, mark),
      ...names.map((name) => el("td", { class: "num" }, value(name))),
      el("td", {}, el("span", { class: "links" }, icon("download"), link("zip"), link("tar.gz"))),
      el("td", {}, el("a", { href: "#inference", onclick: () => choose(epoch) }, "Test")),
    );
  }

  /** The selects of the inference forms follow: the best, until somebody chooses another. */
  offer() {
    const newest = this.newest();
    if (!newest.length) return;
    for (const link of all("[data-download-best]", document, HTMLAnchorElement)) {
      link.href = `${this.download}.zip?named=1${newest.some(({ best }) => best) ? "&epoch=best" : ""}`;
      link.hidden = false;
    }
    for (const link of all("[data-with-snapshot]")) link.hidden = false;
    for (const select of all("select[data-snapshot]", document, HTMLSelectElement)) {
      const best = newest.find((snapshot) => snapshot.best) ?? newest[0];
      const chosen = select.dataset.chosen ? select.value : snapshotChoice(best.epoch);
      const label = (/** @type {Snapshot} */ { epoch, best }, /** @type {number} */ i) =>
        `Epoch ${epochText(epoch)}${i ? "" : " (newest)"}${best ? " (best)" : ""}`;
      select.replaceChildren(
        ...newest.map((snapshot, i) => el("option", { value: snapshotChoice(snapshot.epoch) }, label(snapshot, i))),
      );
      select.value = chosen;
    }
  }
}

/**
 * How a request names the snapshot of an epoch: in scripts 0 is the newest one.
 * @param {number} epoch
 */
export const snapshotChoice = (epoch) => (epoch === 0 ? "start" : String(epoch));

/** @param {number} epoch */
function choose(epoch) {
  for (const select of all('select[name="snapshot_epoch"]', document, HTMLSelectElement)) {
    const option = [...select.options].find(({ value }) => value === snapshotChoice(epoch));
    if (option) select.value = option.value;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }
}
