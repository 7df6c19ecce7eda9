// @ts-check
// Of boxes of one class that overlap much only the best stays: what digits/engines/suppression.py does, on the same numbers.

/** @typedef {{box: number[], score: number, class: number}} Box `box` is left, top, right, bottom in pixels */

const COLUMNS = 6; // left, top, right, bottom, score, class
const f32 = Math.fround;

/**
 * Rows of float32 numbers from base64, best first: what a slider may choose from.
 * @param {string} text
 * @returns {Box[]}
 */
export function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const numbers = new Float32Array(bytes.buffer);
  return Array.from({ length: numbers.length / COLUMNS }, (_, i) => {
    const [x0, y0, x1, y1, score, label] = numbers.subarray(COLUMNS * i, COLUMNS * (i + 1));
    return { box: [x0, y0, x1, y1], score, class: label };
  });
}

/**
 * Those of `boxes` that stay, best first. At an `overlap` of 1 all stay.
 * @param {Box[]} boxes
 * @param {number} overlap intersection over union, 0 to 1
 * @param {number} [most] boxes that stay; 0: all
 */
export function suppressed(boxes, overlap, most = 0) {
  const isSorted = boxes.every(({ score }, i) => !i || score <= boxes[i - 1].score);
  const sorted = isSorted ? boxes : [...boxes].sort((a, b) => b.score - a.score);
  if (overlap >= 1) return most ? sorted.slice(0, most) : sorted;
  /** @type {Box[]} */
  const kept = [];
  /** @type {Map<number, Box[]>} */
  const ofClass = new Map();
  for (const box of sorted) {
    if (most && kept.length >= most) break;
    const better = ofClass.get(box.class) ?? [];
    if (better.some((other) => shared(other.box, box.box) > overlap)) continue;
    better.push(box);
    ofClass.set(box.class, better);
    kept.push(box);
  }
  return kept;
}

/**
 * What is left of `boxes` under a choice of the sliders: `score`, the least, and `overlap`.
 * @param {Box[]} boxes
 * @param {{score: number, overlap?: number}} choice
 * @param {number} [most]
 */
export const chosen = (boxes, { score, overlap = 1 }, most = 0) =>
  suppressed(boxes.filter((box) => box.score >= score), overlap, most);

/**
 * Intersection over union, rounded to float32 after each step as NumPy and torch do.
 * @param {number[]} a
 * @param {number[]} b
 */
function shared(a, b) {
  const width = f32(Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = f32(Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  if (!(width > 0 && height > 0)) return 0;
  const inside = f32(width * height);
  const union = f32(f32(area(a) + area(b)) - inside);
  return union > 0 ? f32(inside / union) : 0;
}

/** @param {number[]} box */
const area = (box) => f32(f32(box[2] - box[0]) * f32(box[3] - box[1]));
