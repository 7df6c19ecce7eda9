// @ts-check
// The network of the Hugging Face hub in the form of a new model: its name is typed, a radio button carries it.

import { find, perhaps } from "./elements.js";

const PREFIX = "hf-hub:";

/** What is typed chooses the radio button, which is what is sent. */
export function attachHub() {
  const typed = perhaps("[data-hub-name]");
  if (!(typed instanceof HTMLInputElement)) return;
  const choice = find("[data-hub-choice]", document, HTMLInputElement);
  typed.addEventListener("input", () => {
    choice.value = PREFIX + typed.value.trim();
    choice.checked = true;
  });
}

/**
 * The network of the hub that a radio button's value names, as one of the models of the form.
 * @param {string | undefined} value
 */
export function ofHub(value) {
  const name = value?.startsWith(PREFIX) ? value.slice(PREFIX.length) : "";
  return name ? { id: PREFIX + name, name: "the Hugging Face hub", network: name } : undefined;
}
