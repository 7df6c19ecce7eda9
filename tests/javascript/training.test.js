import assert from "node:assert/strict";
import { knownParts } from "../../digits/web/static/js/charts/compare_charts.js";
import { isLog, levelOf } from "../../digits/web/static/js/charts/theme_plot.js";
import { leftOut, plan } from "../../digits/web/static/js/charts/training_charts.js";
import { FinerCurves, laidIn, withPart } from "../../digits/web/static/js/parts/finer_curves.js";
import { smooth, smoothed } from "../../digits/web/static/js/parts/smoothing.js";
import { classTable, metricsTable, shown, verdict } from "../../digits/web/static/js/parts/training_metrics.js";
import { isMean, NOTHING, TrainingState } from "../../digits/web/static/js/parts/training_state.js";

const KINDS = { loss: "loss", accuracy: "accuracy", mean_dice: "accuracy", "dice/cell": "accuracy" };
const facts = (title, better, unit = "", more = {}) => ({
  title,
  better,
  unit,
  short: title.toLowerCase(),
  chart: "",
  column: "",
  missed: false,
  ...more,
});
const METRICS = {
  loss: facts("Loss", "lower"),
  accuracy: facts("Accuracy", "higher", "%"),
  mae: facts("Mean absolute error", "lower", "", { chart: "Error" }),
  rmse: facts("Root mean square error", "lower", "", { chart: "Error" }),
  psnr: facts("PSNR", "higher", "dB"),
  mine: facts("mine", ""),
  mean_dice: facts("Mean Dice", "higher", "%", { chart: "Dice (%)" }),
  dice: facts("Dice", "higher", "%", { missed: true, chart: "Dice (%)" }),
};

function training(...validations) {
  const state = new TrainingState({ status: "R", epochs: 10, metrics: METRICS, deciding: "accuracy" });
  validations.forEach((values, i) => {
    state.add({ type: "metric", phase: "val", epoch: i + 1, step: 10 * (i + 1), values, kinds: KINDS, t: 0 }, i + 1);
  });
  return state;
}

Deno.test("the best validation is the highest accuracy and its epoch", () => {
  const state = training({ loss: 2, accuracy: 0.5 }, { loss: 1, accuracy: 0.75 }, { loss: 0.5, accuracy: 0.7 });
  assert.deepEqual(state.best(), { name: "accuracy", value: 0.75, epoch: 2 });
  assert.equal(state.last("val", "loss"), 0.5);
});

Deno.test("what became no number has no last value, what was not reported has", () => {
  const state = training({ loss: 2, accuracy: 0.5 }, { loss: null, accuracy: null });
  assert.equal(state.last("val", "loss"), null);
  assert.equal(state.last("val", "accuracy"), null);
  assert.equal(state.isLost("val", "loss"), true);
  const rare = training({ loss: 2, accuracy: 0.5 }, { loss: 1, accuracy: null });
  assert.equal(rare.last("val", "accuracy"), 0.5);
  assert.equal(rare.isLost("train", "loss"), false);
});

Deno.test("of equal values the first is the best, and what is no number is none", () => {
  const state = training({ accuracy: null }, { accuracy: 0.5 }, { accuracy: 0.5 });
  assert.deepEqual(state.best(), { name: "accuracy", value: 0.5, epoch: 2 });
});

Deno.test("where lower is better the lowest value is the best", () => {
  const state = training({ loss: 2 }, { loss: 1 }, { loss: 3 });
  state.deciding = "loss";
  assert.deepEqual(state.best(), { name: "loss", value: 1, epoch: 2 });
});

Deno.test("losses that work against each other have no best", () => {
  const state = training({ loss: 2, mae: 2 }, { loss: 1, mae: 1 });
  state.deciding = NOTHING;
  assert.equal(state.best(), null);
  assert.equal(state.bestOf("loss"), null);
  assert.deepEqual(state.bestOf("mae"), { name: "mae", value: 1, epoch: 2 });
});

Deno.test("an output without a direction has no best", () => {
  assert.equal(training({ mine: 1 }, { mine: 2 }).bestOf("mine"), null);
});

Deno.test("what was measured before the first step is not the best", () => {
  const state = training({ accuracy: 0.5 });
  state.add({ type: "metric", phase: "val", epoch: 0, step: 0, values: { accuracy: 0.9 }, kinds: KINDS, t: 0 }, 9);
  assert.equal(state.best().value, 0.5);
});

Deno.test("before the first validation nothing is best", () => {
  assert.equal(training().best(), null);
  assert.deepEqual(verdict(training()), []);
});

Deno.test("a validation says which output decides", () => {
  const state = training({ loss: 1, accuracy: 0.5 });
  state.add({ type: "metric", phase: "val", epoch: 2, step: 20, values: { loss: 2 }, kinds: KINDS, decides: "loss", t: 0 }, 9);
  assert.deepEqual(state.best(), { name: "loss", value: 1, epoch: 1 });
});

Deno.test("an output that the page does not know makes it ask the server", () => {
  const values = { "epoch_loss": 1, "dice/cell": 0.5 };
  const state = training();
  assert.equal(state.add({ type: "metric", phase: "val", epoch: 1, step: 1, values, kinds: KINDS, t: 0 }, 1), "curves");
  assert.equal(state.add({ type: "metric", phase: "val", epoch: 2, step: 2, values: { news: 1 }, t: 0 }, 2), "reload");
});

Deno.test("events that were seen are not counted twice", () => {
  const state = training({ loss: 1 });
  assert.equal(state.add({ type: "metric", phase: "val", epoch: 1, step: 1, values: { loss: 9 }, t: 0 }, 1), "");
  assert.deepEqual(state.curves.val.values.loss, [1]);
});

Deno.test("an output that comes later has gaps before it", () => {
  const state = training({ loss: 1 }, { loss: 1, accuracy: 0.5 });
  assert.deepEqual(state.curves.val.values.accuracy, [null, 0.5]);
  assert.deepEqual(state.names("accuracy"), ["accuracy"]);
});

Deno.test("of long curves the server chooses anew what is shown, and how many there were is counted", () => {
  const loss = (i) => ({ type: "metric", phase: "train", epoch: i, step: i, values: { loss: i }, kinds: {}, t: 0 });
  const state = new TrainingState({ metrics: METRICS });
  const curves = { ...state.curves, kinds: KINDS, reports: { train: 1000 } };
  state.load({ curves });
  let answers = new Set();
  for (let i = 1; i <= 8000; i += 1) answers.add(state.add(loss(i), i));
  assert.deepEqual([...answers], ["curves"]);
  assert.deepEqual([state.add(loss(8001), 8001), state.add(loss(8002), 8002)], ["curves", "thin"]);
  assert.deepEqual(state.reported(), { shown: 8002, of: 9002 });
  state.load({ curves: { ...curves, train: { ...curves.train } } });
  answers = new Set([8003, 8004].map((i) => state.add(loss(i), i)));
  assert.deepEqual([...answers], ["curves"], "where the server shows so many, it is not asked at each event");
});

Deno.test("of a part that was zoomed into the finer points take the place of the coarse ones", () => {
  const coarse = {
    epoch: [0, 2, 4, 6],
    step: [0, 2, 4, 6],
    nonfinite: [0, 0, 0, 0],
    values: { loss: [9, 8, 7, 6] },
    extremes: [1, 3],
  };
  const finer = {
    epoch: [2, 3, 4],
    step: [2, 3, 4],
    nonfinite: [0, 0, 1],
    values: { loss: [8, 99, null], other: [1, 2, 3] },
    extremes: [1],
  };
  const found = laidIn(coarse, finer, 2, 5);
  assert.deepEqual(found, {
    epoch: [0, 2, 3, 4, 6],
    step: [0, 2, 3, 4, 6],
    nonfinite: [0, 0, 0, 1, 0],
    values: { loss: [9, 8, 99, null, 6], other: [null, 1, 2, 3, null] },
    extremes: [2, 4],
  });
  const state = new TrainingState({ metrics: METRICS });
  state.load({ curves: { ...state.curves, train: coarse, lr: undefined } });
  const part = withPart(state, { from: 2, to: 5, curves: { train: finer, lr: { epoch: [] } } });
  assert.deepEqual([part.curves.train.epoch.length, state.curves.train.epoch.length], [5, 4]);
  assert.equal(part.facts("loss").better, "lower");
});

Deno.test("only the last of several movements is asked for, and nothing where all is shown", async () => {
  const state = new TrainingState({ metrics: METRICS });
  const train = { epoch: [0, 10], step: [0, 10], nonfinite: [0, 0], values: { loss: [1, 2] } };
  const asked = [];
  const finer = new FinerCurves(
    state,
    (from, to) => {
      asked.push([from, to]);
      return Promise.resolve({ curves: { train, thinned: false } });
    },
    () => null,
    0,
  );
  const settle = () => new Promise((resolve) => setTimeout(resolve, 20));
  state.load({ curves: { ...state.curves, train, reports: { train: 2 } } });
  finer.show("loss", [2, 4]);
  await settle();
  assert.deepEqual(asked, []);
  state.load({ curves: { ...state.curves, train, reports: { train: 5000 } } });
  finer.show("loss", [1, 2]);
  finer.show("loss", [2, 6]);
  await settle();
  finer.show("loss", [3, 5]); // is there already
  await settle();
  assert.deepEqual(asked, [[1, 7]]);
  finer.show("loss", null);
  assert.equal(finer.parts.size, 0);
});

Deno.test("a smoothed curve is one of samples: a spike counts once, and its gap stays", () => {
  const y = [1, 99, 1, null, 1];
  assert.deepEqual(smoothed([0, 1, 2, 3, 4], y, 0.5, [1, 3]), { x: [0, 2, 3, 4], y: [1, 1, null, 1] });
  assert.deepEqual(smoothed([0, 1, 2, 3, 4], y, 0, [1, 3]).y, y);
});

Deno.test("a new best snapshot takes the mark, a removed one goes, and they stand by epoch", () => {
  const state = new TrainingState({});
  const snapshot = (epoch, best, removed = false) => ({
    type: "snapshot",
    path: `s${epoch}`,
    epoch,
    best,
    removed,
    metrics: {},
    t: 0,
  });
  state.add(snapshot(2, true), 1);
  state.add(snapshot(1, false), 2);
  state.add(snapshot(3, true), 3);
  assert.deepEqual(state.snapshots.map(({ epoch, best }) => [epoch, best]), [[1, false], [2, false], [3, true]]);
  state.add(snapshot(1, false, true), 4);
  assert.deepEqual(state.snapshots.map(({ epoch }) => epoch), [2, 3]);
});

Deno.test("a new attempt asks for the whole state, other events name what they change", () => {
  const state = new TrainingState({});
  assert.equal(state.add({ type: "attempt", t: 0 }, 1), "reload");
  assert.equal(state.add({ type: "progress", rate: 5, unit: "images", t: 0 }, 2), "tiles");
  assert.equal(state.add({ type: "progress", rate: 0, t: 0 }, 3), "tiles");
  assert.deepEqual([state.progress.rate, state.progress.unit], [5, "images"]); // the last known speed
  assert.equal(state.add({ type: "log", message: "hello", level: "info", t: 7 }, 4), "log");
  assert.deepEqual(state.log.at(-1), { t: 7, level: "info", message: "hello" });
});

Deno.test("means over an epoch belong to their output", () => {
  assert.equal(isMean("epoch_loss", { loss: "loss" }), true);
  assert.equal(isMean("epoch_loss", {}), false);
});

Deno.test("values are shown in their unit", () => {
  const state = training({ loss: 1, accuracy: 0.98765 });
  assert.equal(shown(state, "accuracy", 0.98765), "98.77 %");
  assert.equal(shown(state, "dice/cell", 0.5), "50 %");
  assert.equal(shown(state, "psnr", 20.5), "20.5 dB");
  assert.equal(shown(state, "loss", 0.12345), "0.1235");
  assert.equal(shown(state, "loss", null), "–");
});

Deno.test("a model that is no better than the trivial answer is called so", () => {
  const state = training({ accuracy: 0.5 });
  state.add({ type: "baseline", values: { accuracy: 0.5 }, description: "always “cat”", t: 0 }, 9);
  assert.match(verdict(state)[0], /no better than the trivial answer \(always “cat”\).*50 % against 50 %.*more epochs/);
  state.status = "D";
  assert.match(verdict(state)[0], /Train longer/);
  state.baseline.values.accuracy = 0.4;
  assert.deepEqual(verdict(state), []);
});

Deno.test("a class that nothing found is named", () => {
  const [text] = verdict(training({ accuracy: 0.9, "dice/cell": 0 }));
  assert.match(text, /“cell” is not found in any validation picture/);
});

Deno.test("metrics of one family share a chart, others have their own, the learning rate is last", () => {
  const state = training({
    loss: 1,
    accuracy: 0.5,
    mean_dice: 0.4,
    "dice/cell": 0.4,
    "dice/a/b": 0.1,
    mae: 3,
    rmse: 4,
    psnr: 20,
    mine: 1,
  });
  const charts = plan(state).filter(({ names }) => names.length);
  assert.deepEqual(charts.map(({ key, names }) => [key, names]), [
    ["loss", ["loss"]],
    ["accuracy-Accuracy (%)", ["accuracy"]],
    ["accuracy-Dice (%)", ["mean_dice"]],
    ["other-Error", ["mae", "rmse"]],
    ["other-psnr", ["psnr"]],
    ["other-mine", ["mine"]],
    ["class-dice", ["dice/cell", "dice/a/b"]],
  ]);
  assert.equal(plan(state).at(-1).key, "lr");
  assert.equal(plan(state)[2].title, "Dice (%)");
  assert.equal(plan(state).at(-2).title, "Dice of each class (%)");
});

Deno.test("smoothing has no bias at the start and leaves gaps", () => {
  const flat = smooth([3, 3, null, 3], 0.9);
  assert.ok(flat.every((value, i) => (i === 2 ? value === null : Math.abs(value - 3) < 1e-12)));
  const [first, second] = smooth([0, 1], 0.5);
  assert.equal(first, 0);
  assert.equal(second, 0.5 / 0.75);
  assert.deepEqual(smooth([1, 2], 0), [1, 2]);
});

Deno.test("of ten thousand outputs some have a chart, and the others are counted", () => {
  const values = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`own_${i}`, i]));
  const state = training({ loss: 1, accuracy: 0.5, ...values });
  const charts = plan(state);
  assert.ok(charts.length < 40);
  assert.deepEqual(charts.slice(0, 2).map(({ key }) => key.split("-")[0]), ["loss", "accuracy"]);
  assert.ok(leftOut(state) > 9_900);
  assert.equal(leftOut(training({ loss: 1, accuracy: 0.5 })), 0);
});

Deno.test("an axis is logarithmic where it has a place for all its values", () => {
  assert.equal(isLog(true, [1, 0.1, null, NaN]), true);
  assert.equal(isLog(true, [1, 0]), true); // what is zero lies below any such axis
  assert.equal(isLog(true, [1, -0.1]), false);
  assert.equal(isLog(true, [null, 0]), false);
  assert.equal(isLog(false, [1]), false);
  assert.deepEqual(levelOf(71.5, false), { line: 71.5, text: 71.5 });
  assert.deepEqual(levelOf(100, true), { line: 100, text: 2 });
  assert.equal(levelOf(0, true), null);
  assert.equal(levelOf(-0.04, true), null);
});

/** Just enough of a page to build tables in. */
function fakePage() {
  const element = (tag) => {
    const children = [];
    const text = () => children.map((child) => child?.textContent ?? String(child)).join("");
    return {
      tag,
      children,
      setAttribute() {},
      append: (...more) => children.push(...more),
      get textContent() {
        return text();
      },
    };
  };
  globalThis.document = { createElement: element };
  return () => delete globalThis.document;
}

const cellsOf = (node) =>
  node.tag === "tr" ? [node.children.map((one) => one.textContent)] : (node.children ?? []).flatMap(cellsOf);

Deno.test("a label that lacks a number of the others has a blank cell, and the tables stay", () => {
  const done = fakePage();
  const state = training({ loss: 1, "recall/cat": 0.25, "recall/dog": 0.5, "fit/cat": 3 });
  assert.deepEqual(cellsOf(classTable(state)), [["Class", "recall", "fit"], ["cat", "0.25", "3"], ["dog", "0.5", ""]]);
  assert.deepEqual(cellsOf(metricsTable(state)).at(-1)?.[0], "Loss ↓");
  done();
});

Deno.test("ten thousand numbers of classes are folded with a word, at once", () => {
  const done = fakePage();
  for (const name of [(i) => `kind${i}/label${i}`, (i) => `kind${i}/all`, (i) => `kind/label${i}`]) {
    const state = training({ loss: 1 });
    const values = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [name(i), i]));
    state.add({ type: "metric", phase: "val", epoch: 2, step: 20, values, t: 0 }, 2);
    const before = performance.now();
    const made = classTable(state);
    assert.ok(performance.now() - before < 2000, "the page stood still");
    const rows = cellsOf(made);
    assert.ok(rows.length <= 65 && rows[0].length <= 25);
    assert.match(made.textContent, /And .* more, in the CSV\./);
  }
  done();
});

Deno.test("a line over axes has a gap where a run has no value", () => {
  assert.deepEqual(knownParts([0, 0.5, 1]), [[[0, 0], [1, 0.5], [2, 1]]]);
  assert.deepEqual(knownParts([0.2, null, 1, 0]), [[[0, 0.2]], [[2, 1], [3, 0]]]);
  assert.deepEqual(knownParts([null, null]), []);
});
