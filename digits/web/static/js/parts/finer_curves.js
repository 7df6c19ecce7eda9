// @ts-check
// The finer points of a part of a long run, laid into its curves.

/** @typedef {import("./training_state.js").Series} Series */
/** @typedef {{from: number, to: number, curves: Record<string, Series>}} Part of a run: its epochs, and what was reported there */

export const THINNED = ["train", "lr", "gradients"]; // phases

/**
 * A series with those of its points that lie within a part taken from there.
 * @param {Series} series
 * @param {Series} finer
 * @param {number} from
 * @param {number} to
 * @returns {Series}
 */
export function laidIn(series, finer, from, to) {
  const before = series.epoch.flatMap((epoch, i) => epoch < from ? [i] : []);
  const after = series.epoch.flatMap((epoch, i) => epoch > to ? [i] : []);
  const names = [...new Set([...Object.keys(series.values), ...Object.keys(finer.values)])];
  const none = new Array(finer.epoch.length).fill(null);
  /**
   * @template Value
   * @param {Value[] | undefined} list
   * @param {Value[]} middle
   */
  const joined = (list, middle) => [
    ...before.map((i) => /** @type {Value} */ (list ? list[i] : null)),
    ...middle,
    ...after.map((i) => /** @type {Value} */ (list ? list[i] : null)),
  ];
  const extremes = new Set(series.extremes ?? []);
  const beyond = before.length + finer.epoch.length;
  return {
    epoch: joined(series.epoch, finer.epoch),
    step: joined(series.step, finer.step),
    nonfinite: joined(series.nonfinite, finer.nonfinite),
    values: Object.fromEntries(names.map((name) => [name, joined(series.values[name], finer.values[name] ?? none)])),
    extremes: [
      ...before.flatMap((old, i) => extremes.has(old) ? [i] : []),
      ...(finer.extremes ?? []).map((i) => before.length + i),
      ...after.flatMap((old, i) => extremes.has(old) ? [beyond + i] : []),
    ],
  };
}

/**
 * A state as it is, but with a part of its curves finer.
 * @template {import("./training_state.js").TrainingState} State
 * @param {State} state
 * @param {Part | undefined} part
 * @returns {State}
 */
export function withPart(state, part) {
  if (!part) return state;
  const { from, to, curves } = part;
  /** @type {Record<string, any>} */
  const finer = { ...state.curves };
  for (const phase of THINNED) {
    if (finer[phase] && curves[phase]?.epoch.length) finer[phase] = laidIn(finer[phase], curves[phase], from, to);
  }
  return Object.create(state, { curves: { value: finer } });
}

export class FinerCurves {
  /**
   * @param {import("./training_state.js").TrainingState} state
   * @param {(from: number, to: number) => Promise<{curves: Record<string, any>}>} load what was reported between two epochs
   * @param {() => void} changed
   * @param {number} [wait] milliseconds after the last movement
   */
  constructor(state, load, changed, wait = 250) {
    this.state = state;
    this.load = load;
    this.changed = changed;
    this.wait = wait;
    /** @type {Map<string, Part & {whole: boolean}>} */
    this.parts = new Map(); // by the key of a chart
    /** @type {Map<string, number>} */
    this.timers = new Map();
  }

  /**
   * A chart shows so much of its run now; null for all of it.
   * @param {string} key
   * @param {[number, number] | null} range
   */
  show(key, range) {
    clearTimeout(this.timers.get(key));
    if (range) this.timers.set(key, setTimeout(() => this.bring(key, ...range), this.wait));
    else if (this.parts.delete(key)) this.changed();
  }

  /**
   * @param {string} key
   * @param {number} low
   * @param {number} high
   */
  async bring(key, low, high) {
    const { shown, of } = this.state.reported(), known = this.parts.get(key);
    if (shown >= of || !(high > low)) return;
    if (known?.whole && known.from <= low && high <= known.to) return;
    const margin = (high - low) / 4, last = this.state.curves.train.epoch.at(-1) ?? 0;
    const from = low - margin, to = high + margin;
    const timer = this.timers.get(key);
    const found = await this.load(from, to).catch(() => null);
    if (!found || this.timers.get(key) !== timer) return; // it was moved meanwhile
    this.parts.set(key, { from, to: Math.min(to, last), curves: found.curves, whole: !found.curves.thinned });
    this.changed();
  }

  /** What was brought is void, as after an attempt that goes on from an earlier point. */
  clear() {
    this.parts.clear();
  }
}
