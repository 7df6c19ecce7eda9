// The form of a new data set: what a folder may be, and ten samples before anything is written.

import { el, number, request, root } from "../parts/ui.js";

const STAGES = { train_db: "training", val_db: "validation", test_db: "test" };

const MOST_CLASSES = 60;

const FIRST_FOLDERS = new Set(["feature_folder", "train_image_folder", "image_folder"]);

const below = (address) => address.slice(root.length);

function previews() {
  const button = document.querySelector("[data-preview]");
  const place = document.querySelector("[data-preview-answer]");
  if (!button || !place) return;
  button.addEventListener("click", async () => {
    place.hidden = false;
    place.replaceChildren(el("h2", {}, "Preview"), el("p", { class: "muted" }, "Looking at the files…"));
    button.disabled = true;
    try {
      const found = await request(below(button.dataset.preview), { method: "POST", body: new FormData(button.form) });
      place.replaceChildren(el("h2", {}, "Preview"), ...describe(found), samples(found.samples));
      const counts = Object.entries(found.counts).map(([stage, count]) => [STAGES[stage] ?? stage, count]);
      if (!document.querySelector(".class-list")) document.querySelector("[data-classes]").replaceChildren(bars(counts));
    } catch (error) {
      place.replaceChildren(el("h2", {}, "Preview"), el("div", { class: "alert alert-danger", role: "alert" }, error.message));
    } finally {
      button.disabled = false;
    }
    place.scrollIntoView({ block: "nearest" });
  });
}

function describe(found) {
  const counts = Object.entries(found.counts).filter(([, count]) => count);
  const parts = counts.map(([stage, count]) => `${number(count)} for ${STAGES[stage] ?? stage}`);
  const lines = [el("p", {}, `${parts.join(", ") || "Nothing found"}. Nothing has been written yet.`)];
  if (found.class_labels.length) lines.push(classes(found));
  if (found.problem_count) lines.push(problems(found));
  return lines;
}

const classes = ({ class_labels: names, colours = [] }) =>
  colours.length
    ? el("ul", { class: "film-legend preview-classes", "aria-label": "Classes" }, ...names.slice(0, MOST_CLASSES).map((name, i) => el("li", { class: "film-class" }, swatch(colours[i]), name)), names.length > MOST_CLASSES && el("li", {}, `and ${number(names.length - MOST_CLASSES)} more`))
    : el("p", {}, `Classes: ${names.slice(0, MOST_CLASSES).join(", ")}${names.length > MOST_CLASSES ? ` and ${number(names.length - MOST_CLASSES)} more` : ""}.`);

/** Names with their counts (null: not known) as bars. */
export function bars(rows) {
  const most = Math.max(1, ...rows.map(([, count]) => count || 0));
  const lines = rows.map(([name, count]) => {
    const bar = el("span", { class: "class-bar" });
    bar.style.width = `${(100 * (count || 0)) / most}%`;
    const counted = el("span", { class: "class-count" }, count === null ? "?" : number(count));
    return el("li", {}, el("span", { class: "class-name", title: name }, name), el("span", { class: "class-track" }, bar), counted);
  });
  return el("ul", { class: "class-list" }, ...lines);
}

const swatch = (colour) => el("span", { class: "swatch", style: `background: rgb(${(colour ?? [0, 0, 0]).join(",")})` });

const problems = (found) =>
  el(
    "details",
    {},
    el("summary", {}, `${number(found.problem_count)} problem${found.problem_count === 1 ? "" : "s"} in the files`),
    el("ul", { class: "preview-problems" }, ...found.problems.map((one) => el("li", {}, el("span", { class: "path" }, one.entry || ""), ` ${one.reason}`))),
  );

const samples = (list) => el("div", { class: "preview-grid" }, ...list.map(figure));

function figure(sample) {
  const picture = sample.picture ? el("img", { src: sample.picture, alt: `${sample.entry}: ${sample.label ?? ""}` }) : el("div", { class: "alert alert-warning" }, sample.reason);
  const facts = [sample.label, sample.size, ...(sample.notes ?? [])].filter(Boolean).join(" · ");
  return el("figure", {}, picture, el("figcaption", { title: sample.entry }, el("span", { class: "path" }, sample.entry.split("/").pop()), " ", el("span", { class: "muted" }, facts)));
}

function recognition() {
  const box = document.querySelector("[data-recognise]");
  if (!box) return;
  const input = box.querySelector("input");
  const place = box.querySelector("[data-recognise-answer]");
  const ask = async () => {
    place.replaceChildren(el("p", { class: "muted" }, "Looking…"));
    try {
      const found = await request(`${below(box.dataset.recognise)}?folder=${encodeURIComponent(input.value)}`);
      place.replaceChildren(proposals(found.proposals));
    } catch (error) {
      place.replaceChildren(el("div", { class: "alert alert-danger", role: "alert" }, error.message));
    }
  };
  box.querySelector("[data-recognise-start]").addEventListener("click", ask);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    ask();
  });
}

/** A folder typed into the form itself is looked at too: perhaps it holds more than pictures. */
function watchForm() {
  const box = document.querySelector("[data-recognise]");
  document.querySelector("[data-plugin-form]")?.addEventListener("change", async ({ target }) => {
    if (!FIRST_FOLDERS.has(target.name) || !target.value) return;
    const found = await request(`${below(box.dataset.recognise)}?folder=${encodeURIComponent(target.value)}`).catch(() => ({ proposals: [] }));
    if (!found.proposals.length) return;
    box.open = true;
    box.querySelector("input").value = target.value;
    box.querySelector("[data-recognise-answer]").replaceChildren(proposals(found.proposals));
  });
}

function proposals(list) {
  if (!list.length) return el("p", {}, "No known form of data set was recognised in this folder.");
  return el("ul", { class: "proposals" }, ...list.map((one, i) => el("li", {}, el("a", { href: one.address, class: `btn btn-sm ${i ? "btn-outline-secondary" : "btn-primary"}` }, one.title), el("span", {}, one.reason))));
}

async function paths() {
  const { attachAll } = await import("../parts/paths.js");
  attachAll(document.querySelector("[data-recognise]") ?? document);
}

previews();
recognition();
if (document.querySelector("[data-recognise]")) {
  watchForm();
  paths();
}
