import assert from "node:assert/strict";
import { lanesOf, lastBefore, timeText } from "../../digits/web/static/js/charts/timeline.js";

const EVENTS = [
  { ph: "M", name: "thread_name", pid: 1, tid: 7, args: { name: "main" } },
  { ph: "X", name: "inner", cat: "operation", ts: 2, dur: 3, tid: 7 },
  { ph: "X", name: "outer", cat: "forward", ts: 1, dur: 5, tid: 7 },
  { ph: "X", name: "after", cat: "operation", ts: 6, dur: 1, tid: 7 },
  { ph: "X", name: "alone", cat: "operation", ts: 0, dur: 9, tid: 8 },
];

Deno.test("bars lie beneath those that they are part of, each thread in a lane of its own", () => {
  const lanes = lanesOf(EVENTS);
  const names = lanes.map(({ title, rows }) => [title, rows.map((bars) => bars.map(({ name }) => name))]);
  assert.deepEqual(names, [["main", [["outer", "after"], ["inner"]]], ["thread 8", [["alone"]]]]);
});

Deno.test("the bar at a moment is found, and none before the first", () => {
  const [{ rows: [bars] }] = lanesOf(EVENTS);
  assert.deepEqual([0.5, 1, 5.9, 6, 99].map((moment) => lastBefore(bars, moment)), [-1, 0, 0, 1, 1]);
});

Deno.test("lengths of time are short", () => {
  assert.deepEqual([0, 12.345, 999, 1000, 34567].map(timeText), ["0 µs", "12.3 µs", "999 µs", "1 ms", "34.6 ms"]);
});
