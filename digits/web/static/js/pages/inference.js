// @ts-check
// Trying a model on its page, whatever its task: a picture that is dropped, pasted, chosen or clicked is answered at once, the
// answer has an address, and a second model may answer beside it.

import { toast } from "../parts/dialogs.js";
import { all, find, perhaps } from "../parts/elements.js";
import { below, request } from "../parts/request.js";
import { CodeOfQuestion } from "../room/code.js";
import { fileOf, LastAnswers } from "../room/last.js";
import { OwnForm } from "../room/own_form.js";
import { PictureChoice } from "../room/picture.js";
import { Result } from "../room/result.js";
import { SecondModel } from "../room/second.js";
import { showViewsInPage } from "../room/view_frame.js";

const ASKED = ["snapshot_epoch", "image_file", "image_path", "record", "dont_resize", "second", "second_epoch"];

const form = find("#testing", document, HTMLFormElement);
const one = find("[data-try-one]", form);
const snapshot = find("[data-snapshot]", form, HTMLSelectElement);
const whole = perhaps("#dont_resize", one, HTMLInputElement);
const options = /** @type {HTMLInputElement[]} */ (all("[data-room-options] :is(input, select)[name]", one));
const result = new Result(find("[data-result]", one));
const picture = new PictureChoice(form, one, ask);
const second = new SecondModel(form, () => picture.isChosen && ask(null));
const last = new LastAnswers(form, one, showKept);
const code = new CodeOfQuestion(form, one, () => {
  const query = new URLSearchParams();
  for (const [name, value] of question()) query.set(name, value instanceof File ? value.name : value);
  return query;
});
const ownPlace = perhaps("[data-try-own]", form);
const own = ownPlace && new OwnForm(form, ownPlace, snapshot);
let running = /** @type {AbortController | null} */ (null);

/** What is asked, as the server knows it. */
function question() {
  const sent = new FormData(form), body = new FormData();
  for (const name of [...ASKED, ...options.map((input) => input.name)]) {
    const value = sent.get(name);
    if (value instanceof File ? value.size : value) body.set(name, /** @type {any} */ (value));
  }
  if (!body.get("second")) body.delete("second_epoch");
  return body;
}

/** @param {AbortSignal | null} series that this question belongs to */
async function ask(series) {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  series?.addEventListener("abort", () => running?.abort());
  result.setBusy(true);
  code.changed();
  const body = question();
  body.set("keep", "1");
  const started = performance.now();
  try {
    const answer = await request(below(form.dataset.answer ?? ""), { method: "POST", body, signal });
    await result.show(answer, performance.now() - started);
    last.came(answer);
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    if (name === "AbortError") return;
    result.fail(message);
    last.name(null);
    last.draw();
  }
  result.setBusy(false);
  if (!series) result.root.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

/**
 * Fill the form with what a kept answer was asked with, and show it.
 * @param {any} answer
 */
async function showKept(answer) {
  const { asked, kept } = answer;
  running?.abort();
  const epochs = [asked.snapshot_epoch, String(answer.snapshot_epoch)];
  const known = [...snapshot.options].find(({ value }) => epochs.includes(value));
  if (known) snapshot.value = known.value;
  if (whole) whole.checked = Boolean(asked.dont_resize);
  for (const input of options) {
    if (input.type === "checkbox") input.checked = Boolean(asked[input.name]);
    else if (asked[input.name] !== undefined) input.value = asked[input.name];
    /** @type {any} */ else {input.value = /** @type {any} */ (input).defaultValue ?? /** @type {any} */
        (input).options?.[0]?.value;}
  }
  second.choose(asked.second ?? "", answer.second?.model_name ?? "", asked.second_epoch ?? "");
  if (asked.record) picture.setRecord(asked.record);
  else if (asked.image_path) picture.setPath(asked.image_path);
  else if (kept.picture_url) await fileOf(kept).then((file) => picture.setFile(file), (error) => toast(error.message, "error"));
  result.setBusy(false);
  await result.show(answer, null);
  code.changed();
}

showViewsInPage(form);

/** Whether the room can be seen; what it lists is loaded then. */
const seen = new IntersectionObserver((entries) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  seen.disconnect();
  second.open().catch(() => {}); // without it there is no second model to choose, and all else works
  last.open();
  own?.last.open();
});
seen.observe(find("#inference"));
if (new URLSearchParams(location.search).has("answer")) find("#inference").scrollIntoView(); // on pages without tabs it lies below

for (const field of [snapshot, whole, ...options]) field?.addEventListener("change", () => picture.isChosen && ask(null));
document.addEventListener("digits:content", () => {
  form.hidden = false; // the first snapshot is there
});
