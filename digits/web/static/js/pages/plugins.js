// @ts-check
// Plugins' forms in the page: paths are completed, old tooltips speak, a view's options follow the choice of the view.

import { toast } from "../parts/dialogs.js";
import { all, el, find, perhaps } from "../parts/elements.js";
import { below, send } from "../parts/request.js";

const FIELDS = ["input", "select", "textarea"].flatMap((tag) => [`[data-plugin-form] ${tag}`, `[data-view-options] ${tag}`])
  .join();
const AREAS = "[data-plugin-form], [data-view-options], [data-results]";
const PLAIN = ["hidden", "submit", "button", "range"]; // inputs that need no look of ours

const nonce = () => perhaps("script[nonce]", document, HTMLScriptElement)?.nonce ?? "";

/**
 * Give an old path input (class autocomplete_path) the buttons and the completion of ours.
 * @param {HTMLInputElement} input
 */
function wrapPath(input) {
  if (input.closest("[data-path-field]")) return;
  const group = el("div", { class: "input-group" });
  input.replaceWith(el("div", { class: "path-field", "data-path-field": true }, group));
  const combobox = {
    autocomplete: "off",
    spellcheck: "false",
    role: "combobox",
    "aria-expanded": "false",
    "aria-autocomplete": "list",
  };
  for (const [name, value] of Object.entries(combobox)) input.setAttribute(name, value);
  group.append(input, pathButton("Browse", "data-browse"), pathButton("Upload", "data-upload"));
}

/**
 * @param {string} text
 * @param {string} mark
 */
const pathButton = (text, mark) => el("button", { type: "button", class: "btn btn-outline-secondary", [mark]: true }, text);

/**
 * Selects and numbers with the class of paths are left alone.
 * @param {ParentNode} scope
 */
async function attachPaths(scope) {
  const inputs = all("input.autocomplete_path", scope, HTMLInputElement);
  const paths = inputs.filter(({ type }) => ["text", "search", "url", ""].includes(type));
  if (!paths.length) return;
  paths.forEach(wrapPath);
  const { attachAll } = await import("../parts/paths.js");
  attachAll(scope);
}

/**
 * Bootstrap 3 said data-toggle where Bootstrap 5 says data-bs-toggle, and its tabs had no classes of their own.
 * @param {ParentNode} scope
 */
function modernise(scope) {
  for (const area of all(AREAS, scope)) {
    for (const name of ["toggle", "target", "dismiss", "parent", "placement"]) {
      for (const found of all(`[data-${name}]`, area)) {
        found.setAttribute(`data-bs-${name}`, found.getAttribute(`data-${name}`) ?? "");
      }
    }
    for (const item of all(".nav > li", area)) item.classList.add("nav-item");
    for (const link of all(".nav > li > a", area)) {
      link.classList.add("nav-link");
      if (link.parentElement?.matches(".active")) link.classList.add("active");
    }
    for (const pane of all(".tab-pane.in", area)) pane.classList.add("show");
  }
}

/**
 * Inputs without Bootstrap's class look right all the same.
 * @param {ParentNode} scope
 */
function dress(scope) {
  for (const field of all(FIELDS, scope)) {
    const type = field.getAttribute("type") ?? "";
    if (["checkbox", "radio"].includes(type)) field.classList.add("form-check-input");
    else if (field instanceof HTMLSelectElement) field.classList.add("form-select");
    else if (!PLAIN.includes(type)) field.classList.add("form-control");
  }
  const tooltip = /** @type {any} */ (globalThis).bootstrap?.Tooltip;
  if (tooltip) { for (const mark of all(".explanation-tooltip[title]", scope)) tooltip.getOrCreateInstance(mark); }
}

/**
 * Scripts put in with innerHTML do not run by themselves. Only those do that the server marked: they stand in the template's
 * source, what came in with data has no mark.
 * @param {ParentNode} scope
 * @param {string} mark
 */
function runScripts(scope, mark) {
  for (const old of all("script", scope, HTMLScriptElement)) {
    if (!mark || old.nonce !== mark) continue;
    const script = document.createElement("script");
    for (const { name, value } of old.attributes) script.setAttribute(name, value);
    script.nonce = nonce();
    script.textContent = old.textContent;
    old.replaceWith(script);
  }
}

/** @param {Response} answer */
const markOf = (answer) => /'nonce-([^']+)'/.exec(answer.headers.get("Content-Security-Policy") ?? "")?.[1] ?? "";

/**
 * Each way to test sends its own fields alone, although all stand in one form: names of a plugin's fields may be ours as well.
 * @param {HTMLFormElement} form
 */
function ownFieldsOnly(form) {
  form.addEventListener("submit", (event) => {
    const used = event.submitter?.closest("fieldset");
    const others = all("fieldset", form, HTMLFieldSetElement).filter((set) => used && set !== used && !set.disabled);
    for (const set of others) set.disabled = true;
    setTimeout(() => others.forEach((set) => (set.disabled = false)), 0);
  });
}

/**
 * What a plugin draws for the choice of a select: loaded into its place, dressed, its scripts run. False where it is not there, or
 * is not the choice any more.
 * @param {HTMLElement} testing
 * @param {HTMLSelectElement} select
 * @param {HTMLElement} place
 * @param {string} address
 * @param {string} failed
 */
async function load(testing, select, place, address, failed) {
  const asked = select.value;
  const answer = await send(below(address), { headers: { Accept: "text/html" } });
  if (select.value !== asked) return false;
  if (!answer.ok) {
    toast(failed, "error");
    return false;
  }
  place.innerHTML = await answer.text();
  dress(testing);
  modernise(testing);
  await attachPaths(place);
  runScripts(place, markOf(answer));
  return true;
}

/** @param {HTMLElement} testing */
function viewOptions(testing) {
  const select = find("[name=view_extension_id]", testing, HTMLSelectElement);
  const place = find("[data-view-options]", testing);
  const show = async () => {
    const asked = select.value;
    if (!asked) return; // no view is known while the host of plugins is away
    const address = (testing.dataset.viewConfig ?? "").replace("VIEW", encodeURIComponent(asked));
    const loaded = await load(testing, select, place, address, "The options of this view could not be loaded.");
    if (loaded) place.dataset.view = asked;
  };
  select.addEventListener("change", show);
  show();
}

/**
 * The inference form follows the choice of the plugin; the one of the data set is in the page.
 * @param {HTMLElement} testing
 */
function inferenceForm(testing) {
  const select = perhaps("[name=data_extension_id]", testing, HTMLSelectElement);
  if (!select) return;
  const place = find("[data-inference-fields]", testing);
  const buttons = all("[data-ask-own], button[formaction]", select.closest("fieldset") ?? testing, HTMLButtonElement);
  const own = { html: place.innerHTML, disabled: buttons[0].disabled };
  select.addEventListener("change", async () => {
    const isOwn = select.selectedIndex === 0;
    for (const button of buttons) button.disabled = isOwn && own.disabled;
    if (isOwn && own.disabled) {
      place.innerHTML = own.html;
      return;
    }
    const address = (select.dataset.inferenceForm ?? "").replace("FORM", encodeURIComponent(select.value));
    await load(testing, select, place, address, "The form of this plugin could not be loaded.");
  });
}

dress(document);
modernise(document);
attachPaths(document);
for (const testing of all("[data-testing]")) {
  viewOptions(testing);
  inferenceForm(testing);
  all("[data-test-form]", testing, HTMLFormElement).forEach(ownFieldsOnly);
}
