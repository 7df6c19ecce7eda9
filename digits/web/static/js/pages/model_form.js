// The form of a new model: networks, sound values for the one that is chosen, the learning rate drawn live, a summary.

import { attachPreview } from "./augmentation_preview.js";
import { attach } from "../parts/code_editor.js";
import { describe, readForm } from "../parts/model_summary.js";
import { networkView } from "../parts/network_view.js";
import { CONFIG, colour, drawAlways, layout, plotly } from "../charts/theme_plot.js";
import { compact } from "../parts/format.js";
import { el, number, request, root, toast } from "../parts/ui.js";

const form = document.getElementById("model-form");
const data = JSON.parse(document.getElementById("model-data").textContent);
const control = (name) => form.elements.namedItem(name);
const all = (selector) => [...form.querySelectorAll(selector)];
// The form has a field "dataset", which hides the property of that name; request() adds the prefix again.
const address = (name) => form.getAttribute(`data-${name}`).slice(root.length);
const editor = attach(control("custom_network"), data.frameworks.flatMap((f) => f.imports));
const touched = new Set(); // fields the user has set are not overwritten by a network's sound values
let tab = all("[data-tab].active")[0].dataset.tab;
let report = null; // what the last "Visualize" found
let library = new Map();

const ownFramework = () => data.frameworks.find((f) => f.id === framework());
const framework = () => form.querySelector('[name="framework"]:checked').value;
const dataset = () => data.datasets.find((d) => d.id === control("dataset").value);
const chosenName = () => form.querySelector(`#pane-${tab} [name="standard_networks"]:checked`)?.value || "";
const card = () => data.standard[framework()].find((c) => c.name === chosenName()) || library.get(chosenName());

function debounced(work, wait) {
  let timer = 0;
  return (...values) => { clearTimeout(timer); timer = setTimeout(() => work(...values), wait); };
}

// -- tabs ---------------------------------------------------------------------------------------------------------

function showTab(name) {
  tab = name;
  for (const button of all("[data-tab]")) {
    const chosen = button.dataset.tab === name;
    button.classList.toggle("active", chosen);
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
    document.getElementById(`pane-${button.dataset.tab}`).hidden = !chosen;
  }
  control("method").value = name === "library" ? "standard" : name;
  // radios of hidden tabs must not be sent: library and standard share one name
  for (const radio of all('[name="standard_networks"]')) radio.disabled = !radio.closest(`#pane-${name}`);
  control("use_pretrained_weights").disabled = name !== "library";
  if (name === "library") findNetworks();
  report = null;
  refresh();
}

function tabKeys(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tabs = all("[data-tab]");
  const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
  showTab(next.dataset.tab);
  next.focus();
}

function showFramework() {
  for (const part of all("[data-framework-only]")) part.hidden = part.dataset.frameworkOnly !== framework();
  const cards = all(`#pane-standard [data-framework-only="${framework()}"] [name="standard_networks"]`);
  if (tab === "standard" && cards.length && !cards.some((radio) => radio.checked)) {
    (cards.find((radio) => radio.value === chosenName()) || cards[0]).checked = true;
    soundValues();
  }
  document.getElementById("library-search").placeholder = `Search ${ownFramework().libraries || "the libraries"}, e.g. resnet 50`;
  if (tab === "library") findNetworks();
  offerSwitch();
  refresh();
}

function offerSwitch() {
  const text = control("custom_network").value;
  const isWrittenFor = (f) => new RegExp(`^\\s*(import|from)\\s+(${f.imports.join("|")})\\b`, "m").test(text);
  const other = isWrittenFor(ownFramework()) ? null : data.frameworks.find(isWrittenFor);
  const box = form.querySelector("[data-foreign]");
  box.hidden = !other;
  if (!other) return;
  const button = el("button", { class: "btn btn-sm btn-outline-primary ms-2", type: "button", "data-switch": other.id }, `Switch to ${other.title}`);
  box.replaceChildren(`This text is written for ${other.title}.`, button);
}

// A task that the chosen framework cannot do is said at once, with the way out.
function offerOther() {
  const own = ownFramework();
  const other = data.frameworks.find((f) => !f.missing_tasks.includes(dataset()?.task)) ?? own;
  const box = form.querySelector("[data-impossible]");
  box.hidden = !own.missing_tasks.includes(dataset()?.task);
  const button = el("button", { class: "btn btn-sm btn-outline-primary ms-2", type: "button", "data-switch": other.id }, `Switch to ${other.title}`);
  box.replaceChildren(`${dataset()?.task === "detection" ? "Object detection" : "This task"} is not possible with ${own.title} here.`, button);
}

// What does not go with the data set's task is hidden: networks, losses, fields. A data set of unknown sort takes everything.
function showTask() {
  const task = dataset()?.networks || data.area;
  for (const part of all("[data-tasks]")) part.hidden = task !== "generic" && !part.dataset.tasks.split(" ").includes(task);
  for (const option of control("loss").options) option.hidden = Boolean(option.value) && !data.losses[task]?.includes(option.value);
  const usual = dataset()?.usual_loss;
  control("loss").options[0].textContent = usual ? `Usual: ${usual}` : "Usual for the task";
  if (control("loss").selectedOptions[0]?.hidden) control("loss").value = "";
  const cards = all(`#pane-standard [data-framework-only="${framework()}"] .network-card:not([hidden]) [name="standard_networks"]`);
  if (tab === "standard" && cards.length && !cards.some((radio) => radio.checked)) {
    (cards.find((radio) => radio.value === dataset()?.proposed[framework()]) || cards[0]).checked = true;
    soundValues();
  }
  suggestName();
  offerOther();
  if (tab === "library") findNetworks();
}

// -- values for the chosen network --------------------------------------------------------------------------------

function soundValues() {
  const values = card()?.defaults;
  suggestName();
  if (!values || !form.hasAttribute("data-fresh")) return;
  for (const [name, value] of Object.entries(values)) {
    const field = control(name);
    if (!field || touched.has(name)) continue;
    if (field.type === "checkbox") field.checked = Boolean(value);
    else field.value = value ?? "";
  }
  showDependents();
}

// "Pets LeNet", until the user writes a name.
function suggestName() {
  if (!form.hasAttribute("data-fresh") || touched.has("model_name") || !dataset()) return;
  const network = tab === "custom" ? "custom" : tab === "previous" ? previous()?.network : card()?.title || chosenName();
  control("model_name").value = `${dataset().name} ${network || ""}`.trim();
}

function showDependents() {
  const policy = control("lr_policy").value;
  for (const part of all("[data-policy]")) part.hidden = part.dataset.policy !== policy;
  for (const part of all("[data-solver]")) part.hidden = part.dataset.solver !== control("solver_type").value;
  for (const part of all("[data-hsv]")) part.hidden = !control("aug_hsv_use").checked;
  drawRate();
}

// -- learning rate ------------------------------------------------------------------------------------------------

let rates = [];
const drawRate = debounced(async () => {
  if (!document.getElementById("lr-panel").open) return;
  const fields = Object.fromEntries([...new FormData(form)].filter(([name]) => name === "learning_rate" || name.startsWith("lr_")));
  try {
    rates = (await request(address("lr"), { method: "POST", data: fields })).data.columns;
    await plotRates();
  } catch (error) {
    (await plotly()).purge("lr-chart");
    document.getElementById("lr-chart").replaceChildren(el("p", { class: "muted p-3" }, error.message));
  }
}, 150);

async function plotRates() {
  const chart = document.getElementById("lr-chart");
  if (!rates.length || !document.getElementById("lr-panel").open) return;
  if (!chart.classList.contains("js-plotly-plot")) chart.replaceChildren();
  const bases = control("learning_rate").value.replace(/[[\]()]/g, "").split(",");
  const traces = rates.map(([name, ...y], i) => ({ y, name: bases[i]?.trim() || name, mode: "lines", line: { width: 2, color: colour(i) } }));
  const shape = layout({ x: "progress (%)", y: "", showlegend: rates.length > 1, yaxis: { rangemode: "tozero" }, margin: { l: 52, r: 10, t: 8, b: 36 } });
  (await plotly()).react(chart, traces, shape, { ...CONFIG, displayModeBar: false });
}

// -- library ------------------------------------------------------------------------------------------------------

async function findNetworks() {
  const task = dataset()?.networks || data.area;
  const box = form.querySelector("[data-library]");
  const search = document.getElementById("library-search");
  const wanted = search.value.trim();
  try {
    const found = await request(`${address("networks")}?framework=${framework()}&task=${task}&q=${encodeURIComponent(wanted)}`);
    if (wanted !== search.value.trim()) return;
    library = new Map(found.networks.map((network) => [network.name, network]));
    box.replaceChildren(networkTable(found.networks, chosenName() || search.dataset.chosen));
    const more = found.total > found.networks.length ? `The first ${found.networks.length} of ${number(found.total)}; type more of the name to narrow it down.` : `${number(found.total)} networks.`;
    form.querySelector("[data-library-count]").textContent = more;
    refresh();
  } catch (error) {
    box.replaceChildren(el("p", { class: "muted" }, error.message));
  }
}

function networkTable(networks, chosen) {
  if (!networks.length) return el("p", { class: "muted p-3" }, "No network has all these words in its name.");
  const head = el("thead", {}, el("tr", {}, el("th"), el("th", {}, "Network"), el("th", { class: "num" }, "Parameters"), el("th", { class: "num" }, "Input"), el("th")));
  const rows = networks.map((network, i) => el("tr", {},
    el("td", {}, el("input", { class: "form-check-input", type: "radio", name: "standard_networks", id: `lib-${i}`, value: network.name, checked: network.name === chosen })),
    el("td", { class: "name" }, el("label", { for: `lib-${i}` }, network.name)),
    el("td", { class: "num" }, network.parameters ? compact(network.parameters) : ""),
    el("td", { class: "num" }, network.input_size ? `${network.input_size}×${network.input_size}` : "any"),
    el("td", {}, el("button", { class: "btn btn-link btn-sm", type: "button", "data-customize": network.name }, "Customize"))));
  return el("table", { class: "table-list" }, head, el("tbody", {}, ...rows));
}

// -- custom text, layers ------------------------------------------------------------------------------------------

async function customize(network) {
  const snapshot = form.querySelector(`[name="${CSS.escape(`${network}-snapshot`)}"]`)?.value;
  const target = `${address("customize")}?network=${encodeURIComponent(network)}&framework=${framework()}`;
  try {
    const text = await request(target, { method: "POST", data: snapshot ? { snapshot_epoch: snapshot } : {} });
    editor.setText(text.network);
    control("custom_network_snapshot").value = text.snapshot || "";
    showTab("custom");
    offerSwitch();
    control("custom_network").focus();
  } catch (error) { toast(error.message, "error"); }
}

async function currentText() {
  if (tab === "custom") return control("custom_network").value;
  const network = tab === "previous" ? control("previous_networks")?.value : chosenName();
  if (!network) throw new Error("Choose a network first.");
  const target = `${address("customize")}?network=${encodeURIComponent(network)}&framework=${framework()}`;
  return (await request(target, { method: "POST", data: { snapshot_epoch: 0 } })).network;
}

async function visualize() {
  const state = form.querySelector("[data-visualize-state]");
  const box = form.querySelector("[data-layers]");
  state.textContent = "Building the network …";
  try {
    const fields = { custom_network: await currentText(), dataset_id: control("dataset").value, crop_size: control("crop_size").value };
    report = await request(`${address("check")}?framework=${framework()}`, { method: "POST", data: fields });
    box.replaceChildren(networkView(report));
    state.textContent = "";
  } catch (error) {
    report = null;
    state.textContent = "";
    const texts = error.value?.errors?.custom_network || [error.message];
    box.replaceChildren(el("div", { class: "alert alert-danger mt-2 mb-0", role: "alert" }, texts.join(" ")));
  }
  box.hidden = false;
  refresh();
}

// -- summary and copying ------------------------------------------------------------------------------------------

const refresh = debounced(() => {
  const found = describe({ value: (name) => control(name)?.value?.trim() || "", tab, dataset: dataset(), card: tab === "custom" || tab === "previous" ? null : card(), report, previous: previous() });
  form.querySelector("[data-summary]").replaceChildren(...found.facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  form.querySelector("[data-hints]").replaceChildren(...found.hints.map((text) => el("div", { class: "alert alert-warning" }, text)));
  form.querySelector("[data-create]").textContent = found.models > 1 ? `Create ${found.models} models` : "Create";
}, 30);

const previous = () => data.previous.find((model) => model.id === form.querySelector('[name="previous_networks"]:checked')?.value);

async function copyAs(kind) {
  const text = readForm(form, data, tab)[kind]();
  try {
    await navigator.clipboard.writeText(text);
    toast(kind === "curl" ? "The request is in the clipboard." : "The command is in the clipboard.", "success");
  } catch { toast("The browser does not allow copying here.", "error"); }
}

// -- wiring -------------------------------------------------------------------------------------------------------

form.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.tab) showTab(button.dataset.tab);
  else if (button.dataset.customize) customize(button.dataset.customize);
  else if ("example" in button.dataset) customize(data.standard[framework()][0]?.name || "lenet");
  else if ("visualize" in button.dataset) visualize();
  else if (button.dataset.switch) { document.getElementById(`framework-${button.dataset.switch}`).checked = true; showFramework(); showTask(); }
  else if (button.dataset.copyAs) copyAs(button.dataset.copyAs);
});
form.addEventListener("keydown", (event) => event.target.dataset?.tab && tabKeys(event));
form.addEventListener("input", (event) => {
  if (event.target.name) touched.add(event.target.name);
  if (event.target.id === "library-search") searchSoon();
  if (event.target.name === "custom_network") { report = null; offerSwitch(); }
  showDependents();
  refresh();
});
form.addEventListener("change", (event) => {
  const { name } = event.target;
  if (name === "framework") showFramework();
  if (["dataset", "framework"].includes(name)) showTask();
  if (name === "standard_networks") { report = null; soundValues(); }
  if (["dataset", "previous_networks"].includes(name)) report = null;
  refresh();
});
form.addEventListener("submit", () => { form.querySelector('[type="submit"]').disabled = true; });
addEventListener("pageshow", () => { form.querySelector('[type="submit"]').disabled = false; });
document.getElementById("lr-panel").addEventListener("toggle", () => drawRate());
const searchSoon = debounced(findNetworks, 200);
control("group_name").setAttribute("list", "groups");
attachPreview(form);
showTab(tab);
offerSwitch();
showTask();
showDependents();
drawAlways(() => plotRates());
