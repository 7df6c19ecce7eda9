// @ts-check
// The last answers of a model, each with an address: the page shows the one that its own address names, also after a reload.

import { copyText, toast } from "../parts/dialogs.js";
import { agoText } from "../parts/format.js";
import { el, find, icon } from "../parts/elements.js";
import { request } from "../parts/request.js";

/**
 * @typedef {object} Kept
 * @property {string} key
 * @property {string} url
 * @property {string} json
 * @property {string} picture_url
 * @property {number} time
 * @property {string} user
 * @property {string} name
 * @property {string} words
 * @property {string} second
 * @property {number} snapshot_epoch
 * @property {string} thumb
 * @property {boolean} mine
 * @property {string} [form] the plugin whose form was asked about
 */

const NAME = "answer"; // in the address of the page

export class LastAnswers {
  /**
   * @param {HTMLFormElement} form
   * @param {HTMLElement} root
   * @param {(answer: any) => Promise<void>} show an answer that was kept
   * @param {boolean} [ofForms] those to plugins' forms, not those to pictures
   */
  constructor(form, root, show, ofForms = false) {
    this.root = root;
    this.ofForms = ofForms;
    this.show = show;
    this.base = `/models/${form.dataset.model}/answers`;
    /** @type {Kept[]} */
    this.rows = [];
    this.key = "";
    find("[data-forget-all]", root).addEventListener("click", () => this.forget(""));
    find("[data-copy-address]", root).addEventListener("click", () => {
      copyText(location.href, "The address of this answer is copied.");
    });
  }

  /** The list, and the answer that the address names. */
  async open() {
    const wanted = new URLSearchParams(location.search).get(NAME);
    const known = await this.refresh();
    const isOther = known.some(({ key, form }) => key === wanted && Boolean(form) !== this.ofForms);
    const isLost = !known.some(({ key }) => key === wanted);
    if (!wanted || isOther || (isLost && this.ofForms)) return; // what is lost is said once
    document.getElementById(this.ofForms ? "try-tab-own" : "try-tab-one")?.click();
    await this.follow(wanted);
  }

  /** All that are kept, of which those of this list are shown. */
  async refresh() {
    /** @type {Kept[]} */
    let known = [];
    try {
      known = (await request(`${this.base}.json`)).answers;
    } catch {
      return known; // the list is no reason to disturb anybody
    }
    this.rows = known.filter(({ form }) => Boolean(form) === this.ofForms);
    this.draw();
    return known;
  }

  /** @param {string} key */
  async follow(key) {
    try {
      const answer = await request(`${this.base}/${encodeURIComponent(key)}.json`);
      this.name(answer.kept);
      await this.show(answer);
    } catch (error) {
      toast(/** @type {Error} */ (error).message, "error");
      this.name(null);
    }
    this.draw();
  }

  /**
   * An answer came: put it in front and into the address.
   * @param {any} answer
   */
  came({ kept, not_kept: reason }) {
    if (reason) toast(`This answer is not kept: ${reason}`, "error");
    this.name(kept ?? null);
    if (!kept) return;
    this.rows = [kept, ...this.rows].slice(0, 30);
    this.draw();
  }

  /** @param {Kept | null} kept what the page shows and its address names */
  name(kept) {
    this.key = kept?.key ?? "";
    const address = new URL(location.href);
    if (kept) address.searchParams.set(NAME, kept.key);
    else address.searchParams.delete(NAME);
    if (kept) address.hash = "test";
    history.replaceState(history.state, "", address);
    const links = find("[data-result-links]", this.root);
    links.hidden = !kept;
    if (kept) find("[data-answer-json]", links, HTMLAnchorElement).href = kept.json;
  }

  draw() {
    find("[data-last]", this.root).hidden = !this.rows.length;
    find("[data-forget-all]", this.root).hidden = this.rows.length < 2;
    find("[data-last-list]", this.root).replaceChildren(...this.rows.map((row) => this.entry(row)));
  }

  /** @param {Kept} row */
  entry(row) {
    const by = [row.user, agoText(Date.now() / 1000 - row.time)].filter(Boolean).join(", ");
    const title = [row.name, row.words, `epoch ${row.snapshot_epoch}`, row.second && `beside ${row.second}`, by].filter(Boolean);
    const picture = row.thumb ? el("img", { src: row.thumb, alt: "" }) : icon("file-earmark");
    const shown = el(
      "button",
      {
        type: "button",
        class: "last-answer",
        title: title.join(" · "),
        "aria-pressed": String(row.key === this.key),
        onclick: () => this.follow(row.key),
      },
      picture,
      el("span", {}, row.words || row.name),
    );
    const remove = el("button", {
      type: "button",
      class: "last-remove",
      "aria-label": `Remove the answer to ${row.name}`,
      onclick: () => this.forget(row.key),
    }, icon("x"));
    return el("div", { class: "last-entry" }, shown, remove);
  }

  /** @param {string} key of one, or "" for all */
  async forget(key) {
    try {
      for (const one of key ? [key] : this.rows.map(({ key }) => key)) {
        await request(`${this.base}/${one}`, { method: "DELETE" });
      }
    } catch (error) {
      return toast(/** @type {Error} */ (error).message, "error");
    }
    this.rows = key ? this.rows.filter((row) => row.key !== key) : [];
    if (!key || key === this.key) this.name(null);
    this.draw();
  }
}

/**
 * The file that a kept answer was about.
 * @param {Kept} kept
 * @returns {Promise<File>}
 */
export async function fileOf(kept) {
  const answer = await fetch(kept.picture_url, { credentials: "same-origin" });
  if (!answer.ok) throw new Error("The picture of this answer is not there any more.");
  const blob = await answer.blob();
  return new File([blob], kept.name, { type: blob.type });
}
