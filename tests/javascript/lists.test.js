import assert from "node:assert/strict";
import { dense } from "../../digits/web/static/js/charts/confusion_chart.js";
import { columnsOf } from "../../digits/web/static/js/parts/columns.js";
import { Selection } from "../../digits/web/static/js/parts/selection.js";
import { byName, byNumber } from "../../digits/web/static/js/parts/sortable.js";
import { sortedBy, tableQuery } from "../../digits/web/static/js/parts/table_query.js";
import { batches } from "../../digits/web/static/js/parts/uploads.js";

const SHOWN = ["a", "b", "c", "d", "e"];

Deno.test("each metric of a model is three columns that are hidden at first", () => {
  const columns = columnsOf("model", [["loss", "val"]]);
  const outputs = [...columns.values()].filter(({ output }) => output);
  assert.deepEqual(outputs.map(({ key }) => key), ["loss (val) last", "loss (val) min", "loss (val) max"]);
  assert.ok(outputs.every(({ hidden }) => hidden));
  assert.equal(columnsOf("dataset", [["loss", "val"]]).size, columnsOf("dataset", []).size);
  assert.equal([...columns.keys()][0], "name");
});

Deno.test("the server is asked for the page, the filters and the order of the user", () => {
  const columns = columnsOf("model", [["loss", "val"]]);
  const state = { sort: [["best", true], ["name", false], ["gone", true]], size: 50, grouped: true, shown: null };
  const query = new URLSearchParams(tableQuery(state, columns, { kind: "model", offset: 100, text: "a & b", letters: "DE" }));
  assert.deepEqual(query.getAll("sort"), ["group", "-best_value", "name"]);
  assert.equal(query.get("text"), "a & b");
  assert.equal(query.get("status"), "DE");
  assert.deepEqual([query.get("offset"), query.get("limit")], ["100", "50"]);
});

Deno.test("names are sorted upwards first, all else downwards; a second click turns it round", () => {
  assert.deepEqual(sortedBy([["best", true]], "name", false), [["name", false]]);
  assert.deepEqual(sortedBy([["name", false]], "best", true), [["name", false], ["best", true]]);
  assert.deepEqual(sortedBy([["best", true]], "best", false), [["best", false]]);
});

Deno.test("a click selects one row, a second one none", () => {
  const selection = new Selection();
  selection.click("b", SHOWN);
  assert.deepEqual([...selection.ids], ["b"]);
  selection.click("b", SHOWN);
  assert.deepEqual([...selection.ids], []);
});

Deno.test("Shift selects from the last click on, in either direction, Control changes one", () => {
  const selection = new Selection();
  selection.click("d", SHOWN);
  selection.click("b", SHOWN, { extend: true });
  assert.deepEqual([...selection.ids], ["b", "c", "d"]);
  selection.click("e", SHOWN, { extend: true });
  assert.deepEqual([...selection.ids], ["d", "e"]);
  selection.click("e", SHOWN, { toggle: true });
  assert.deepEqual([...selection.ids], ["d"]);
});

Deno.test("arrow keys go on from the last click and stop at the ends", () => {
  const selection = new Selection();
  selection.click("d", SHOWN);
  assert.equal(selection.arrow(1, SHOWN, false), "e");
  assert.equal(selection.arrow(1, SHOWN, false), "e");
  selection.click("b", SHOWN);
  selection.arrow(1, SHOWN, true);
  selection.arrow(1, SHOWN, true);
  assert.deepEqual([...selection.ids], ["b", "c", "d"]);
  assert.equal(new Selection().arrow(1, SHOWN, false), "a");
  assert.equal(new Selection().arrow(1, [], false), "");
});

Deno.test("rows that are gone are not selected any more, and a selection can be turned round", () => {
  const selection = new Selection();
  selection.set(["a", "c"]);
  selection.keep(["b", "c"]);
  assert.deepEqual([...selection.ids], ["c"]);
  selection.invert(["b", "c", "d"]);
  assert.deepEqual([...selection.ids], ["b", "d"]);
});

Deno.test("small files travel together, large ones alone, none is lost", () => {
  const file = (size, path) => ({ file: { size }, path });
  const small = Array.from({ length: 300 }, (_, i) => file(10, `s${i}`));
  const large = file(5 << 20, "large");
  const made = [...batches([small[0], large, ...small.slice(1)])];
  assert.deepEqual(made.find((batch) => batch.includes(large)), [large]);
  assert.deepEqual(made.flat().map(({ path }) => path).sort(), ["large", ...small.map(({ path }) => path)].sort());
  assert.ok(made.every((batch) => batch.length <= 250));
  const heavy = Array.from({ length: 6 }, (_, i) => file(3 << 20, `h${i}`));
  assert.deepEqual([...batches(heavy)].map((batch) => batch.length), [2, 2, 2]);
  const below = [...batches([...small, large], 48 << 10)];
  assert.deepEqual(below.flat(), [...small, large]);
  assert.ok(below.length > 2 && below.every((batch) => batch.length < 96));
});

Deno.test("a table is sorted by names as people count, and by numbers with their signs", () => {
  assert.deepEqual(["class 10", "class 9"].sort(byName), ["class 9", "class 10"]);
  assert.deepEqual(["98.5 %", "1,200", "–", "-7"].sort(byNumber(true)), ["-7", "98.5 %", "1,200", "–"]);
  assert.deepEqual(["98.5 %", "–", "1,200", "-7"].sort(byNumber(false)), ["1,200", "98.5 %", "-7", "–"]);
});

Deno.test("a confusion matrix has the rows that occur, in percent of each", () => {
  const { rows, counts, shares } = dense({ labels: ["a", "b", "c"], cells: [[2, 0, 1], [2, 2, 3], [0, 1, 5]] });
  assert.deepEqual(rows, [0, 2]);
  assert.deepEqual(counts, [[0, 5, 0], [1, 0, 3]]);
  assert.deepEqual(shares, [[0, 100, 0], [25, 0, 75]]);
});
