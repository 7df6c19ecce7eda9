// Plugins' forms in the page: paths are completed, old tooltips speak, a view's options follow the choice of the view.

import { toast } from "./ui.js";

const nonce = () => document.querySelector("script[nonce]")?.nonce ?? "";

// Give an old path input (class autocomplete_path) the buttons and the completion of ours. Selects and numbers are left alone.
const wrapPath = (input) => {
  if (input.closest("[data-path-field]")) return;
  const box = document.createElement("div");
  box.className = "path-field";
  box.dataset.pathField = "";
  const group = document.createElement("div");
  group.className = "input-group";
  input.replaceWith(box);
  box.append(group);
  input.autocomplete = "off";
  input.spellcheck = false;
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-expanded", "false");
  input.setAttribute("aria-autocomplete", "list");
  group.append(input, button("Browse", "browse"), button("Upload", "upload"));
};

const button = (text, what) => {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "btn btn-outline-secondary";
  made.dataset[what] = "";
  made.textContent = text;
  return made;
};

const pathInputs = (root) =>
  [...root.querySelectorAll("input.autocomplete_path")].filter((input) => ["text", "search", "url", ""].includes(input.type));

const attachPaths = async (root) => {
  const inputs = pathInputs(root);
  if (!inputs.length) return;
  inputs.forEach(wrapPath);
  const { attachAll } = await import("./paths.js");
  attachAll(root);
};

// Inputs without Bootstrap's class look right all the same.
const dress = (root) => {
  for (const input of root.querySelectorAll("[data-plugin-form] input, [data-plugin-form] select, [data-plugin-form] textarea, [data-view-options] input, [data-view-options] select")) {
    if (["checkbox", "radio"].includes(input.type)) input.classList.add("form-check-input");
    else if (input.tagName === "SELECT") input.classList.add("form-select");
    else if (!["hidden", "submit", "button", "range"].includes(input.type)) input.classList.add("form-control");
  }
  for (const mark of root.querySelectorAll(".explanation-tooltip[title]")) {
    if (window.bootstrap?.Tooltip) window.bootstrap.Tooltip.getOrCreateInstance(mark);
  }
};

// Scripts put in with innerHTML do not run by themselves.
const runScripts = (root) => {
  for (const old of root.querySelectorAll("script")) {
    const script = document.createElement("script");
    for (const { name, value } of old.attributes) script.setAttribute(name, value);
    script.nonce = nonce();
    script.textContent = old.textContent;
    old.replaceWith(script);
  }
};

const viewOptions = (testing) => {
  const select = testing.querySelector("[name=view_extension_id]");
  const place = testing.querySelector("[data-view-options]");
  const load = async () => {
    const asked = select.value;
    const answer = await fetch(testing.dataset.viewConfig.replace("VIEW", encodeURIComponent(asked)), { headers: { Accept: "text/html" } });
    if (select.value !== asked) return;
    if (!answer.ok) {
      toast("The options of this view could not be loaded.", "error");
      return;
    }
    place.innerHTML = await answer.text();
    place.dataset.view = asked;
    runScripts(place);
    dress(testing);
  };
  select.addEventListener("change", load);
  load();
};

dress(document);
attachPaths(document);
for (const testing of document.querySelectorAll("[data-testing]")) viewOptions(testing);
