// @ts-check
// Vectors of a layer: jobs that make them, their points in two dimensions, the picture of each on hover, those drawn around below.

import { colour, CONFIG, drawAlways, layout, plain, plotly, SERIES, token } from "../charts/theme_plot.js";
import { ago, el, find, perhaps, pill, progressBar } from "../parts/elements.js";
import { counted, percent } from "../parts/format.js";
import { request, url } from "../parts/request.js";
import { dataset, job } from "./state.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {{records: number[], labels: number[], x: number[], y: number[]}} Points */
/**
 * @typedef {object} Embedding
 * @property {string} id
 * @property {string} status
 * @property {number} progress
 * @property {string} message
 * @property {string} error
 * @property {number} created
 * @property {number} snapshot_epoch
 * @property {string} layer
 * @property {string} split
 * @property {string} dataset_id
 * @property {string} pictures
 * @property {string} projection
 * @property {number} [count]
 * @property {number} [size]
 * @property {number[]} [shares]
 * @property {string[]} [class_labels]
 * @property {number} [nonfinite]
 * @property {string} [vectors]
 * @property {Points} [points]
 */

const BUSY_MS = 1500;
const MOST_PICTURES = 240; // of a gallery at once
const MOST_SERIES = 40; // classes with a trace of their own
const MOST_DRAWN = 5000; // points that are drawn without a graphics card
const SYMBOLS = ["circle", "square", "diamond", "cross", "triangle-up"]; // of those whose colours are the same
const ENDED = ["Done", "Error", "Aborted"];

const hasWebGl = () => Boolean(document.createElement("canvas").getContext("webgl"));

export class VectorsView {
  /** @param {State} state */
  constructor(state) {
    this.state = state;
    this.list = find("[data-embeddings]");
    this.card = find("[data-points]");
    this.timer = 0;
    this.shown = "";
    this.split = "val";
    this.found = /** @type {Embedding | null} */ (null);
    this.titles = /** @type {Record<string, string>} */ ({});
    const form = perhaps("[data-embed]", document, HTMLFormElement);
    form?.addEventListener("submit", async (event) => {
      event.preventDefault();
      const data = { ...Object.fromEntries(new FormData(form)), snapshot_epoch: state.get("snapshot_epoch"), dataset };
      try {
        const made = await request(`/models/${job}/embeddings.json`, { method: "POST", data });
        state.set({ embedding: made.id }, true);
        await this.show();
      } catch (error) {
        this.list.prepend(el("div", { class: "alert alert-danger", role: "alert" }, /** @type {Error} */ (error).message));
      }
    });
  }

  hide() {
    clearTimeout(this.timer);
  }

  async show() {
    clearTimeout(this.timer);
    const { embeddings, projections } = await request(`/models/${job}/embeddings.json`);
    this.titles = projections;
    const select = perhaps("#embed-projection", document, HTMLSelectElement);
    if (select && select.options.length !== Object.keys(projections).length) {
      select.replaceChildren(...Object.entries(projections).map(([value, title]) => el("option", { value }, String(title))));
    }
    this.drawList(embeddings);
    const newest = embeddings.find((/** @type {Embedding} */ one) => one.status === "Done");
    const wanted = this.state.get("embedding") || newest?.id || "";
    const chosen = embeddings.find((/** @type {Embedding} */ one) => one.id === wanted);
    if (chosen?.status === "Done" && this.shown !== chosen.id) await this.open(chosen.id);
    const busy = embeddings.some((/** @type {Embedding} */ one) => !ENDED.includes(one.status));
    if (busy) this.timer = setTimeout(() => this.show().catch(() => {}), BUSY_MS);
  }

  /** @param {Embedding[]} found */
  drawList(found) {
    const row = (/** @type {Embedding} */ one) =>
      el(
        "tr",
        {},
        el(
          "td",
          {},
          one.status === "Done"
            ? el("button", { type: "button", class: "btn btn-link p-0", onclick: () => this.choose(one.id) }, one.layer)
            : one.layer || "the layer before the answer",
        ),
        el("td", {}, one.split.replace("_db", "")),
        el("td", { class: "num" }, String(one.snapshot_epoch)),
        el("td", {}, this.titles[one.projection] ?? one.projection),
        el(
          "td",
          {},
          pill(one.status),
          !ENDED.includes(one.status) && progressBar("Progress", 100 * one.progress),
          one.error && el("div", { class: "text-danger" }, one.error),
        ),
        el("td", { class: "num" }, one.count === undefined ? "" : one.count.toLocaleString("en")),
        el("td", {}, ago(one.created)),
      );
    const heads = ["Layer", "Split", "Epoch", "By", "State", "Pictures", "Made"];
    const head = el(
      "tr",
      {},
      ...heads.map((text) => el("th", { scope: "col", class: ["Epoch", "Pictures"].includes(text) ? "num" : null }, text)),
    );
    const table = el("table", { class: "table-list" }, el("thead", {}, head), el("tbody", {}, ...found.map(row)));
    this.list.replaceChildren(
      found.length ? el("div", { class: "table-scroll" }, table) : el("p", { class: "muted mb-0" }, "None was made yet."),
    );
  }

  /** @param {string} id */
  choose(id) {
    this.state.set({ embedding: id }, true);
    return this.open(id);
  }

  /** @param {string} id */
  async open(id) {
    const found = /** @type {Embedding} */ (await request(`/models/${job}/embeddings/${id}.json`));
    this.shown = id;
    this.found = found;
    this.split = found.split.replace("_db", "");
    this.card.hidden = false;
    find("[data-points-title]").textContent = `Layer ${found.layer}, epoch ${found.snapshot_epoch}`;
    find("[data-vectors]", document, HTMLAnchorElement).href = found.vectors ?? "";
    const shares = found.shares?.length
      ? `; the axes have ${found.shares.map((one) => percent(one)).join(" and ")} of the variance`
      : "";
    const left = found.nonfinite ? ` ${counted(found.nonfinite, "picture")} without numbers left out.` : "";
    find("[data-points-about]").textContent = `${counted(found.count ?? 0, "picture")}, vectors of ${
      counted(found.size ?? 0, "number")
    }${shares}.${left}`;
    find("[data-gallery]").replaceChildren();
    const { points } = found;
    if (points) drawAlways(() => this.shown === id && this.draw(found, points));
  }

  /**
   * @param {Embedding} found
   * @param {Points} points
   */
  async draw(found, points) {
    const Plotly = await plotly();
    const chart = find("[data-chart]");
    const labels = found.class_labels ?? [];
    const present = [...new Set(points.labels)].filter((label) => label >= 0).sort((a, b) => a - b);
    const hasClasses = present.length > 0 && present.length <= MOST_SERIES;
    const type = points.records.length > MOST_DRAWN && hasWebGl() ? "scattergl" : "scatter";
    const groups = hasClasses ? [...present, -1] : [null];
    const traces = groups.map((group, at) => {
      const places = [...points.records.keys()].filter((i) => group === null || points.labels[i] === group);
      return {
        type,
        mode: "markers",
        name: group === null ? "Pictures" : plain(labels[group] ?? "no class"),
        x: places.map((i) => points.x[i]),
        y: places.map((i) => points.y[i]),
        customdata: places,
        hovertemplate: "%{fullData.name}<extra></extra>",
        marker: {
          size: points.records.length > 5000 ? 3 : 6,
          color: group === null || group < 0 ? token("ink-3") : colour(at),
          symbol: SYMBOLS[Math.floor(at / SERIES) % SYMBOLS.length],
          opacity: 0.8,
        },
      };
    }).filter(({ x }) => x.length);
    const options = layout({
      hovermode: "closest",
      uirevision: found.id, // other colours leave what was chosen
      dragmode: "lasso",
      showlegend: hasClasses,
      height: 520,
      x: "first axis",
      y: "second axis",
    });
    await Plotly.react(chart, traces, options, { ...CONFIG, modeBarButtonsToRemove: ["autoScale2d"] });
    if (chart.dataset.wired) return;
    chart.dataset.wired = "yes";
    const plot = /** @type {any} */ (chart);
    plot.on("plotly_hover", (/** @type {any} */ event) => this.hover(event.points[0].customdata));
    plot.on("plotly_selected", (/** @type {any} */ event) => {
      if (event) this.gallery(event.points.map((/** @type {any} */ point) => point.customdata));
    });
    plot.on("plotly_deselect", () => this.gallery([]));
  }

  /**
   * @param {number} record
   * @param {string} size
   */
  picture(record, size) {
    return `${this.found?.pictures}?db=${this.split}&index=${record}&size=${size}`;
  }

  /**
   * The page that says why the model answers so for a record.
   * @param {number} record
   */
  why(record) {
    const { dataset_id, snapshot_epoch } = /** @type {Embedding} */ (this.found);
    const chosen = {
      view: "why",
      record: `${this.split}:${record}`,
      snapshot_epoch: snapshot_epoch || "start",
      dataset: dataset_id,
    };
    return url(
      `/models/${job}/inside?${new URLSearchParams(Object.entries(chosen).map(([name, value]) => [name, String(value)]))}`,
    );
  }

  /** @param {number} place */
  hover(place) {
    const found = /** @type {Embedding} */ (this.found), points = /** @type {Points} */ (found.points);
    const label = found.class_labels?.[points.labels[place]] ?? "";
    const record = points.records[place];
    find("[data-hover]").replaceChildren(
      el("img", { src: this.picture(record, "full"), alt: "" }),
      el("p", { class: "mb-0" }, el("strong", {}, label), ` record ${record}`),
      el("a", { href: this.why(record) }, "Why"),
    );
  }

  /** @param {number[]} places */
  gallery(places) {
    const found = /** @type {Embedding} */ (this.found), points = /** @type {Points} */ (found.points);
    const counts = new Map();
    for (const i of places) counts.set(points.labels[i], (counts.get(points.labels[i]) ?? 0) + 1);
    const words = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 8).map(([label, n]) =>
      `${found.class_labels?.[label] ?? "no class"} ${n}`
    );
    const figure = (/** @type {number} */ i) =>
      el(
        "a",
        { class: "gallery-picture", href: this.why(points.records[i]) },
        el("img", { src: this.picture(points.records[i], "thumb"), alt: "", loading: "lazy" }),
        el("span", {}, found.class_labels?.[points.labels[i]] ?? String(points.records[i])),
      );
    const beyond = places.length > MOST_PICTURES ? ` The first ${MOST_PICTURES} are shown.` : "";
    find("[data-gallery]").replaceChildren(
      places.length
        ? el("p", { class: "muted mt-2 mb-2" }, `${counted(places.length, "picture")}: ${words.join(", ")}.${beyond}`)
        : "",
      el("div", { class: "gallery" }, ...places.slice(0, MOST_PICTURES).map(figure)),
    );
  }
}
