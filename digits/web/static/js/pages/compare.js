// @ts-check
// Several trainings side by side: verdict, curves, what differs, which pictures flipped, the same samples through each.

import { drawCurves, parallel, strokeOf } from "../charts/compare_charts.js";
import { drawAlways } from "../charts/theme_plot.js";
import { listStream } from "../live/live.js";
import { CardBoard } from "../overlay/card_board.js";
import { el, find, table } from "../parts/elements.js";
import { compact, duration, fileSize, number } from "../parts/format.js";
import { below, request, url } from "../parts/request.js";

const STRIPS_AT_ONCE = 8;
const MOST_CLASS_ROWS = 40;
const AGAIN_MS = 3000; // after which a run that goes on is read again

const page = find("[data-compare]");
const phase = find("#compare-phase", page, HTMLSelectElement);
const over = find("#compare-x", page, HTMLSelectElement);
const smoothing = find("#smoothing", page, HTMLInputElement);
const log = find("#log-scale", page, HTMLInputElement);

/** @param {string} id */
const jobUrl = (id) => url(`/models/${id}`);

/**
 * @param {any} row of the metrics
 * @param {number | null | undefined} value
 */
function shown(row, value) {
  if (value === null || value === undefined) return "–";
  return row?.unit === "%" ? `${number(value * 100)} %` : `${number(value)}${row?.unit ? ` ${row.unit}` : ""}`;
}

/**
 * The ends of an interval of a difference: of shares in percentage points.
 * @param {any} row of the metrics
 * @param {number[]} ends
 */
function interval(row, [low, high]) {
  if (row?.unit === "%") return `${number(low * 100)} and ${number(high * 100)} percentage points`;
  return `${shown(row, low)} and ${shown(row, high)}`;
}

/** @param {any} line with the run that stands for its seeds */
const standing = (line, /** @type {any} */ found) => {
  const run = found.runs.find((/** @type {any} */ one) => one.id === line.best);
  return line.ids.length > 1 ? `seed ${plain(run.seed)}, the best of ${line.ids.length}` : "";
};

/** @param {any} value */
const plain = (value) => (value === null || value === undefined || value === "" ? "–" : String(value).slice(0, 300));

/**
 * @param {any} found
 * @param {string} [first]
 */
const heads = (
  found,
  first = "",
) => [first, ...found.runs.map((/** @type {any} */ run) => el("a", { href: jobUrl(run.id) }, run.name))];

/**
 * A row whose first cell is its head.
 * @param {(string | Node)[]} cells
 */
const row = ([first, ...cells]) =>
  el("tr", {}, el("th", { scope: "row" }, first), ...cells.map((cell) => el("td", { class: "num" }, cell)));

/** @param {any} found */
function drawVerdict(found) {
  const { verdict } = found;
  const metric = found.metrics[verdict.metric];
  const parts = [el("h2", { class: "visually-hidden" }, "Verdict"), el("p", { class: "verdict-sentence" }, verdict.sentence)];
  if (verdict.p !== null && verdict.interval) {
    const pair = verdict.compared.map((/** @type {number} */ n) => found.lines[n].name);
    const words =
      `${metric?.title ?? verdict.metric} of ${pair[1]} less that of ${pair[0]}: between ${
        interval(metric, verdict.interval)
      } (95 %), ` +
      `p ${verdict.p < 0.001 ? "less than 0.001" : `= ${number(verdict.p)}`}, on the same ${
        compact(verdict.samples)
      } validation pictures.`;
    const many = verdict.pairs.length > 1 ? ` Counted for ${verdict.pairs.length} comparisons (Holm).` : "";
    const single = Math.max(...verdict.seeds) === 1
      ? " One seed of each: another seed may give another result; repeat them to know."
      : "";
    parts.push(el("p", { class: "mb-1" }, words + many + single));
  }
  for (const note of found.notes) parts.push(el("p", { class: "alert alert-warning mb-1", role: "status" }, note));
  if (verdict.missing.length) parts.push(evaluateButton(verdict.missing));
  find("[data-verdict]", page).replaceChildren(...parts);
}

/** @param {string[]} ids of models without answers to single pictures */
function evaluateButton(ids) {
  const button = el(
    "button",
    { class: "btn btn-primary btn-sm", type: "button" },
    `Evaluate ${ids.length === 1 ? "it" : `${ids.length} models`}`,
  );
  const note = el(
    "p",
    { class: "muted mb-0 mt-2" },
    "Models trained before per-picture results were kept are evaluated once on their validation split; then this page has a verdict.",
  );
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      for (const id of ids) {
        await request(`/models/${id}/evaluate.json`, { method: "POST", data: { split: "val", snapshot_epoch: "best" } });
      }
      note.textContent = "The evaluations are under way; this page follows when they are done.";
    } catch (error) {
      button.disabled = false;
      note.textContent = /** @type {Error} */ (error).message;
    }
  });
  return el("div", {}, button, note);
}

/** @param {any} found */
function drawTables(found) {
  const { runs } = found;
  const names = Object.keys(found.metrics);
  const ordered = [
    ...names.filter((name) => !name.includes("/")),
    ...names.filter((name) => name.includes("/")).slice(0, MOST_CLASS_ROWS),
  ];
  const metrics = ordered.map((name) => {
    const row = found.metrics[name];
    const cells = runs.map((/** @type {any} */ run) =>
      `${shown(row, row.values[run.id])}${row.best.includes(run.id) ? " ★" : ""}`
    );
    const arrow = row.better === "lower" ? " ↓" : row.better === "higher" ? " ↑" : "";
    const baseline = [...new Set(Object.values(row.baseline))].map((value) => shown(row, /** @type {number} */ (value))).join(
      ", ",
    );
    return [`${name.includes("/") ? name : row.title}${arrow}`, ...cells, baseline || "–"];
  });
  find("[data-metrics]", page).replaceChildren(
    metrics.length
      ? table([...heads(found, "Metric"), "Baseline"], metrics.map(row), Boolean)
      : el("p", { class: "muted" }, "Nothing was validated."),
  );
  const left = names.length - ordered.length;
  if (left > 0) {
    find("[data-metrics]", page).append(
      el("p", { class: "muted" }, `Of the metrics of single classes ${MOST_CLASS_ROWS} are shown and ${compact(left)} are not.`),
    );
  }
  const settings = Object.entries(found.settings).filter(([name]) => name !== "random_seed").map((
    [name, values],
  ) => [name, ...found.lines.map((/** @type {any} */ line) => plain(values[line.best]))]);
  const lineHeads = found.lines.map((/** @type {any} */ line) => el("a", { href: jobUrl(line.best) }, line.name));
  find("[data-settings]", page).replaceChildren(
    settings.length
      ? table(["Setting", ...lineHeads], settings.map(row), Boolean)
      : el("p", { class: "muted" }, "All settings but the seed are the same."),
  );
  const rows = runs.map((/** @type {any} */ run) => [
    el("a", { href: jobUrl(run.id) }, run.name),
    run.status,
    run.network,
    plain(run.seed),
    run.best ? `${shown(found.metrics[run.best.name], run.best.value)} at epoch ${number(run.best.epoch)}` : "–",
    duration(run.elapsed),
    run.speed ? `${number(run.speed)} /s` : "–",
    run.weights_bytes ? fileSize(run.weights_bytes) : "–",
  ]);
  find("[data-runs]", page).replaceChildren(
    table(["Run", "Status", "Network", "Seed", "Best", "Duration", "Pictures", "Weights"], rows.map(row), Boolean),
  );
}

/** @param {any} found */
function drawLegend(found) {
  find("[data-legend]", page).replaceChildren(...found.lines.map((/** @type {any} */ line, /** @type {number} */ n) => {
    const { color, dash } = strokeOf(n);
    const style = `border-top-color: ${color}; border-top-style: ${dash === "solid" ? "solid" : "dashed"}`;
    const seeds = line.ids.length > 1 ? ` (${line.ids.length} seeds)` : "";
    return el(
      "li",
      {},
      el("span", { class: "compare-mark", style }),
      el("a", { href: jobUrl(line.best), title: standing(line, found) }, `${line.name}${seeds}`),
    );
  }));
}

/** @param {any} found */
function drawSweep(found) {
  const metric = found.verdict.metric || found.runs.find((/** @type {any} */ run) => run.best)?.best.name || "";
  const settings = Object.keys(found.settings).filter((name) => name !== "random_seed");
  const told = found.lines.length >= 3 && settings.length && found.metrics[metric] && found.same_data;
  find("[data-sweep]", page).hidden = !told; // on different data no setting is what made the difference
  if (!told) return;
  const bars = Object.entries(found.importance).flatMap(([name, share]) => [
    el("span", {}, name),
    el("span", { class: "importance-bar", style: `width: ${Math.round(share * 100)}%` }),
    el("span", {}, `${Math.round(share * 100)} %`),
  ]);
  const words = bars.length
    ? [
      el(
        "p",
        { class: "muted" },
        "Share of the metric's variance that goes with each setting; settings that move together share the credit.",
      ),
      el("div", { class: "importance" }, ...bars),
    ]
    : [];
  find("[data-importance]", page).replaceChildren(...words);
  find("[data-parallel]", page).replaceChildren(parallel(found, metric));
}

/** @param {any} found */
function drawFlips(found) {
  const { flips } = found;
  find("[data-flips]", page).hidden = true;
  if (!flips.runs || !(flips.gained_total + flips.lost_total)) return;
  const [one, other] = flips.runs.map((/** @type {number} */ n) => found.runs[n]);
  const row = found.metrics[found.verdict.metric];
  const labels = found.class_labels ?? [];
  const word = (/** @type {number} */ n) => labels[n] ?? (n < 0 ? "nothing" : `class ${n}`);
  const card = (/** @type {any} */ flip) => {
    const address = url(`/datasets/${one.dataset_id}/picture?db=val&index=${flip.record}&size=thumb`);
    const told = "label" in flip
      ? `${word(flip.label)}: ${word(flip.from)} → ${word(flip.to)}`
      : `${shown(row, flip.before)} → ${shown(row, flip.after)}`;
    return el(
      "li",
      {},
      el("img", { src: address, alt: `Validation record ${flip.record}`, loading: "lazy" }),
      el("small", {}, told),
    );
  };
  const part = (/** @type {string} */ title, /** @type {any[]} */ list, /** @type {number} */ total) =>
    el(
      "div",
      {},
      el("h3", {}, `${title} (${compact(total)})`),
      total > list.length ? el("p", { class: "muted" }, `The ${list.length} that changed most.`) : "",
      list.length ? el("ul", { class: "flip-cards" }, ...list.map(card)) : el("p", { class: "muted" }, "None."),
    );
  const box = find("[data-flips]", page);
  box.hidden = false;
  box.replaceChildren(
    el("h2", {}, "Pictures that flipped"),
    el("p", { class: "muted" }, `From ${one.name} to ${other.name}.`),
    part(`Better in ${other.name}`, flips.gained, flips.gained_total),
    part(`Worse in ${other.name}`, flips.lost, flips.lost_total),
  );
}

/**
 * The samples of the lines, some at a time: each line is a request and some pictures.
 * @param {any} found
 */
async function drawStrips(found) {
  const section = find("[data-strips]", page);
  const place = find("[data-strip-rows]", page);
  const more = find("[data-more-strips]", page);
  const slider = find("#strip-at", page, HTMLInputElement);
  /** @type {{id: string, frames: {step: number, epoch: number}[], board: CardBoard, at: number}[]} */
  const strips = [];
  let asked = 0;
  const add = async () => {
    const lines = found.lines.slice(asked, asked + STRIPS_AT_ONCE);
    asked += lines.length;
    const left = found.lines.length - asked;
    more.hidden = !left;
    more.textContent = `Show the next ${Math.min(left, STRIPS_AT_ONCE)} of ${left}`;
    for (const line of lines) {
      const run = found.runs.find((/** @type {any} */ one) => one.id === line.best);
      const which = standing(line, found);
      const set = await request(`/models/${run.id}/samples.json`).catch(() => null);
      if (!set?.samples?.length || !set.frames.length) continue;
      section.hidden = false;
      const root = el(
        "div",
        { class: "strip-row" },
        el("h3", {}, which ? `${line.name} (${which})` : line.name),
        el("div", { class: "sample-legend", "data-samples-legend": "" }),
        el("div", { class: "sample-cards", "data-samples-cards": "" }),
      );
      place.append(root);
      const board = new CardBoard(root);
      board.build(set);
      strips.push({ id: run.id, frames: set.frames, board, at: -1 });
    }
    await show();
  };
  const show = () =>
    Promise.all(strips.map(async (strip) => {
      const at = Math.round(Number(slider.value) * (strip.frames.length - 1));
      if (at === strip.at) return;
      strip.at = at;
      const frame = await request(`/models/${strip.id}/samples/${strip.frames[at].step}.json`).catch(() => null);
      if (frame && strip.at === at) await strip.board.show(frame.samples);
    }));
  slider.oninput = () => {
    find("[data-strip-at]", page).textContent = slider.value === "1" ? "last" : `${Math.round(Number(slider.value) * 100)} %`;
    show();
  };
  more.onclick = add;
  section.hidden = true;
  place.replaceChildren();
  await add();
}

const options = () => ({ phase: phase.value, x: over.value, smoothing: Number(smoothing.value), log: log.checked });
const box = find("[data-charts]", page);
/** @type {any} */
let found = null;
let striped = "";

/** @returns {Promise<any>} */
function draw() {
  drawLegend(found);
  drawSweep(found);
  return drawCurves(box, found, options()).catch((error) => box.replaceChildren(el("p", { class: "muted" }, error.message)));
}

/** Read the runs, and draw what is new of them. */
async function load() {
  const before = JSON.stringify(found?.verdict);
  found = await request(below(page.dataset.compare ?? ""));
  if (JSON.stringify(found.verdict) !== before) drawVerdict(found); // which is read aloud
  drawTables(found);
  drawFlips(found);
}

/** The samples, again once another run is done. */
async function drawNewStrips() {
  const ended = found.runs.filter((/** @type {any} */ run) => !found.verdict.waiting.includes(run.id));
  const now = ended.map((/** @type {any} */ run) => run.id).join();
  if (now === striped) return;
  striped = now;
  await drawStrips(found);
}

/** Runs that go on, and evaluations that the verdict waits for, are read again when their rows change. */
function follow() {
  let due = 0;
  const readAgain = async () => {
    due = 0;
    try {
      await load();
      await draw();
      await drawNewStrips();
    } catch {
      again();
    }
  };
  const again = () => {
    due ||= setTimeout(readAgain, AGAIN_MS);
  };
  const ids = new Set(found.runs.map((/** @type {any} */ run) => run.id));
  listStream({
    onJob: (row) => {
      const waits = found.verdict.waiting.includes(row.id) || (row.type === "evaluation" && found.verdict.missing.length);
      if (waits || (ids.has(row.id) && row.running)) again();
    },
    onReset: again,
  });
}

try {
  await load();
  for (const input of [phase, over, smoothing, log]) input.addEventListener("input", draw);
  drawAlways(draw);
  page.removeAttribute("aria-busy");
  follow();
  await drawNewStrips();
} catch (error) {
  find("[data-verdict]", page).replaceChildren(
    el("p", { class: "alert alert-danger mb-0", role: "alert" }, /** @type {Error} */ (error).message),
  );
  page.removeAttribute("aria-busy");
}
