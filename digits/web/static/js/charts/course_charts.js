// @ts-check
// Beside the curves of a training: the norm of its gradients, where the time of a step goes, what it uses of the machine.

import { colour } from "./theme_plot.js";

/** @typedef {import("../parts/training_state.js").TrainingState} TrainingState */
/** @typedef {import("./training_charts.js").Chart} Chart */
/** @typedef {Record<string, any>} Trace of Plotly */

/** Parts of a step in the order in which they are stacked, from below, as `digits.engines.training.trace_parts` names them. */
const PARTS = /** @type {Record<string, string>} */ ({
  data: "data",
  forward: "forward",
  backward: "backward",
  optimizer: "optimizer",
  compute: "compute",
});
const VALIDATION = "validation";
const FEW_POINTS = 20; // up to here each has a mark
const FEW_MEASURED = 3;
const MUCH_WAITING = 0.4; // of a step

/**
 * The charts that there is something for.
 * @param {TrainingState} state
 * @returns {Chart[]}
 */
export function coursePlan({ curves, stages, machine }) {
  const chart = (/** @type {string} */ kind, /** @type {string} */ title, x = "epoch") => ({
    key: kind,
    kind,
    title,
    unit: "",
    names: [],
    x,
  });
  const found = [];
  if (curves.gradients?.epoch.length) found.push(chart("gradients", "Norm of the gradients"));
  if (stages.epoch.length) found.push(chart("stages", "Time of a step (ms)"));
  if (machine.t.length < 2) return found;
  found.push(chart("machine", machine.gpus && Object.keys(machine.gpus).length ? "CPU and GPU (%)" : "CPU (%)", MINUTES));
  found.push(chart("memory", "Memory (GiB)", MINUTES));
  return found;
}

const MINUTES = "minutes since the first sample";

/**
 * @param {TrainingState} state
 * @param {string} kind
 * @returns {Trace[]}
 */
export function courseTraces(state, kind) {
  if (kind === "gradients") return gradientTraces(state);
  return kind === "stages" ? stageTraces(state) : machineTraces(state, kind);
}

/** @param {TrainingState} state */
function gradientTraces({ curves: { gradients } }) {
  const line = (/** @type {number} */ i) => ({ color: colour(i), width: 2 });
  const entries = Object.entries(gradients?.values ?? {});
  return entries.map(([, y], i) => ({
    x: gradients?.epoch,
    y,
    name: "all weights",
    mode: y.length < FEW_POINTS ? "lines+markers" : "lines",
    marker: { size: 4 },
    line: line(i),
  }));
}

/**
 * Parts of a step lie on each other; validations, each divided by the steps before it, are a line of their own.
 * @param {TrainingState} state
 */
function stageTraces({ stages }) {
  const measured = stages.epoch.flatMap((_, i) =>
    Object.keys(PARTS).some((part) => isNumber(stages.seconds[part]?.[i])) ? [i] : []
  );
  const pick = (/** @type {number[]} */ at, /** @type {string} */ part) => ({
    x: at.map((i) => stages.epoch[i]),
    y: at.map((i) => 1000 * (stages.seconds[part]?.[i] ?? 0)),
  });
  const parts = Object.keys(PARTS).filter((part) => part in stages.seconds);
  const traces = parts.map((part, i) => ({
    ...pick(measured, part),
    name: PARTS[part],
    mode: measured.length < 2 ? "markers" : "lines",
    stackgroup: "step",
    line: { color: colour(i), width: 1 },
  }));
  const validated = stages.epoch.flatMap((_, i) => isNumber(stages.seconds[VALIDATION]?.[i]) ? [i] : []);
  if (!validated.length) return traces;
  const line = { color: colour(6), width: 2, dash: "dash" };
  return [...traces, {
    ...pick(validated, VALIDATION),
    name: "validation",
    mode: "lines+markers",
    marker: { size: 4 },
    line,
  }];
}

/**
 * @param {TrainingState} state
 * @param {string} kind
 */
function machineTraces({ machine }, kind) {
  const x = machine.t.map((t) => (t - machine.t[0]) / 60);
  const one = (/** @type {(number | null)[]} */ y, /** @type {string} */ name, /** @type {number} */ i) => ({
    x,
    y,
    name,
    mode: "lines",
    connectgaps: false,
    line: { color: colour(i), width: 1.5 },
  });
  const gibibytes = (/** @type {(number | null)[]} */ list) =>
    list.map((bytes) => isNumber(bytes) ? Number(bytes) / 2 ** 30 : null);
  const own = kind === "machine" ? one(machine.cpu_percent, "CPU, of one core", 0) : one(gibibytes(machine.memory), "memory", 0);
  const gpus = Object.entries(machine.gpus).map(([index, gpu], i) =>
    kind === "machine" ? one(gpu.utilization, `GPU ${index}`, i + 1) : one(gibibytes(gpu.memory_used), `GPU ${index}`, i + 1)
  );
  return [own, ...gpus];
}

/**
 * What is to be said where a training waits for its data; empty where it does not.
 * @param {TrainingState} state
 */
export function bottleneck({ stages }) {
  const sums = /** @type {Record<string, number>} */ ({});
  const first = stages.seconds.data ?? [];
  const measured = first.flatMap((value, i) => isNumber(value) ? [i] : []).slice(-20);
  if (measured.length < FEW_MEASURED) return "";
  for (const part of Object.keys(PARTS)) {
    sums[part] = measured.reduce((sum, i) => sum + (stages.seconds[part]?.[i] ?? 0), 0);
  }
  const share = sums.data / Object.values(sums).reduce((sum, value) => sum + value, 0);
  if (!(share > MUCH_WAITING)) return "";
  return `Waiting for data takes ${Math.round(100 * share)} % of each step: the device is idle meanwhile. ` +
    "Store the records of the data set unencoded, give the job more CPU cores, or use less augmentation.";
}

/** @param {number | null | undefined} value */
const isNumber = (value) => typeof value === "number";
