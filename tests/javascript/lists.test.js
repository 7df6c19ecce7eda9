import assert from "node:assert/strict";
import { dense } from "../../digits/web/static/js/charts/confusion_chart.js";
import { columnsOf, furtherColumn, queryName } from "../../digits/web/static/js/parts/columns.js";
import { Selection } from "../../digits/web/static/js/parts/selection.js";
import { byName, byNumber } from "../../digits/web/static/js/parts/sortable.js";
import {
  addressOf,
  cuts,
  keysOf,
  packed,
  requestOf,
  sortedBy,
  statusesOf,
  textOf,
  unpacked,
  usual,
  viewOf,
  withStatus,
} from "../../digits/web/static/js/parts/table_view.js";
import { batches } from "../../digits/web/static/js/parts/uploads.js";

const SHOWN = ["a", "b", "c", "d", "e"];

Deno.test("outputs and settings are columns, also those that no job has any more; what is nothing is none", () => {
  assert.equal(furtherColumn("loss (val) last")?.sort, "output:loss:val:last");
  assert.equal(furtherColumn("setting.learning_rate")?.title, "learning_rate");
  assert.equal(furtherColumn("gone"), null);
  assert.equal(queryName(furtherColumn("dice/black cat (val) max"), ""), '"max.val.dice/black cat"');
  assert.equal(queryName(columnsOf("model").get("best"), "map50"), "map50");
  assert.deepEqual([...columnsOf("model").keys()].slice(0, 3), ["name", "status", "best"]);
});

Deno.test("an address is the view: it is read as it was written, and what is usual is left out", () => {
  const view = {
    query: 'a & b "c d"',
    sort: [["best", true], ['x, "y"', false]],
    metric: "last.map50",
    by: "dataset",
    fold: true,
    columns: ["name", "dice/a, b (val) last"],
    page: 3,
    size: 100,
    selected: ["20260101-000000-aaaa", "20260101-000000-bbbb"],
  };
  const address = addressOf(view, new URLSearchParams("tab=2&query=old&page=9"));
  assert.equal(address.get("tab"), "2");
  assert.deepEqual(viewOf(new URLSearchParams(address.toString())), view);
  assert.equal(addressOf(usual()).toString(), "");
  assert.deepEqual(viewOf(new URLSearchParams("page=-3&size=7&by=colour&sort=&fold=x")), usual());
  const wanted = requestOf(view, "model", view.columns, (key) => key);
  assert.deepEqual([wanted.get("offset"), wanted.get("sort")], ["300", '-best,"x, \\"y\\""']);
  assert.deepEqual(keysOf(textOf(view.columns)), view.columns);
});

Deno.test("chips change the statuses of a query and leave its other terms", () => {
  assert.equal(withStatus("lenet accuracy>0.9", "done"), "lenet accuracy>0.9 status:done");
  assert.equal(withStatus("status:done lenet", "failed"), "lenet status:done,failed");
  assert.equal(withStatus("lenet status:done", "done"), "lenet");
  assert.deepEqual(statusesOf("-status:done x"), []);
});

Deno.test("names that begin alike are cut before where they differ", () => {
  const names = ["a long common beginning of names lr 0.1", "a long common beginning of names lr 0.01", "short"];
  const found = cuts(names);
  assert.equal(found.get("short"), 0);
  for (const name of names.slice(0, 2)) assert.ok(name.slice(found.get(name)).includes("0."), name);
  assert.equal(cuts(["x".repeat(80), "y".repeat(80)]).get("x".repeat(80)), 0);
  for (const room of [11, 15]) {
    const narrow = cuts(["lenet fast seed:1298989709", "lenet fast seed:305419919"], room);
    for (const [name, at] of narrow) assert.ok(at > 0 && name.length - at <= room - 4, `${name} ${at}`);
  }
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

Deno.test("a large selection is written as runs, and read only where the same rows still lie between their ends", () => {
  const shown = Array.from({ length: 1000 }, (_, i) => `2026-${i}`);
  assert.deepEqual(packed(new Set(["2026-5", "2026-1"]), shown), ["2026-5", "2026-1"]);
  assert.deepEqual(packed(new Set(shown), shown), ["2026-0..1000..2026-999"]);
  const some = shown.filter((_, i) => i !== 2 && i !== 500);
  const written = packed(new Set(some), shown);
  assert.deepEqual(written, ["2026-0", "2026-1", "2026-3..497..2026-499", "2026-501..499..2026-999"]);
  const address = addressOf({ ...usual(), selected: written });
  assert.deepEqual(unpacked(viewOf(address).selected, shown), { ids: some, lost: [] });
  const changed = [...shown.slice(0, 10), "new", ...shown.slice(10)];
  const { ids, lost } = unpacked(written, changed);
  assert.deepEqual([ids.length, lost], [2 + 499, ["2026-3..497..2026-499"]]);
  assert.equal(packed(new Set(shown.filter((_, i) => i % 2)), shown).length, 500);
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
