// @ts-check
// The form of a new model: networks, recommended values of the chosen one, the learning rate drawn live, a summary.

import { attach } from "../parts/code_editor.js";
import { copyText, toast } from "../parts/dialogs.js";
import { all as allIn, el, find, pageData } from "../parts/elements.js";
import { number } from "../parts/format.js";
import { control as controlOf, isEdited, textOf } from "../parts/forms.js";
import { attachHub, ofHub } from "../parts/hub_choice.js";
import { describe, readForm } from "../parts/model_summary.js";
import { networkTable } from "../parts/network_table.js";
import { networkView } from "../parts/network_view.js";
import { below, request, RequestError } from "../parts/request.js";
import { showTab, wireTabs } from "../parts/tabs.js";
import { debounced } from "../parts/timing.js";
import { attachPreview } from "./augmentation_preview.js";
import { attachDatasetSearch } from "./dataset_search.js";
import { attachLearningRate } from "./learning_rate.js";

/** @typedef {import("../parts/network_table.js").Network} Network */
/** @typedef {import("../parts/network_view.js").NetworkReport} Report */
/** @typedef {import("../parts/model_summary.js").Dataset} Dataset */
/** @typedef {{id: string, title: string, imports: string[], libraries: string, missing_tasks: string[]}} Framework */
/**
 * What the page holds beside the form.
 * @typedef {object} Data
 * @property {Dataset[]} datasets
 * @property {Record<string, Network[]>} standard networks by framework
 * @property {Framework[]} frameworks
 * @property {{id: string, name: string, network: string}[]} previous models
 * @property {{id: string, name: string, network: string}[]} pretrained models
 * @property {Record<string, string[]>} losses by task
 * @property {Record<string, string>} defaults of the server
 * @property {string} area networks that are shown while no data set is chosen
 * @property {string} open_task data of any sort, for which everything is shown
 * @property {boolean} auth
 * @property {string} user
 */

const form = find("#model-form", document, HTMLFormElement);
/** @type {Data} */
const data = pageData("model-data");
const control = (/** @type {string} */ name) => controlOf(form, name);
const part = (/** @type {string} */ selector) => find(selector, form);
const all = (/** @type {string} */ selector) => allIn(selector, form);
const radios = (/** @type {string} */ selector) => allIn(selector, form, HTMLInputElement);
// The form has a field "dataset", which hides the property of that name.
const address = (/** @type {string} */ name) => below(form.getAttribute(`data-${name}`) ?? "");
const editor = attach(
  control("custom_network"),
  data.frameworks.flatMap((f) => f.imports),
);
const search = find("#library-search", form, HTMLInputElement);
const submit = find('[type="submit"]', form, HTMLButtonElement);
const isFresh = form.hasAttribute("data-fresh"); // not one that came back with errors
/** @type {Set<string>} */
const touched = new Set( // fields the user has set, also before this code ran, are not overwritten by recommended values
  [...form.elements].filter(isEdited).map((field) => field.getAttribute("name") ?? ""),
);
/** @type {Map<string, Network>} */
let library = new Map();
let tab = part("[data-tab].active").dataset.tab ?? "";
let report = /** @type {Report | null} */ (null); // what the last "Visualize" found

const framework = () => find('[name="framework"]:checked', form, HTMLInputElement).value;
const ownFramework = () => /** @type {Framework} */ (data.frameworks.find((f) => f.id === framework()));
const dataset = () => data.datasets.find((d) => d.id === control("dataset").value);
const area = () => dataset()?.networks || data.area;
const chosenName = () => radios(`#pane-${tab} [name="standard_networks"]:checked`)[0]?.value || "";
const card = () =>
  data.standard[framework()].find((c) => c.name === chosenName()) ||
  library.get(chosenName());
const previous = () => {
  const name = tab === "pretrained" ? "pretrained_networks" : "previous_networks";
  const models = tab === "pretrained" ? data.pretrained : data.previous;
  const chosen = radios(`[name="${name}"]:checked`)[0]?.value;
  return models.find((model) => model.id === chosen) || ofHub(chosen);
};
const ofOthers = () => tab === "previous" || tab === "pretrained"; // the network is that of another model

// -- tabs -------------------------------------------------------------------------------------------------------------

/** @param {string} name */
function choose(name) {
  tab = name;
  showTab(form, name);
  control("method").value = name === "library" ? "standard" : name;
  // radios of hidden tabs must not be sent: library and standard share one name
  for (const radio of radios('[name="standard_networks"]')) {
    radio.disabled = !radio.closest(`#pane-${name}`);
  }
  control("use_pretrained_weights").disabled = name !== "library";
  if (name === "library") findNetworks();
  report = null;
  refresh();
}

/**
 * Where none of the cards that are shown is chosen, choose one.
 * @param {string} selector of the cards
 * @param {string | undefined} wanted
 */
function chooseCard(selector, wanted) {
  const cards = radios(
    `#pane-standard [data-framework-only="${framework()}"] ${selector} [name="standard_networks"]`,
  );
  if (
    tab !== "standard" || !cards.length || cards.some((radio) => radio.checked)
  ) return;
  (cards.find((radio) => radio.value === wanted) || cards[0]).checked = true;
  recommendedValues();
}

function showFramework() {
  for (const only of all("[data-framework-only]")) {
    only.hidden = only.dataset.frameworkOnly !== framework();
  }
  chooseCard("", chosenName());
  search.placeholder = `Search ${ownFramework().libraries || "the libraries"}, e.g. resnet 50`;
  if (tab === "library") findNetworks();
  offerSwitch();
  refresh();
}

/** @param {Framework} other */
const switchButton = ({ id, title }) =>
  el("button", {
    class: "btn btn-sm btn-outline-primary ms-2",
    type: "button",
    "data-switch": id,
  }, `Switch to ${title}`);

/** @param {string} id */
function switchTo(id) {
  find(`#framework-${id}`, form, HTMLInputElement).checked = true;
  showFramework();
  showTask();
}

function offerSwitch() {
  const text = control("custom_network").value;
  const isWrittenFor = (/** @type {Framework} */ { imports }) =>
    new RegExp(`^\\s*(import|from)\\s+(${imports.join("|")})\\b`, "m").test(
      text,
    );
  const other = isWrittenFor(ownFramework()) ? undefined : data.frameworks.find(isWrittenFor);
  const box = part("[data-foreign]");
  box.hidden = !other;
  if (other) {
    box.replaceChildren(
      `This text is written for ${other.title}.`,
      switchButton(other),
    );
  }
}

/** A task that the chosen framework cannot do is said at once, with the way out. */
function offerOther() {
  const own = ownFramework();
  const task = dataset()?.task;
  const other = data.frameworks.find((f) => !f.missing_tasks.includes(task)) ??
    own;
  const box = part("[data-impossible]");
  box.hidden = !own.missing_tasks.includes(task);
  const subject = dataset()?.task_title ?? "This task";
  box.replaceChildren(
    `${subject} is not possible with ${own.title} here.`,
    switchButton(other),
  );
}

/** What does not go with the data set's task is hidden: networks, losses, fields. A data set of unknown sort takes everything. */
function showTask() {
  const task = area();
  for (const only of all("[data-tasks]")) {
    only.hidden = task !== data.open_task &&
      !only.dataset.tasks?.split(" ").includes(task);
  }
  /** @type {HTMLSelectElement} */
  const loss = control("loss");
  for (const option of loss.options) {
    option.hidden = Boolean(option.value) &&
      !data.losses[task]?.includes(option.value);
  }
  const usual = dataset()?.usual_loss;
  loss.options[0].textContent = usual ? `Usual: ${usual}` : "Usual for the task";
  if (loss.selectedOptions[0]?.hidden) loss.value = "";
  chooseCard(".network-card:not([hidden])", dataset()?.proposed[framework()]);
  proposeCrop();
  suggestName();
  offerOther();
  if (tab === "library") findNetworks();
}

// -- values for the chosen network ------------------------------------------------------------------------------------

function recommendedValues() {
  const values = card()?.defaults;
  suggestName();
  if (!values || !isFresh) return;
  for (const [name, value] of Object.entries(values)) {
    const field = control(name);
    if (!field || touched.has(name)) continue;
    if (field.type === "checkbox") field.checked = Boolean(value);
    else field.value = value ?? "";
  }
  showDependents();
}

/** Pictures of several sizes make batches only as crops of one. */
function proposeCrop() {
  const chosen = dataset();
  if (!isFresh || touched.has("crop_size") || !chosen) return;
  control("crop_size").value = chosen.crop_size ?? card()?.defaults.crop_size ?? "";
}

/** "Pets LeNet", until the user writes a name. */
function suggestName() {
  const chosen = dataset();
  if (!isFresh || touched.has("model_name") || !chosen) return;
  const network = tab === "custom" ? "custom" : ofOthers() ? previous()?.network : card()?.title || chosenName();
  control("model_name").value = `${chosen.name} ${network || ""}`.trim();
}

function showDependents() {
  const policy = control("lr_policy").value,
    solver = control("solver_type").value;
  for (const only of all("[data-policy]")) {
    only.hidden = only.dataset.policy !== policy;
  }
  for (const only of all("[data-solver]")) {
    only.hidden = only.dataset.solver !== solver;
  }
  for (const only of all("[data-hsv]")) {
    only.hidden = !control("aug_hsv_use").checked;
  }
  drawRate();
}

// -- library ----------------------------------------------------------------------------------------------------------

async function findNetworks() {
  const box = part("[data-library]");
  const wanted = search.value.trim();
  const query = new URLSearchParams({ framework: framework(), task: area(), q: wanted });
  try {
    /** @type {{networks: Network[], total: number}} */
    const { networks, total } = await request(`${address("networks")}?${query}`);
    if (wanted !== search.value.trim()) return;
    library = new Map(networks.map((network) => [network.name, network]));
    box.replaceChildren(
      networkTable(networks, chosenName() || search.dataset.chosen),
    );
    part("[data-library-count]").textContent = total > networks.length
      ? `The first ${networks.length} of ${number(total)}; type more of the name to narrow it down.`
      : `${number(total)} networks.`;
    refresh();
  } catch (error) {
    box.replaceChildren(
      el("p", { class: "muted" }, /** @type {Error} */ (error).message),
    );
  }
}

// -- custom text, layers ----------------------------------------------------------------------------------------------

/**
 * The text of a network as the editor shows it.
 * @param {string} network
 * @param {Record<string, any>} fields
 * @returns {Promise<{network: string, snapshot?: string, python_layer?: string}>}
 */
function textOfNetwork(network, fields) {
  const query = new URLSearchParams({ network, framework: framework() });
  return request(`${address("customize")}?${query}`, {
    method: "POST",
    data: fields,
  });
}

/** @param {string} network */
async function customize(network) {
  const snapshot = textOf(form, `${network}-snapshot`);
  try {
    const text = await textOfNetwork(
      network,
      snapshot ? { snapshot_epoch: snapshot } : {},
    );
    editor.setText(text.network);
    control("custom_network_snapshot").value = text.snapshot || "";
    control("python_layer_server_file").value = text.python_layer || "";
    if (text.python_layer) part("[data-python-layers]").setAttribute("open", "");
    choose("custom");
    offerSwitch();
    control("custom_network").focus();
  } catch (error) {
    toast(/** @type {Error} */ (error).message, "error");
  }
}

/**
 * What is chosen, as `visualize-network` takes it.
 * @returns {Promise<{custom_network: string, python_layer_server_file: string}>}
 */
async function currentText() {
  const own = control("python_layer_server_file").value;
  if (tab === "custom") {
    return { custom_network: control("custom_network").value, python_layer_server_file: own };
  }
  const network = ofOthers() ? previous()?.id : chosenName();
  if (!network) throw new Error("Choose a network first.");
  const found = await textOfNetwork(network, { snapshot_epoch: 0 });
  return { custom_network: found.network, python_layer_server_file: own || found.python_layer || "" };
}

async function visualize() {
  const state = part("[data-visualize-state]");
  const box = part("[data-layers]");
  state.textContent = "Building the network …";
  report = null;
  try {
    const fields = {
      ...await currentText(),
      dataset_id: control("dataset").value,
      crop_size: control("crop_size").value,
    };
    /** @type {Report} */
    const found = await request(
      `${address("check")}?framework=${framework()}`,
      { method: "POST", data: fields },
    );
    report = found;
    box.replaceChildren(networkView(found));
  } catch (error) {
    const own = error instanceof RequestError && error.value?.errors;
    const texts = own ? Object.values(own).flat() : [/** @type {Error} */ (error).message];
    box.replaceChildren(
      el(
        "div",
        { class: "alert alert-danger mt-2 mb-0", role: "alert" },
        texts.join(" "),
      ),
    );
  }
  state.textContent = "";
  box.hidden = false;
  refresh();
}

// -- summary and copying ----------------------------------------------------------------------------------------------

const refresh = debounced(() => {
  const found = describe({
    value: (name) => textOf(form, name),
    tab,
    dataset: dataset(),
    card: tab === "custom" || ofOthers() ? null : card(),
    report,
    previous: previous(),
  });
  part("[data-summary]").replaceChildren(
    ...found.facts.flatMap((
      [name, value],
    ) => [el("dt", {}, name), el("dd", {}, value)]),
  );
  part("[data-hints]").replaceChildren(
    ...found.hints.map((text) => el("div", { class: "alert alert-warning" }, text)),
  );
  part("[data-create]").textContent = found.models > 1 ? `Create ${found.models} models` : "Create";
}, 30);

/** @param {string} kind "curl" or "cli" */
function copyAs(kind) {
  const made = readForm(form, data, tab);
  if (kind === "curl") {
    copyText(made.curl(), "The request is in the clipboard.");
  } else copyText(made.cli(), "The command is in the clipboard.");
}

// -- wiring -----------------------------------------------------------------------------------------------------------

form.addEventListener("click", ({ target }) => {
  const button = target instanceof Element && target.closest("button");
  if (!button) return;
  const { customize: network, switch: other, copyAs: kind } = button.dataset;
  if (network) customize(network);
  else if (other) switchTo(other);
  else if (kind) copyAs(kind);
  else if ("example" in button.dataset) {
    customize(data.standard[framework()][0]?.name || "lenet");
  } else if ("visualize" in button.dataset) visualize();
});
form.addEventListener("input", (/** @type {any} */ { target }) => {
  if (target.name) touched.add(target.name);
  if (target === search) searchSoon();
  if (target.name === "custom_network") {
    report = null;
    offerSwitch();
  }
  showDependents();
  refresh();
});
form.addEventListener("change", (/** @type {any} */ { target: { name } }) => {
  if (name === "framework") showFramework();
  if (["dataset", "framework"].includes(name)) showTask();
  if (["dataset", "previous_networks", "pretrained_networks", "standard_networks"].includes(name)) {
    report = null;
  }
  if (name === "standard_networks") recommendedValues();
  refresh();
});
form.addEventListener("submit", () => {
  submit.disabled = true;
});
addEventListener("pageshow", () => {
  submit.disabled = false;
});
const searchSoon = debounced(findNetworks, 200);
const drawRate = attachLearningRate(form, address("lr"));
control("group_name").setAttribute("list", "groups");
attachPreview(form);
attachHub();
attachDatasetSearch(form, (found) => {
  data.datasets = found;
  refresh();
});
wireTabs(form, choose);
choose(tab);
offerSwitch();
if (touched.has("framework")) showFramework();
showTask();
if (touched.has("standard_networks")) recommendedValues();
showDependents();
