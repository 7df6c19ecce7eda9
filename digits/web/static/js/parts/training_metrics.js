// @ts-check
// The table of metrics beside what a trivial answer scores, and what the page says when a model is no better than that.

import { isOfClass } from "./training_state.js";
import { el, table } from "./elements.js";
import { compact, epochText, number, withUnit } from "./format.js";

/** @typedef {import("./training_state.js").TrainingState} TrainingState */

const MOST_ROWS = 64;
const MOST_METRICS = 200;
const MOST_KINDS = 24; // columns of the table of classes
const MOST_MISSING = 5;

/** @type {Record<string, string>} */
const ARROWS = { lower: " ↓", higher: " ↑" };

/**
 * A value of an output as text.
 * @param {TrainingState} state
 * @param {string} name
 * @param {number | null | undefined} value
 */
export const shown = (state, name, value) => withUnit(value, state.facts(name).unit);

/**
 * Table of the validations' metrics: best, last, and the baseline; null before the first one.
 * @param {TrainingState} state
 */
export function metricsTable(state) {
  const names = inOrder(state, Object.keys(state.curves.val.values).filter((name) => !isOfClass(name)));
  if (!names.length) return null;
  const heads = ["Metric", "Best", "at epoch", "Last", ...(state.baseline ? ["Baseline"] : [])];
  const rows = scrolled(table(heads, names.slice(0, MOST_METRICS).map((name) => metricRow(state, name)), Boolean));
  const left = names.length - MOST_METRICS;
  return left > 0 ? el("div", {}, rows, note(`And ${compact(left)} more, in the CSV.`)) : rows;
}

/**
 * @param {TrainingState} state
 * @param {string} name
 */
function metricRow(state, name) {
  const decides = name === state.deciding;
  const best = state.bestOf(name);
  const guess = state.baseline;
  return el(
    "tr",
    { class: decides ? "is-deciding" : "" },
    el(
      "th",
      { scope: "row", title: over(state, name) },
      state.facts(name).title,
      decides && el("span", { class: "muted" }, " decides"),
      el("span", { class: "muted" }, ARROWS[state.facts(name).better]),
    ),
    cell(shown(state, name, best?.value)),
    cell(epochText(best?.epoch)),
    cell(shown(state, name, state.last("val", name))),
    guess && cell(name in guess.values ? shown(state, name, guess.values[name]) : ""),
  );
}

/**
 * Table of the newest values of each class or column; null where there are none.
 * @param {TrainingState} state
 */
export function classTable(state) {
  /** @type {Map<string, Map<string, string>>} */
  const found = new Map(); // by class: names of the outputs by their kinds, which not every class has
  /** @type {Set<string>} */
  const seen = new Set();
  for (const name of Object.keys(state.curves.val.values)) {
    if (!isOfClass(name)) continue;
    const [kind, label] = split(name);
    seen.add(kind);
    const names = found.get(label);
    if (names) names.set(kind, name);
    else found.set(label, new Map([[kind, name]]));
  }
  if (!found.size) return null;
  const kinds = inOrder(state, [...seen]).slice(0, MOST_KINDS);
  const classes = [...found].slice(0, MOST_ROWS);
  const guess = state.baseline?.values ?? {};
  const heads = kinds.map((kind) => {
    const title = state.facts(kind).column || state.facts(kind).title;
    return el("span", {}, title, ...under(classes.some(([, names]) => (names.get(kind) ?? "") in guess) ? "baseline" : ""));
  });
  const value = (/** @type {string | undefined} */ name) => {
    if (name === undefined) return el("td", { class: "num" });
    const trivial = name in guess ? shown(state, name, guess[name]) : "";
    return el("td", { class: "num" }, shown(state, name, state.last("val", name)), ...under(trivial));
  };
  const rows = classes.map(([label, names]) =>
    el("tr", {}, el("th", { scope: "row" }, label), ...kinds.map((kind) => value(names.get(kind))))
  );
  const made = scrolled(table([state.parts[0], ...heads], rows, Boolean), "class-metrics");
  const left = [
    ...leftOver(found.size - classes.length, state.parts[0], state.parts[1]),
    ...leftOver(seen.size - kinds.length, "metric", "metrics"),
  ];
  return left.length ? el("div", {}, made, note(`And ${left.join(", and ")} more, in the CSV.`)) : made;
}

/**
 * How many are not shown, in words; nothing where all are.
 * @param {number} count
 * @param {string} one
 * @param {string} many
 */
const leftOver = (count, one, many) => (count > 0 ? [`${compact(count)} ${(count === 1 ? one : many).toLowerCase()}`] : []);

/** @param {string} text */
const note = (text) => el("p", { class: "table-note muted" }, text);

/**
 * A second, smaller line.
 * @param {string} text
 */
const under = (text) => (text ? [el("br"), el("small", { class: "muted" }, text)] : []);

/**
 * What has to be said about the numbers: sentences, none while all is well or nothing was trained yet.
 * @param {TrainingState} state
 * @returns {string[]}
 */
export function verdict(state) {
  const best = state.best();
  if (!best || Math.max(...state.curves.val.epoch) < 1) return [];
  return [...startWasBest(state, best), ...noBetter(state, best), ...notFound(state)];
}

/**
 * @param {TrainingState} state
 * @param {import("./training_state.js").Best} best
 */
function startWasBest(state, best) {
  if (best.epoch !== 0) return [];
  const last = shown(state, best.name, state.last("val", best.name));
  const values = `${state.facts(best.name).title} ${shown(state, best.name, best.value)} at epoch 0, ${last} now`
    .replaceAll(" %", "\u00a0%");
  const kept = "The snapshot of epoch 0 has those weights.";
  const next = isRunning(state) ? "It may need more epochs." : "A lower learning rate changes them less.";
  return [`The start was best: no validation was better than that of the weights it began with: ${values}. ${kept} ${next}`];
}

/**
 * @param {TrainingState} state
 * @param {import("./training_state.js").Best} best
 */
function noBetter(state, best) {
  const guess = state.baseline?.values[best.name];
  if (guess === null || guess === undefined || state.isBetter(best.name, best.value, guess)) return [];
  const values = `${shown(state, best.name, best.value)} against ${shown(state, best.name, guess)}`;
  const trivial = `the trivial answer (${state.baseline?.description})`;
  return [`The model is no better than ${trivial}: ${state.facts(best.name).title} ${values}. ${advice(state)}`];
}

/** @param {TrainingState} state */
function advice(state) {
  return isRunning(state)
    ? "It may need more epochs."
    : "Train longer, try another learning rate, or look at the labels in the data set.";
}

/** @param {TrainingState} state */
export const isRunning = (state) => ["I", "W", "R"].includes(state.status);

/**
 * Classes that are there and that the newest validation did not find at all, perhaps while most pixels are right.
 * @param {TrainingState} state
 */
function notFound(state) {
  const missed = (/** @type {string} */ name) => isOfClass(name) && state.facts(name).missed && state.last("val", name) === 0;
  const missing = Object.keys(state.curves.val.values).filter(missed).map((name) => `“${split(name)[1]}”`);
  if (!missing.length) return [];
  const more = missing.length - MOST_MISSING;
  const names = missing.slice(0, MOST_MISSING).join(", ") + (more > 0 ? ` and ${more} more` : "");
  const right = state.last("val", "pixel_accuracy") ?? 0;
  const high = right > 0.8 ? `${number(right * 100)} % of all pixels are right, but the thing itself is not found: ` : "";
  return [`${high}${names} ${missing.length === 1 ? "is" : "are"} not found in any validation picture. ${advice(state)}`];
}

/**
 * Names of outputs in the order of the server's list.
 * @param {TrainingState} state
 * @param {string[]} names
 */
function inOrder(state, names) {
  const places = new Map(names.map((name) => [name, state.facts(name).place]));
  return names.sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
}

/**
 * The kind of an output of one class, and the class.
 * @param {string} name
 */
const split = (name) => [name.slice(0, name.indexOf("/")), name.slice(name.indexOf("/") + 1)];

/**
 * What a metric is taken over, in words.
 * @param {TrainingState} state
 * @param {string} name
 */
const over = (state, name) => state.facts(name).over && `Over ${state.facts(name).over}`;

/** @param {string} text */
const cell = (text) => el("td", { class: "num" }, text);

/**
 * @param {HTMLTableElement} content
 * @param {string} [css]
 */
const scrolled = (content, css = "") => el("div", { class: `table-scroll ${css}` }, content);
