// @ts-check
// The model store: what the stores offer, searched as one types, and taking a model over with its progress.

import { toast } from "../parts/dialogs.js";
import { el, find, icon, perhaps } from "../parts/elements.js";
import { fileSize } from "../parts/format.js";
import { below, request, url } from "../parts/request.js";

/**
 * @typedef {{dir_name: string, id: string, info: Record<string, any>, aux: Record<string, string>, size: number | null,
 *   hashed: boolean, problem: string}} StoreModel
 * @typedef {{base_url: string, welcome_msg: string, model_list: StoreModel[], error: string}} Store
 */

const WATCH_MS = 700;
const WIDE = "d-none d-md-table-cell"; // columns that a phone has no room for
const card = perhaps("[data-store]");
const places = /** @type {string[]} */ (JSON.parse(card?.dataset.places ?? "[]"));
/** @type {Map<string, Store | null>} by address; null: it has not answered yet */
const stores = new Map();

/**
 * Each store is asked on its own, so that a slow one hides no other.
 * @param {boolean} again
 */
async function read(again) {
  for (const place of places) stores.set(place, null);
  show();
  await Promise.all(places.map(async (place) => {
    const asked = new URLSearchParams({ store: place, ...(again ? { refresh: "1" } : {}) });
    try {
      const answer = await request(`${below(card?.dataset.models ?? "")}?${asked}`);
      stores.set(place, Object.values(answer)[0]);
    } catch (error) {
      const said = /** @type {Error} */ (error).message;
      stores.set(place, { base_url: place, welcome_msg: "", model_list: [], error: said });
    }
    show();
  }));
}

function show() {
  const words = /** @type {HTMLInputElement} */ (find("#store-search")).value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  const parts = [...stores].flatMap(([place, store]) => {
    if (!store) return [el("p", { class: "muted p-3 mb-0" }, el("strong", {}, place), " is asked …")];
    const models = store.model_list.filter((model) => {
      const said = [model.dir_name, ...Object.values(model.info), ...Object.values(model.aux)].join(" ").toLowerCase();
      return words.every((word) => said.includes(word));
    });
    count += models.length;
    const head = el(
      "div",
      { class: "p-3 pb-1" },
      el("strong", {}, store.base_url),
      " ",
      el("span", { class: "muted" }, store.welcome_msg),
    );
    if (store.error) return [head, el("div", { class: "alert alert-warning m-3", role: "alert" }, store.error)];
    if (!models.length) {
      return [head, el("p", { class: "muted px-3" }, words.length ? "Nothing matches." : "It offers no model.")];
    }
    return [head, el("div", { class: "table-scroll" }, table(models))];
  });
  find("[data-stores]").replaceChildren(...parts);
  find("[data-count]").textContent = `${count} model${count === 1 ? "" : "s"}`;
}

/** @param {StoreModel[]} models */
function table(models) {
  const titles = ["Name", "Framework", "Task", "Data set", "By", "Licence", "Size", ""];
  const hides = ["", WIDE, WIDE, WIDE, WIDE, "", "num", ""];
  const rows = models.map((model) => {
    const { info, aux } = model;
    const said = aux.note ?? aux.notes ?? aux.description ?? "";
    const cells = [
      [el("span", {}, info.name ?? model.dir_name), said && el("div", { class: "minor" }, said)],
      [info.framework ?? ""],
      [info.task ?? ""],
      [aux.dataset ?? ""],
      [aux.affiliation ?? aux.affiliate ?? aux.credit ?? info.username ?? ""],
      [aux.license ?? aux.licence ?? ""],
      [
        model.size === null ? "" : fileSize(model.size),
        !model.hashed && !model.problem &&
        el("div", { class: "minor", title: "The store gives no hash of its files" }, "no hash"),
      ],
      [model.problem ? el("span", { class: "minor", title: model.problem }, model.problem) : button(model)],
    ];
    return el("tr", {}, ...cells.map((content, at) => el("td", { class: at ? hides[at] : "name wrap" }, ...content)));
  });
  const head = el("tr", {}, ...titles.map((title, at) => el("th", { class: hides[at] }, title)));
  return el("table", { class: "table-list" }, el("thead", {}, head), el("tbody", {}, ...rows));
}

/** @param {StoreModel} model */
function button(model) {
  const made = el("button", { class: "btn btn-outline-primary btn-sm text-nowrap", type: "button" }, icon("download"), " Get it");
  made.addEventListener("click", () => take(model, made));
  return made;
}

/**
 * @param {StoreModel} model
 * @param {HTMLElement} place where the progress is shown
 */
async function take(model, place) {
  place.setAttribute("disabled", "");
  try {
    const body = new URLSearchParams({ id: model.id });
    const { id } = await request(below(card?.dataset.push ?? ""), { method: "POST", body });
    await watch(id, place);
  } catch (error) {
    place.removeAttribute("disabled");
    toast(/** @type {Error} */ (error).message, "error");
  }
}

/**
 * @param {string} id
 * @param {HTMLElement} place
 */
async function watch(id, place) {
  for (;;) {
    const { job } = await request(`/jobs/${id}/table_data.json`);
    const link = el("a", { href: url(`/pretrained_models/${id}`) }, job.running ? `${job.progress} %` : job.status);
    if (!job.running) {
      place.replaceWith(link);
      if (job.error) toast(job.error, "error");
      return;
    }
    place.replaceChildren(`${job.progress} % …`);
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  }
}

if (card) {
  find("#store-search").addEventListener("input", show);
  find("[data-refresh]").addEventListener("click", () => read(true));
  read(false);
}
