// Plugins' forms in the page: paths are completed, old tooltips speak, a view's options follow the choice of the view.

import { toast } from "../parts/ui.js";

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
  const { attachAll } = await import("../parts/paths.js");
  attachAll(root);
};

// Bootstrap 3 said data-toggle where Bootstrap 5 says data-bs-toggle, and its tabs had no classes of their own.
const modernise = (root) => {
  for (const area of root.querySelectorAll("[data-plugin-form], [data-view-options], [data-results]")) {
    for (const name of ["toggle", "target", "dismiss", "parent", "placement"]) {
      for (const found of area.querySelectorAll(`[data-${name}]`)) found.setAttribute(`data-bs-${name}`, found.getAttribute(`data-${name}`));
    }
    for (const item of area.querySelectorAll(".nav > li")) item.classList.add("nav-item");
    for (const link of area.querySelectorAll(".nav > li > a")) link.classList.add("nav-link", ...(link.parentElement.matches(".active") ? ["active"] : []));
    for (const pane of area.querySelectorAll(".tab-pane.in")) pane.classList.add("show");
  }
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

// Scripts put in with innerHTML do not run by themselves. Only those do that the server marked: they stand in the template's
// source, what came in with data has no mark.
const runScripts = (root, mark) => {
  for (const old of root.querySelectorAll("script")) {
    if (!mark || old.nonce !== mark) continue;
    const script = document.createElement("script");
    for (const { name, value } of old.attributes) script.setAttribute(name, value);
    script.nonce = nonce();
    script.textContent = old.textContent;
    old.replaceWith(script);
  }
};

const markOf = (answer) => /'nonce-([^']+)'/.exec(answer.headers.get("Content-Security-Policy") ?? "")?.[1] ?? "";

// Each way to test sends its own fields alone, although all stand in one form: names of a plugin's fields may be ours as well.
const ownFieldsOnly = (form) => {
  form.addEventListener("submit", (event) => {
    const used = event.submitter?.closest("fieldset");
    const others = [...form.querySelectorAll("fieldset")].filter((set) => used && set !== used && !set.disabled);
    for (const set of others) set.disabled = true;
    setTimeout(() => others.forEach((set) => (set.disabled = false)), 0);
  });
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
    dress(testing);
    modernise(testing);
    await attachPaths(place);
    runScripts(place, markOf(answer));
  };
  select.addEventListener("change", load);
  load();
};

dress(document);
modernise(document);
attachPaths(document);
for (const testing of document.querySelectorAll("[data-testing]")) {
  viewOptions(testing);
  testing.querySelectorAll("[data-test-form]").forEach(ownFieldsOnly);
}
