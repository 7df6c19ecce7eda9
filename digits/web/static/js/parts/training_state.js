// @ts-check
// What a training has reported: filled from the page, kept up to date by events. No drawing here.

import { epochText, measured } from "./format.js";

/** @typedef {(number | null)[]} Values */
/**
 * One phase: each list has an entry for each report. `nonfinite` counts outputs that held NaN or infinity; `extremes` are indices
 * of those that are there only because they are the smallest or the largest of their part of a long run, or no number.
 * @typedef {{epoch: number[], step: number[], nonfinite: number[], values: Record<string, Values>, extremes?: number[]}} Series
 */
/** @typedef {Record<string, any> & {type: string, t: number}} Event a line of the log, as `digits.domain.events` has it */
/** @typedef {{path: string, epoch: number, best: boolean, metrics: Record<string, number>}} Snapshot */
/** @typedef {{name: string, value: number, epoch: number}} Best */
/**
 * What the job used of the machine, a list each: moments in seconds since 1970, percent of one core, bytes, and of each GPU.
 * @typedef {{t: number[], cpu_percent: number[], memory: number[],
 *   gpus: Record<string, {utilization: Values, memory_used: Values}>}} Machine
 */
/**
 * What the server says of an output (`digits.domain.metrics.MetricFacts`).
 * @typedef {{title: string, better: string, unit: string, short: string, chart: string, column: string, missed: boolean,
 *   over: string, place: number}} Facts
 */

const MOST_POINTS = 8000; // of one training curve; beyond that the server chooses anew what is shown (never of validation)
const MOST_SAMPLES = 2400; // of the hardware, as well
const MOST_LINES = 400;
export const MEAN = "epoch_";
export const NOTHING = "(nothing)"; // decides where several losses work against each other, which rank nothing
const NOTHING_KNOWN = { better: "", unit: "", short: "", chart: "", column: "", missed: false, over: "", place: 1000 };

/**
 * Whether an output is that of one class or column, as in "dice/cell": such are shown in a table.
 * @param {string} name
 */
export const isOfClass = (name) => name.includes("/");

export class TrainingState {
  /** @param {Partial<TrainingState>} data what the page or `/curves.json` holds */
  constructor(data) {
    this.offset = 0; // of the event log, in bytes
    this.status = ""; // letter
    this.elapsed = 0; // seconds
    this.epochs = 0;
    this.parts = ["Class", "Classes"]; // what metrics are also told of one by one
    this.of_trained = false; // whether the weights before the first step were trained before
    this.deciding = ""; // the output that decides which snapshot is best
    /** @type {Record<string, Facts>} */
    this.metrics = {};
    /** @type {{train: Series, val: Series, lr: Series, gradients: Series, kinds: Record<string, string>,
     *   reports?: Record<string, number>}} */
    this.curves = { train: noSeries(), val: noSeries(), lr: noSeries(), gradients: noSeries(), kinds: {} };
    this.room = { points: MOST_POINTS, samples: MOST_SAMPLES };
    /** @type {Snapshot[]} */
    this.snapshots = [];
    /** @type {{t: number, level: string, message: string}[]} */
    this.log = [];
    /** @type {any[]} */
    this.attempts = [];
    /** @type {{step: number, epoch: number}[]} */
    this.frames = []; // validations with samples
    /** @type {{step: number, where: string}[]} */
    this.traces = []; // steps with an execution trace
    /** @type {{epoch: number[], seconds: Record<string, Values>}} */
    this.stages = { epoch: [], seconds: {} }; // what a step spent its time on
    /** @type {Machine} */
    this.machine = { t: [], cpu_percent: [], memory: [], gpus: {} };
    this.progress = /** @type {any} */ (null);
    this.hardware = /** @type {any} */ (null);
    this.baseline = /** @type {{values: Record<string, number | null>, description: string} | null} */ (null);
    this.load(data);
  }

  /**
   * Take over what the server says; later events before `offset` are old.
   * @param {Partial<TrainingState>} data
   */
  load(data) {
    Object.assign(this, data);
    const { train, lr, gradients } = this.curves;
    const points = Math.max(...[train, lr, gradients].map((series) => series?.epoch.length ?? 0));
    this.room = { points: Math.max(MOST_POINTS, 2 * points), samples: Math.max(MOST_SAMPLES, 2 * this.machine.t.length) };
  }

  /**
   * How many values of a training are shown, and of how many.
   * @returns {{shown: number, of: number}}
   */
  reported() {
    const shown = this.curves.train.epoch.length;
    return { shown, of: Math.max(shown, this.curves.reports?.train ?? 0) };
  }

  /**
   * Take in one event of the log. Returns what has changed; "reload" when an earlier attempt's lines may have become void, "thin"
   * when there is more than a chart shows.
   * @param {Event} event
   * @param {number} offset behind its line
   * @returns {string}
   */
  add(event, offset) {
    if (offset <= this.offset) return "";
    this.offset = offset;
    if (event.type === "metric") return this.addMetric(event);
    if (event.type === "snapshot") return this.addSnapshot(event);
    if (event.type === "progress") {
      this.progress = withRate(event, this.progress);
      return "tiles";
    }
    if (event.type === "hardware") {
      this.hardware = event;
      this.addHardware(event);
      return this.machine.t.length > this.room.samples ? "thin" : "hardware";
    }
    if (event.type === "stage") {
      addAt(this.stages.epoch, this.stages.seconds, event.epoch, event.seconds);
      return "curves";
    }
    if (event.type === "baseline") {
      this.baseline = { values: event.values, description: event.description };
      return "curves";
    }
    if (event.type === "trace") {
      this.traces = [...this.traces.filter(({ step }) => step !== event.step), /** @type {any} */ (event)];
      return "traces";
    }
    if (event.type === "log") {
      this.note(event, event.message);
      return "log";
    }
    return event.type === "attempt" ? "reload" : event.type;
  }

  /** @param {Event} event */
  addHardware({ t, cpu_percent, memory, gpus }) {
    const { machine } = this;
    machine.t.push(t);
    machine.cpu_percent.push(cpu_percent);
    machine.memory.push(memory);
    for (const gpu of gpus ?? []) {
      const kept = machine.gpus[gpu.index] ??= { utilization: [], memory_used: [] };
      for (const name of /** @type {const} */ (["utilization", "memory_used"])) {
        while (kept[name].length < machine.t.length - 1) kept[name].push(null);
        kept[name].push(gpu[name] ?? null);
      }
    }
  }

  /** @param {Event} event */
  addMetric(event) {
    const series = this.curves[/** @type {"train" | "val" | "lr" | "gradients"} */ (event.phase)] ??= noSeries();
    const isOutput = event.phase === "train" || event.phase === "val";
    for (const [name, kind] of Object.entries(event.kinds || {})) if (isOutput) this.curves.kinds[name] ??= kind;
    const length = series.epoch.length;
    for (const name of Object.keys(event.values)) {
      if (isOutput) this.curves.kinds[name] ??= "other";
      series.values[name] ??= new Array(length).fill(null);
    }
    series.epoch.push(event.epoch);
    series.step.push(event.step);
    series.nonfinite.push(event.nonfinite ?? 0);
    for (const [name, values] of Object.entries(series.values)) values.push(event.values[name] ?? null);
    if (event.phase === "val") {
      this.of_trained ||= Boolean(event.of_trained);
      this.deciding = event.decides || this.deciding;
      this.note(event, validationText(event));
    }
    if (this.curves.reports) this.curves.reports[event.phase] = (this.curves.reports[event.phase] ?? length) + 1;
    const isNew = isOutput && Object.keys(event.values).some((name) => !this.isKnown(name));
    if (!isNew && event.phase !== "val" && length > this.room.points) return "thin";
    return isNew ? "reload" : "curves"; // what a new output is called and which direction is better only the server knows
  }

  /** @param {Event} event */
  addSnapshot(event) {
    this.snapshots = this.snapshots.filter((snapshot) => snapshot.path !== event.path);
    if (event.best && !event.removed) { for (const snapshot of this.snapshots) snapshot.best = false; }
    if (!event.removed) this.snapshots.push(/** @type {any} */ ({ ...event }));
    this.snapshots.sort((a, b) => a.epoch - b.epoch);
    return "snapshots";
  }

  /**
   * One more line of the log.
   * @param {Event} event
   * @param {string} message
   */
  note(event, message) {
    this.log.push({ t: event.t, level: event.level || "info", message });
    if (this.log.length > MOST_LINES) this.log.splice(0, this.log.length - MOST_LINES);
  }

  /**
   * The newest value of an output, null where there is none, or where it became no number.
   * @param {"train" | "val" | "lr"} phase
   * @param {string} name
   */
  last(phase, name) {
    if (this.isLost(phase, name)) return null;
    return this.curves[phase]?.values[name]?.findLast((value) => value !== null) ?? null;
  }

  /**
   * Whether an output was no number in the newest report of a phase: what was reported before is not what it is.
   * @param {"train" | "val" | "lr"} phase
   * @param {string} name
   */
  isLost(phase, name) {
    const { nonfinite, values } = this.curves[phase] ?? noSeries();
    return values[name]?.at(-1) === null && Boolean(nonfinite.at(-1) || values.loss?.at(-1) === null);
  }

  /**
   * Names of the outputs of one kind that some phase has, "loss" before the auxiliary losses.
   * @param {string} kind
   */
  names(kind) {
    const { kinds, train, val } = this.curves;
    const isPlain = (/** @type {string} */ name) => !isMean(name, kinds) && !isOfClass(name);
    const isReported = (/** @type {string} */ name) => name in train.values || name in val.values;
    const found = Object.keys(kinds).filter((name) => kinds[name] === kind && isPlain(name) && isReported(name));
    return found.sort((a, b) => Number(b === kind) - Number(a === kind));
  }

  /**
   * Names of what is measured of each class, by what it is: of each task the one number that says whether a class is found.
   * @returns {Map<string, string[]>}
   */
  classNames() {
    /** @type {Map<string, string[]>} */
    const found = new Map();
    for (const name of Object.keys(this.curves.val.values)) {
      if (!isOfClass(name) || !this.facts(name).missed) continue;
      const base = name.split("/")[0];
      const names = found.get(base);
      if (names) names.push(name);
      else found.set(base, [name]);
    }
    return found;
  }

  /** @param {string} name */
  isKnown(name) {
    const base = baseOf(name);
    return base in this.metrics || base.split("/")[0] in this.metrics;
  }

  /**
   * @param {string} name
   * @returns {Facts}
   */
  facts(name) {
    const base = baseOf(name);
    const known = this.metrics[base] ?? this.metrics[name] ?? this.metrics[base.split("/")[0]];
    return known ?? { ...NOTHING_KNOWN, title: base };
  }

  /** The best validation by the output that decides, or null. */
  best() {
    return this.deciding ? this.bestOf(this.deciding) : null;
  }

  /**
   * The best value of one output of the validations, or null; of equal ones the first. Before the first step only what had been
   * trained before counts, and nothing does where outputs or the loss were no numbers.
   * @param {string} name
   */
  bestOf(name) {
    const { epoch, step, nonfinite, values } = this.curves.val;
    let found = /** @type {Best | null} */ (null);
    if (!this.facts(name).better || (this.deciding === NOTHING && this.curves.kinds[name] === "loss")) return found;
    for (const [i, value] of (values[name] ?? []).entries()) {
      if (value === null || nonfinite[i] || values.loss?.[i] === null || (step[i] === 0 && !this.of_trained)) continue;
      if (!found || this.isBetter(name, value, found.value)) found = { name, value, epoch: epoch[i] };
    }
    return found;
  }

  /**
   * @param {string} name
   * @param {number} value
   * @param {number} other
   */
  isBetter(name, value, other) {
    return this.facts(name).better === "lower" ? value < other : value > other;
  }
}

/**
 * One more moment of several lists, each of which has an entry for each.
 * @param {number[]} at
 * @param {Record<string, Values>} lists
 * @param {number} moment
 * @param {Record<string, number>} values
 */
function addAt(at, lists, moment, values) {
  for (const name of Object.keys(values)) lists[name] ??= new Array(at.length).fill(null);
  at.push(moment);
  for (const [name, list] of Object.entries(lists)) list.push(values[name] ?? null);
}

/** @returns {Series} */
const noSeries = () => ({ epoch: [], step: [], nonfinite: [], values: {} });

/**
 * The output of which another one is the mean over the epoch.
 * @param {string} name
 */
const baseOf = (name) => (name.startsWith(MEAN) ? name.slice(MEAN.length) : name);

/**
 * Whether an output is the mean over the epoch of another one, as the engines report it.
 * @param {string} name
 * @param {Record<string, string>} kinds
 */
export const isMean = (name, kinds) => name.startsWith(MEAN) && name.slice(MEAN.length) in kinds;

/**
 * The last known speed stays when the work is over.
 * @param {Event} event
 * @param {any} before
 */
const withRate = (event, before) => (event.rate || !before ? event : { ...event, rate: before.rate, unit: before.unit });

/** @param {Event} event */
function validationText({ epoch, values, nonfinite, outputs }) {
  /** @type {[string, number | null][]} */
  const plain = Object.entries(values).filter(([name]) => !isOfClass(name));
  const found = plain.map(([name, value]) => `${name} = ${measured(value, 5)}`);
  if (nonfinite) found.push(`${nonfinite} of ${outputs} outputs were no numbers`);
  return `Validation (epoch ${epochText(epoch)}): ${found.join(", ")}`;
}
