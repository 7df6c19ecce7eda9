// @ts-check
// Trying a model on its page, whatever its task: a picture that is dropped, pasted, chosen or clicked is answered at once.

import { CardBoard } from "../overlay/card_board.js";
import { all, el, find, perhaps } from "../parts/elements.js";
import { fixed } from "../parts/format.js";
import { below, request } from "../parts/request.js";
import { takeDrops } from "../parts/uploads.js";

/** @typedef {[label: string, percent: number][]} Scores the best first */
/**
 * What a model answers: scores, or samples for a board of cards.
 * @typedef {object} Extra
 * @property {Scores} predictions
 * @property {{prepare: number, forward: number}} seconds
 * @property {string} device
 * @property {string} note
 * @property {number} snapshot_epoch
 */
/** @typedef {import("../overlay/sample_cards.js").SampleSet & Extra} Answer */

const ASKED = ["snapshot_epoch", "image_file", "image_path", "record", "dont_resize"];
const SMALL = 96; // pixels of a side; smaller pictures are not smoothed

const form = find("#testing", document, HTMLFormElement);
const one = find("[data-try-one]", form);
const zone = find("[data-dropzone]", one);
const file = find("#image_file", one, HTMLInputElement);
const path = find("#image_path", one, HTMLInputElement);
const record = perhaps("[data-record-field]", one, HTMLInputElement);
const preview = find("[data-preview]", one, HTMLImageElement);
const hint = find("[data-drop-hint]", one);
const options = /** @type {HTMLInputElement[]} */ (all("[data-room-options] :is(input, select)[name]", one));
const result = find("[data-result]", one);
const board = find("[data-result-board]", one);
let cards = /** @type {CardBoard | null} */ (null);
let running = /** @type {AbortController | null} */ (null);

const isChosen = () => file.files?.length || path.value.trim() || record?.value;

/**
 * Only one way to choose a picture counts.
 * @param {HTMLInputElement | null} kept
 */
function clearOthers(kept) {
  for (const input of [file, path, record]) if (input && input !== kept) input.value = "";
  for (const button of all("[data-record][aria-pressed='true']")) button.setAttribute("aria-pressed", "false");
}

/** The board with its options, made when the first answer wants it. */
function boardOfCards() {
  if (!cards) {
    board.append(find("[data-result-parts]", one, HTMLTemplateElement).content.cloneNode(true));
    cards = new CardBoard(board);
  }
  return cards;
}

/** @param {string} address of the picture, "" where the browser cannot show it */
function showPicture(address) {
  preview.hidden = !address;
  hint.hidden = Boolean(address);
  if (address) preview.src = address;
}

function chooseFile() {
  if (!file.files?.length) return;
  clearOthers(file);
  showPicture(URL.createObjectURL(file.files[0]));
  run();
}

function choosePath() {
  if (!path.value.trim()) return;
  clearOthers(path);
  showPicture("");
  run();
}

/** @param {HTMLElement} button */
function chooseRecord(button) {
  const chosen = button.dataset.record ?? "";
  const [split, index] = chosen.split(":");
  clearOthers(record);
  button.setAttribute("aria-pressed", "true");
  if (record) record.value = chosen;
  showPicture(`${form.dataset.samples}?db=${split}&index=${index}&size=full`);
  run();
}

/** @param {DataTransfer | null} transfer what was dropped or pasted */
function take(transfer) {
  const isPicture = (/** @type {File} */ { type, name }) => type.startsWith("image/") || /\.(tiff?|npy)$/i.test(name);
  const found = [...(transfer?.files ?? [])].find(isPicture);
  if (!found) return;
  const list = new DataTransfer();
  list.items.add(found);
  file.files = list.files;
  chooseFile();
}

async function run() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  result.classList.add("busy");
  const sent = new FormData(form);
  const body = new FormData();
  for (const name of [...ASKED, ...options.map((input) => input.name)]) {
    const value = sent.get(name);
    if (value) body.set(name, value);
  }
  const started = performance.now();
  try {
    const answer = await request(below(form.dataset.answer ?? ""), { method: "POST", body, signal });
    await showAnswer(answer, performance.now() - started);
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    if (name === "AbortError") return;
    showText(el("span", { class: "alert alert-danger d-block mb-0", role: "alert" }, message));
    board.hidden = true;
    showTime("");
  }
  result.classList.remove("busy");
  result.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

/** @param {...HTMLElement} content */
const showText = (...content) => find("[data-result-text]", one).replaceChildren(...content);

/** @param {string} text */
function showTime(text) {
  find("[data-result-time]", one).textContent = text;
}

/**
 * @param {Answer} answer
 * @param {number} milliseconds
 */
async function showAnswer(answer, milliseconds) {
  const { predictions, samples, seconds, device, note, snapshot_epoch: epoch } = answer;
  board.hidden = predictions.length > 0;
  if (predictions.length) showText(scores(predictions));
  else {
    showText();
    boardOfCards().build(answer);
    await boardOfCards().show(samples);
  }
  const time = (/** @type {number} */ value) => `${fixed(value, 0)} ms`;
  const steps = `read ${time(seconds.prepare * 1000)}, predicted ${time(seconds.forward * 1000)}`;
  showTime(
    `Epoch ${epoch}: ${steps} on the ${device === "cpu" ? "CPU" : "GPU"}, answered after ${time(milliseconds)}. ${note}`.trim(),
  );
}

/** @param {Scores} predictions */
function scores(predictions) {
  const items = predictions.map(([label, percent], place) => {
    const badge = el("span", { class: `badge ${place ? "text-bg-secondary" : "text-bg-primary"}` }, `${fixed(percent, 2)}%`);
    return el("li", { class: "list-group-item", style: `--share: ${percent}%` }, badge, el("strong", {}, label));
  });
  return el("ul", { class: "list-group predictions" }, ...items);
}

file.addEventListener("change", chooseFile);
path.addEventListener("change", choosePath);
for (const field of [find("[data-snapshot]", form), perhaps("#dont_resize", one), ...options]) {
  field?.addEventListener("change", () => isChosen() && run());
}
for (const button of all("[data-record]", one)) button.addEventListener("click", () => chooseRecord(button));
takeDrops(zone, take);
preview.addEventListener("load", () => {
  preview.classList.toggle("small", Math.max(preview.naturalWidth, preview.naturalHeight) < SMALL);
});
preview.addEventListener("error", () => showPicture(""));
document.addEventListener("paste", (event) => {
  const isTyping = event.target instanceof Element && event.target.matches("input[type=text], textarea");
  if (one.offsetParent && !isTyping) take(event.clipboardData);
});
document.addEventListener("digits:content", () => {
  form.hidden = false; // the first snapshot is there
});
