// @ts-check
// "What have you got?": a path of the server, or what is dropped, is recognised, and the form that suits it opens filled in.

import { el, find } from "./elements.js";
import { closeLists } from "./paths.js";
import { proposals, recognise, refusal } from "./recognised.js";
import { uploadField } from "./uploads.js";

/** @param {HTMLElement} box */
export function wireStart(box) {
  const input = find("input", box, HTMLInputElement);
  const place = find("[data-recognise-answer]", box);
  let turn = 0; // an answer that comes after a later question is not shown

  /** @param {string} folder */
  async function ask(folder) {
    if (!folder.trim()) return input.focus();
    const asked = ++turn;
    closeLists(document); // they would lie over the answer
    place.replaceChildren(el("p", { class: "muted mb-0" }, "Looking…"));
    /** @type {HTMLElement} */
    let answer;
    try {
      const found = await recognise(box.dataset.start ?? "", folder.trim());
      const likely = found.proposals.filter((proposal) => proposal.likely !== false);
      if (asked !== turn) return;
      if (likely.length === 1) return location.assign(likely[0].address);
      answer = proposals(found);
    } catch (error) {
      answer = refusal(error);
    }
    if (asked !== turn) return;
    place.replaceChildren(answer);
    answer.querySelector("a")?.focus();
  }

  find("[data-recognise-start]", box).addEventListener("click", () => ask(input.value));
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.defaultPrevented) return; // a completion was taken
    event.preventDefault();
    ask(input.value);
  });
  const done = (/** @type {{path: string}} */ { path }) => {
    input.value = path;
    ask(path);
  };
  uploadField(find("[data-drop]", box), undefined, done, box);
}
