// @ts-check
// The page that looks into a model: which snapshot, which picture, which view; the address holds it all.

import { LayersView } from "../inside/layers.js";
import { dataset, isOwn, keepPicture, State } from "../inside/state.js";
import { VectorsView } from "../inside/vectors.js";
import { WhyView } from "../inside/why.js";
import { promptDialog } from "../parts/dialogs.js";
import { all, el, find, perhaps } from "../parts/elements.js";
import { showTab, wireTabs } from "../parts/tabs.js";
import { takeDrops } from "../parts/uploads.js";

const state = new State();
const root = find("[data-inside]");
const problem = find("[data-problem]");
const snapshot = find("[data-snapshot]", root, HTMLSelectElement);
const beside = find("[data-with]", root, HTMLSelectElement);
const colours = find("[data-colours]", root, HTMLSelectElement);
const file = find("[data-file]", root, HTMLInputElement);
const pictureSet = perhaps("[data-picture-set]", root, HTMLSelectElement);
const views = { layers: new LayersView(state), why: new WhyView(state), vectors: new VectorsView(state) };

const view = () => /** @type {keyof typeof views} */ (state.get("view") in views ? state.get("view") : "layers");

/**
 * @param {Record<string, string>} changes
 */
function change(changes) {
  if (changes.record !== undefined) state.file = null;
  state.set(changes, true);
  return draw();
}

/** The controls as the address says, and the chosen view. */
async function draw() {
  problem.hidden = true;
  if (!state.get("snapshot_epoch")) state.set({ snapshot_epoch: snapshot.value });
  if (dataset && !isOwn && state.get("dataset") !== dataset) state.set({ dataset });
  choose(snapshot, state.get("snapshot_epoch"));
  choose(beside, state.get("with"));
  colours.value = state.get("colours") || "viridis";
  const record = state.get("record"), path = state.get("image_path");
  for (const button of all("[data-record]", root)) button.setAttribute("aria-pressed", String(button.dataset.record === record));
  find("[data-no-picture]", root).setAttribute("aria-pressed", String(!state.hasPicture()));
  const isOffered = all("[data-record]", root).some((button) => button.dataset.record === record);
  find("[data-picture-name]").textContent = state.file?.name ??
    (path ? path.split("/").pop() ?? "" : record && !isOffered ? record : "");
  showTab(root, view());
  views.vectors.hide();
  await views[view()].show();
}

/**
 * Choose a value that may be none of the options yet.
 * @param {HTMLSelectElement} select
 * @param {string} value
 */
function choose(select, value) {
  if (![...select.options].some((option) => option.value === value)) {
    select.append(el("option", { value }, value.includes("@") || value.includes("-") ? `Model ${value}` : `Epoch ${value}`));
  }
  select.value = value;
}

/** @param {unknown} error */
function say(error) {
  const { name, message } = /** @type {Error} */ (error);
  if (name === "AbortError") return;
  problem.textContent = message;
  problem.hidden = false;
}

/** @param {File | undefined} chosen */
async function upload(chosen) {
  if (!chosen) return;
  try {
    const path = await keepPicture(chosen).catch(() => ""); // who may not keep files here may look at one all the same
    state.file = path ? null : chosen;
    state.set({ image_path: path, record: "" }, true);
    await draw();
  } catch (error) {
    say(error);
  }
}

snapshot.addEventListener("change", () => change({ snapshot_epoch: snapshot.value }).catch(say));
colours.addEventListener("change", () => change({ colours: colours.value === "viridis" ? "" : colours.value }).catch(say));
beside.addEventListener("change", async () => {
  if (beside.value !== "other") return change({ with: beside.value }).catch(say);
  const given = await promptDialog("Another model beside it", "", {
    label: "Its id, with @EPOCH for one snapshot",
    action: "Show",
  });
  choose(beside, state.get("with"));
  if (given?.trim()) change({ with: given.trim() }).catch(say);
});
for (const button of all("[data-record]", root)) {
  button.addEventListener("click", () => change({ record: button.dataset.record ?? "", image_path: "" }).catch(say));
}
pictureSet?.addEventListener("change", () => {
  state.set({ dataset: pictureSet.value, record: "", embedding: "" }, true);
  location.reload();
});
find("[data-no-picture]", root).addEventListener("click", () => change({ record: "", image_path: "" }).catch(say));
file.addEventListener("change", () => upload(file.files?.[0]));
takeDrops(find(".inside-head", root), (transfer) => upload(transfer?.files[0]));
wireTabs(root, (name) => change({ view: name === "layers" ? "" : name }).catch(say));
addEventListener("popstate", () => {
  state.values = new URLSearchParams(location.search);
  draw().catch(say);
});
draw().catch(say);
