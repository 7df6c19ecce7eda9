import assert from "node:assert/strict";
import * as format from "../../digits/web/static/js/parts/format.js";

Deno.test("numbers are short, whole ones in full", () => {
  assert.equal(format.number(1234567), "1,234,567");
  assert.equal(format.number(0.98765), "0.9877");
  assert.equal(format.number(123.456), "123.5");
  assert.equal(format.number(-0.5), "-0.5");
  assert.equal(format.number(0), "0");
  assert.equal(format.number(0.00012), "1.20e-4");
  assert.equal(format.number(123456.7), "1.23e+5");
  assert.equal(format.number(4.336e16), "4.34e+16");
});

Deno.test("what is no number is nothing, or said so", () => {
  for (const missing of [null, undefined, NaN, Infinity]) {
    assert.equal(format.number(missing), "");
    assert.equal(format.measured(missing), "nan");
    assert.equal(format.percent(missing), "–");
    assert.equal(format.epochText(missing), "");
    assert.equal(format.duration(missing), "");
    assert.equal(format.fileSize(missing), "");
  }
});

Deno.test("shares are percents with no more decimals than were asked for", () => {
  assert.equal(format.percent(0.98765), "98.8 %");
  assert.equal(format.percent(0.98765, 0), "99 %");
  assert.equal(format.percent(0.98765, 2), "98.77 %");
  assert.equal(format.percent(1), "100 %");
  assert.equal(format.percent(0), "0 %");
});

Deno.test("counts agree with their noun", () => {
  assert.equal(format.counted(1, "job"), "1 job");
  assert.equal(format.counted(0, "job"), "0 jobs");
  assert.equal(format.counted(1200, "job"), "1,200 jobs");
  assert.equal(format.counted(3171, "record", true), "3,171 records");
  assert.equal(format.counted(1, "record", false), "at least 1 record");
});

Deno.test("large counts are cut to three digits", () => {
  assert.equal(format.compact(999), "999");
  assert.equal(format.compact(61_706), "61.7 k");
  assert.equal(format.compact(138_357_544), "138 M");
});

Deno.test("epochs may be fractions", () => {
  assert.equal(format.epochText(2), "2");
  assert.equal(format.epochText(1 / 3), "0.33");
});

Deno.test("durations grow from seconds to days", () => {
  assert.equal(format.duration(0), "0 s");
  assert.equal(format.duration(59.9), "59 s");
  assert.equal(format.duration(60), "1:00");
  assert.equal(format.duration(185), "3:05");
  assert.equal(format.duration(3723), "1:02:03");
  assert.equal(format.duration(51 * 3600), "2 d 3 h");
  assert.equal(format.duration(-5), "0 s");
});

Deno.test("sizes have three digits and a unit of 1024", () => {
  assert.equal(format.fileSize(0), "0 B");
  assert.equal(format.fileSize(1023), "1023 B");
  assert.equal(format.fileSize(1024), "1.00 KiB");
  assert.equal(format.fileSize(200 * 2 ** 20), "200 MiB");
  assert.equal(format.fileSize(3.5 * 2 ** 40), "3.50 TiB");
});

Deno.test("moments are told by the largest unit that has passed", () => {
  assert.equal(format.agoText(0.5), "just now");
  assert.equal(format.agoText(1), "1 second ago");
  assert.equal(format.agoText(59 * 60), "59 minutes ago");
  assert.equal(format.agoText(3600), "1 hour ago");
  assert.equal(format.agoText(49 * 3600), "2 days ago");
});
