// @ts-check
// Numbers, durations, sizes and moments as people read them: the only place where a page turns a number into text.

/** @typedef {number | null | undefined} Maybe a number that may be missing */

/**
 * @param {Maybe} value
 * @returns {value is number}
 */
export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/**
 * @param {number} value
 * @param {number} decimals
 */
const rounded = (value, decimals) => Math.round(value * 10 ** decimals) / 10 ** decimals;

/**
 * At most four significant digits, whole numbers in full unless they are huge, as losses that diverge; "" for what is no number.
 * @param {Maybe} value
 */
export function number(value) {
  if (!isNumber(value)) return "";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e12) return value.toLocaleString("en");
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/**
 * A value that was measured: as `number`, but what is missing or no number is said so.
 * @param {Maybe} value
 * @param {number} [digits] significant ones
 */
export const measured = (value, digits = 4) => (isNumber(value) ? String(Number(value.toPrecision(digits))) : "nan");

/**
 * A value of a metric with its unit, shares in percent: the same on every page; "–" for what is missing.
 * @param {Maybe} value
 * @param {string} [unit]
 */
export function withUnit(value, unit = "") {
  if (!isNumber(value)) return "–";
  return unit === "%" ? `${number(value * 100)} %` : `${number(value)}${unit && ` ${unit}`}`;
}

/**
 * Always so many decimals, for numbers that stand below each other or change in place.
 * @param {number} value
 * @param {number} decimals
 */
export const fixed = (value, decimals) => value.toFixed(decimals);

/**
 * 2.35 M, 12.3 k, 950
 * @param {number} value
 */
export function compact(value) {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  return value >= 1e3 ? `${Number((value / 1e3).toPrecision(3))} k` : String(value);
}

/**
 * A share (0 to 1) as "98.7 %", with at most so many decimals; "–" for what is missing.
 * @param {Maybe} share
 * @param {number} [decimals]
 */
export const percent = (share, decimals = 1) => (isNumber(share) ? `${number(rounded(100 * share, decimals))} %` : "–");

/**
 * An epoch, which may be a fraction: two decimals at most.
 * @param {Maybe} epoch
 */
export const epochText = (epoch) => (isNumber(epoch) ? number(rounded(epoch, 2)) : "");

/**
 * One thing or several: "1 model", "3 models"; "at least 3 models" where the count is not complete.
 * @param {number} count
 * @param {string} noun
 * @param {boolean} [complete]
 */
export const counted = (count, noun, complete = true) =>
  `${complete ? "" : "at least "}${number(count)} ${noun}${count === 1 ? "" : "s"}`;

/**
 * 12 s, 3:05, 1:02:03, 2 d 3 h
 * @param {Maybe} seconds
 */
export function duration(seconds) {
  if (!isNumber(seconds)) return "";
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)}`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return `${Math.floor(whole / 86400)} d ${Math.floor(whole / 3600) % 24} h`;
}

/**
 * 12 B, 3.40 MiB
 * @param {Maybe} bytes
 */
export function fileSize(bytes) {
  if (!isNumber(bytes)) return "";
  let amount = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (amount < 1024) return `${unit === "B" || amount >= 100 ? Math.round(amount) : amount.toPrecision(3)} ${unit}`;
    amount /= 1024;
  }
  return `${amount.toPrecision(3)} TiB`;
}

const SPANS = /** @type {const} */ ([[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]]);

/**
 * 3 minutes ago
 * @param {number} seconds since then
 */
export function agoText(seconds) {
  for (const [size, word] of SPANS) {
    const count = Math.floor(seconds / size);
    if (count >= 1) return `${counted(count, word)} ago`;
  }
  return "just now";
}

/**
 * The time of day, 13:05:09.
 * @param {number} seconds since 1970
 */
export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");
