import assert from "node:assert/strict";
import { isBright } from "../../digits/web/static/js/overlay/overlay_boxes.js";
import { borders, NOTHING, pixel, table } from "../../digits/web/static/js/overlay/overlay_maps.js";
import { shownSize } from "../../digits/web/static/js/overlay/stage.js";
import { chosen, suppressed, unpack } from "../../digits/web/static/js/overlay/suppression.js";

const box = (x, score, label = 0) => ({ box: [x, 0, x + 10, 10], score, class: label });

Deno.test("of boxes of one class that overlap the best stays", () => {
  const boxes = [box(0, 0.9), box(1, 0.8), box(20, 0.7), box(1, 0.6, 1)];
  assert.deepEqual(suppressed(boxes, 0.5).map(({ score }) => score), [0.9, 0.7, 0.6]);
});

Deno.test("what overlaps exactly as much as is allowed stays", () => {
  const boxes = [box(0, 0.9), box(5, 0.8)]; // 5 of 15 columns are shared
  const third = Math.fround(1 / 3);
  assert.equal(suppressed(boxes, third).length, 2);
  assert.equal(suppressed(boxes, third - 1e-6).length, 1);
});

Deno.test("boxes come best first and no more than asked for", () => {
  const boxes = [box(0, 0.1), box(20, 0.9), box(40, 0.5)];
  assert.deepEqual(suppressed(boxes, 1).map(({ score }) => score), [0.9, 0.5, 0.1]);
  assert.deepEqual(suppressed(boxes, 0.5, 2).map(({ score }) => score), [0.9, 0.5]);
});

Deno.test("boxes without an area hide nothing", () => {
  const flat = { box: [0, 0, 0, 10], score: 1, class: 0 };
  assert.equal(suppressed([flat, { ...flat, score: 0.5 }], 0).length, 2);
});

Deno.test("the sliders choose by score and overlap", () => {
  const boxes = [box(0, 0.9), box(1, 0.8), box(20, 0.3)];
  assert.equal(chosen(boxes, { score: 0.5 }).length, 2);
  assert.equal(chosen(boxes, { score: 0.3, overlap: 0.5 }).length, 2);
});

Deno.test("boxes are read from what the server packs", () => {
  const numbers = new Float32Array([1, 2, 3, 4, 0.5, 7, 5, 6, 7, 8, 0.25, 0]);
  const text = btoa(String.fromCharCode(...new Uint8Array(numbers.buffer)));
  assert.deepEqual(unpack(text), [
    { box: [1, 2, 3, 4], score: 0.5, class: 7 },
    { box: [5, 6, 7, 8], score: 0.25, class: 0 },
  ]);
  assert.deepEqual(unpack(""), []);
});

Deno.test("black is transparent but in a mask, and what is hidden or does not count always", () => {
  const colours = [[0, 0, 0], [255, 0, 0], [0, 0, 255]];
  const overlay = table(colours, new Set([2]));
  assert.equal(overlay[0], 0);
  assert.equal(overlay[1], 0xff0000ff); // opaque, blue, green, red: as a canvas holds it
  assert.equal(overlay[2], 0);
  assert.equal(overlay[NOTHING], 0);
  assert.equal(table(colours, new Set(), true)[0], 0xff000000);
  assert.equal(pixel([1, 2, 3]), 0xff030201);
});

Deno.test("a border lies on both sides of a change, as thick as asked for", () => {
  const row = [0, 0, 0, 1, 1, 1];
  assert.deepEqual([...borders(new Uint8Array(6), row, 6, 1, 1)], [0, 0, 1, 1, 0, 0]);
  assert.deepEqual([...borders(new Uint8Array(6), row, 6, 1, 2)], [0, 1, 1, 1, 1, 0]);
  assert.deepEqual([...borders(new Uint8Array(6), row, 1, 6, 1)], [0, 0, 1, 1, 0, 0]);
  assert.deepEqual([...borders(new Uint8Array(6), row, 6, 1, 9)], [1, 1, 1, 1, 1, 1]);
  assert.deepEqual([...borders(new Uint8Array(4), [5, 5, 5, 5], 2, 2, 1)], [0, 0, 0, 0]);
});

Deno.test("a border does not run on into the next row", () => {
  const marks = borders(new Uint8Array(8), [0, 0, 0, 1, 0, 0, 0, 1], 4, 2, 2);
  assert.deepEqual([...marks], [0, 1, 1, 1, 0, 1, 1, 1]);
});

Deno.test("names on bright colours are black", () => {
  assert.equal(isBright([255, 255, 0]), true);
  assert.equal(isBright([0, 0, 255]), false);
  assert.equal(isBright([230, 75, 53]), false);
});

Deno.test("a picture is drawn as large as it is shown, never beyond its own pixels unless lines gain by it", () => {
  globalThis.devicePixelRatio = 2;
  assert.deepEqual(shownSize({ clientWidth: 100 }, [1000, 500]), [200, 100]);
  assert.deepEqual(shownSize({ clientWidth: 400 }, [100, 50]), [100, 50]);
  assert.deepEqual(shownSize({ clientWidth: 400 }, [100, 50], true), [800, 400]);
  assert.deepEqual(shownSize({ clientWidth: 9000 }, [9000, 100]), [4096, 46]);
  assert.equal(shownSize({ clientWidth: 0 }, [10, 10]), null);
});
