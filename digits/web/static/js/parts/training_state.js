// What a training has reported: filled from the page, kept up to date by events. No drawing here.

const MOST_POINTS = 8000; // of one training curve; beyond that every second point is let go (never of validation)
const MOST_LINES = 400;
export const MEAN = "epoch_";
const ERRORS = new Set(["mae", "rmse", "mse"]);

/** Whether an output is that of one class, as in "dice/cell": such are shown in a table. */
export const isOfClass = (name) => name.includes("/");

export class TrainingState {
  constructor(data) {
    this.load(data);
  }

  /** Take over what the server says; later events before `offset` are old. */
  load(data) {
    Object.assign(this, data);
  }

  /** Take in one event of the log. Returns "reload" when an earlier attempt's lines may have become void. */
  add(event, offset) {
    if (offset <= this.offset) return "";
    this.offset = offset;
    if (event.type === "metric") return this.addMetric(event);
    if (event.type === "snapshot") return this.addSnapshot(event);
    if (event.type === "progress") { this.progress = withRate(event, this.progress); return "tiles"; }
    if (event.type === "hardware") { this.hardware = event; return "hardware"; }
    if (event.type === "baseline") { this.baseline = { values: event.values, description: event.description }; return "curves"; }
    if (event.type === "log") { this.note(event, event.message); return "log"; }
    return event.type === "attempt" ? "reload" : event.type;
  }

  addMetric(event) {
    const series = (this.curves[event.phase] ??= { epoch: [], step: [], values: {} });
    for (const [name, kind] of Object.entries(event.kinds || {})) if (event.phase !== "lr") this.curves.kinds[name] ??= kind;
    const length = series.epoch.length;
    for (const name of Object.keys(event.values)) {
      if (event.phase !== "lr") this.curves.kinds[name] ??= "other";
      series.values[name] ??= new Array(length).fill(null);
    }
    series.epoch.push(event.epoch);
    series.step.push(event.step);
    for (const [name, values] of Object.entries(series.values)) values.push(event.values[name] ?? null);
    if (event.phase === "val") this.note(event, validationText(event));
    if (event.phase !== "val" && length > MOST_POINTS) halve(series);
    return "curves";
  }

  addSnapshot(event) {
    this.snapshots = this.snapshots.filter((snapshot) => snapshot.path !== event.path);
    if (event.best && !event.removed) for (const snapshot of this.snapshots) snapshot.best = false;
    if (!event.removed) this.snapshots.push({ ...event });
    this.snapshots.sort((a, b) => a.epoch - b.epoch);
    return "snapshots";
  }

  /** One more line of the log. */
  note(event, message) {
    this.log.push({ t: event.t, level: event.level || "info", message });
    if (this.log.length > MOST_LINES) this.log.splice(0, this.log.length - MOST_LINES);
  }

  /** The newest value of an output, null where there is none. */
  last(phase, name) {
    return this.curves[phase]?.values[name]?.findLast((value) => value !== null) ?? null;
  }

  /** Names of the outputs of one kind that some phase has. */
  names(kind) {
    const { kinds, train, val } = this.curves;
    const found = Object.keys(kinds).filter((name) => kinds[name] === kind && !isMean(name, kinds) && !isOfClass(name) && (name in train.values || name in val.values));
    return found.sort((a, b) => (b === kind) - (a === kind)); // "loss" before the auxiliary losses
  }

  /** The output that decides: the wished one, else the task's own, else the first accuracy, else the first loss of validation. */
  decider() {
    const measured = Object.keys(this.curves.val.values);
    const first = (kind) => measured.find((name) => this.curves.kinds[name] === kind && !isOfClass(name));
    return [this.best_metric, this.deciding, this.best_name].find((name) => measured.includes(name)) || first("accuracy") || first("loss") || "";
  }

  /** {name, value, epoch} of the best validation, or null. */
  best() {
    const name = this.decider();
    return name ? this.bestOf(name) : null;
  }

  /** {name, value, epoch} of the best value of one output of the validations, or null. */
  bestOf(name) {
    let found = null;
    (this.curves.val.values[name] ?? []).forEach((value, i) => {
      if (value !== null && (!found || this.isBetter(name, value, found.value))) found = { name, value, epoch: this.curves.val.epoch[i] };
    });
    return found;
  }

  isBetter(name, value, other) {
    return this.isLowerBetter(name) ? value < other : value > other;
  }

  isLowerBetter(name) {
    return this.curves.kinds[name] === "loss" || /loss|error/i.test(name) || ERRORS.has(name);
  }
}

/** Whether an output is the mean over the epoch of another one, as the engines report it. */
export const isMean = (name, kinds) => name.startsWith(MEAN) && name.slice(MEAN.length) in kinds;

/** The last known speed stays when the work is over. */
const withRate = (event, before) => (event.rate || !before ? event : { ...event, rate: before.rate, unit: before.unit });

function validationText({ epoch, values }) {
  const parts = Object.entries(values).filter(([name]) => !isOfClass(name)).map(([name, value]) => `${name} = ${value === null ? "nan" : Number(value.toPrecision(5))}`);
  return `Validation (epoch ${Math.round(epoch * 100) / 100}): ${parts.join(", ")}`;
}

function halve(series) {
  const keep = (list) => list.filter((_, i) => i % 2 === 0 || i === list.length - 1);
  const values = Object.fromEntries(Object.entries(series.values).map(([name, list]) => [name, keep(list)]));
  Object.assign(series, { epoch: keep(series.epoch), step: keep(series.step), values });
}
