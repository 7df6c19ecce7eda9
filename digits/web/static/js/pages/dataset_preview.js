// @ts-check
// The form of a new data set: what a folder may be, and ten samples before anything is written.

import { el, find, perhaps, swatch } from "../parts/elements.js";
import { counted, number } from "../parts/format.js";
import { closeLists } from "../parts/paths.js";
import { proposals, recognise, refusal } from "../parts/recognised.js";
import { below, request } from "../parts/request.js";

/** @typedef {{label?: string, size?: string, notes?: string[]}} Facts */
/** @typedef {Facts & {entry: string, picture?: string, reason?: string, failed?: boolean}} Sample */
/**
 * What a look at the files shows.
 * @typedef {object} Found
 * @property {Record<string, number>} counts by split
 * @property {string[]} class_labels
 * @property {number[][]} [colours] of the classes
 * @property {number} problem_count
 * @property {{entry?: string, reason: string}[]} problems
 * @property {Sample[]} samples
 * @property {number} [tried] of the samples
 * @property {number} [failed] of those that were tried
 */

/** @type {Record<string, string>} */
const STAGES = { train_db: "training", val_db: "validation", test_db: "test" };
const MOST_CLASSES = 60;
const FIRST_FOLDERS = new Set(["feature_folder", "train_image_folder", "image_folder"]);

function previews() {
  const button = perhaps("[data-preview]", document, HTMLButtonElement);
  const place = perhaps("[data-preview-answer]");
  if (!button?.form || !place) return;
  const { form } = button;
  const show = (/** @type {Node[]} */ ...content) => {
    closeLists(document);
    place.replaceChildren(el("h2", {}, "Preview"), ...content);
  };
  button.addEventListener("click", async () => {
    place.hidden = false;
    show(el("p", { class: "muted" }, "Looking at the files…"));
    button.disabled = true;
    try {
      /** @type {Found} */
      const found = await request(below(button.dataset.preview ?? ""), { method: "POST", body: new FormData(form) });
      show(...describe(found), el("div", { class: "preview-grid" }, ...found.samples.map(figure)));
      const counts = Object.entries(found.counts).map(([stage, count]) => /** @type {Row} */ ([STAGES[stage] ?? stage, count]));
      if (!perhaps(".class-list")) perhaps("[data-classes]")?.replaceChildren(bars(counts));
    } catch (error) {
      show(refusal(error));
    }
    button.disabled = false;
    place.scrollIntoView({ block: "nearest" });
  });
}

/** @param {Found} found */
function describe(found) {
  const counts = Object.entries(found.counts).filter(([, count]) => count);
  const parts = counts.map(([stage, count]) => `${number(count)} for ${STAGES[stage] ?? stage}`);
  /** @type {HTMLElement[]} */
  const lines = [el("p", {}, `${parts.join(", ") || "Nothing found"}. Nothing has been written yet.`)];
  if (found.tried) lines.push(tried(found.tried, found.failed ?? 0, found.samples));
  if (found.class_labels.length) lines.push(classes(found));
  if (found.problem_count) lines.push(problems(found));
  return lines;
}

/**
 * How many samples were tried, and which of them could not be read.
 * @param {number} count
 * @param {number} failed
 * @param {Sample[]} samples
 */
function tried(count, failed, samples) {
  if (!failed) {
    return el("p", {}, count === 1 ? "The sample tried could be read." : `All ${number(count)} samples tried could be read.`);
  }
  const names = samples.filter((sample) => sample.failed).map(({ entry }) => nameOf(entry));
  const words = `${number(failed)} of the ${counted(count, "sample")} tried could not be read: ${names.join(", ")}.`;
  return el("p", { class: "alert alert-warning" }, words);
}

/** @param {string} entry */
const nameOf = (entry) => entry.split("/").pop() ?? "";

/** @param {Found} found */
function classes({ class_labels: names, colours = [] }) {
  const shown = names.slice(0, MOST_CLASSES);
  const more = names.length > MOST_CLASSES && ` and ${number(names.length - MOST_CLASSES)} more`;
  if (!colours.length) return el("p", {}, `Classes: ${shown.join(", ")}${more || ""}.`);
  const items = shown.map((name, i) => el("li", { class: "sample-class" }, swatch(colours[i]), name));
  return el("ul", { class: "sample-legend preview-classes", "aria-label": "Classes" }, ...items, more && el("li", {}, more));
}

/** @typedef {[name: string, count: number | null]} Row */

/**
 * Names with their counts (null: not known) as bars.
 * @param {Row[]} rows
 */
export function bars(rows) {
  const most = Math.max(1, ...rows.map(([, count]) => count || 0));
  const lines = rows.map(([name, count]) =>
    el(
      "li",
      {},
      el("span", { class: "class-name", title: name }, name),
      el("span", { class: "class-track" }, el("span", { class: "class-bar", style: `width: ${(100 * (count || 0)) / most}%` })),
      el("span", { class: "class-count" }, count === null ? "?" : number(count)),
    )
  );
  return el("ul", { class: "class-list" }, ...lines);
}

/** @param {Found} found */
function problems({ problem_count: count, problems: shown }) {
  const items = shown.map(({ entry, reason }) => el("li", {}, el("span", { class: "path" }, entry || ""), ` ${reason}`));
  const summary = el("summary", {}, `${counted(count, "problem")} in the files`);
  return el("details", {}, summary, el("ul", { class: "preview-problems" }, ...items));
}

/** @param {Sample} sample */
function figure({ entry, picture, reason, label, size, notes = [] }) {
  const shown = picture
    ? el("img", { src: picture, alt: `${entry}: ${label ?? ""}` })
    : el("div", { class: "alert alert-warning" }, reason);
  const facts = el("span", { class: "muted" }, [label, size, ...notes].filter(Boolean).join(" · "));
  return el(
    "figure",
    {},
    shown,
    el("figcaption", { title: entry }, el("span", { class: "path" }, nameOf(entry)), " ", facts),
  );
}

// -- what a folder may be ---------------------------------------------------------------------------------------------

function recognition() {
  const box = perhaps("[data-recognise]", document, HTMLDetailsElement);
  if (!box) return;
  const input = find("input", box, HTMLInputElement);
  const place = find("[data-recognise-answer]", box);
  const look = (/** @type {string} */ folder) => recognise(box.dataset.recognise ?? "", folder);
  const show = (/** @type {Node} */ answer) => {
    closeLists(document); // they would lie over it
    place.replaceChildren(answer);
  };
  let turn = 0; // an answer that comes after a later question is not shown
  const ask = async () => {
    const asked = ++turn;
    show(el("p", { class: "muted" }, "Looking…"));
    const answer = await look(input.value).then(proposals, refusal);
    if (asked === turn) show(answer);
  };
  find("[data-recognise-start]", box).addEventListener("click", ask);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    ask();
  });
  // A folder typed into the form itself is looked at too: perhaps it holds more than pictures.
  perhaps("[data-plugin-form]")?.addEventListener("change", async ({ target }) => {
    if (!(target instanceof HTMLInputElement) || !FIRST_FOLDERS.has(target.name) || !target.value) return;
    const [folder, asked] = [target.value, turn];
    const found = await look(folder).catch(() => null);
    if (!found?.proposals.length || asked !== turn || target.value !== folder) return;
    turn++;
    box.open = true;
    input.value = folder;
    show(proposals(found));
  });
}

previews();
recognition();
