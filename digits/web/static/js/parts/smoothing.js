// @ts-check
// Smoothed curves.

/** @typedef {(number | null)[]} Values */

/**
 * A curve as `smooth` makes it: of its samples, since extremes would count as much as all that they stand among. Gaps stay.
 * @param {number[]} x
 * @param {Values} values
 * @param {number} weight
 * @param {number[]} [extremes] indices of what is no sample
 */
export function smoothed(x, values, weight, extremes = []) {
  if (!weight || !extremes.length) return { x, y: smooth(values, weight) };
  const rare = new Set(extremes);
  const at = values.flatMap((value, i) => rare.has(i) && value !== null ? [] : [i]);
  return { x: at.map((i) => x[i]), y: smooth(at.map((i) => values[i]), weight) };
}

/**
 * Exponential moving average without a bias at the start; gaps stay gaps.
 * @param {Values} values
 * @param {number} weight of the past, 0 to 1
 * @returns {Values}
 */
export function smooth(values, weight) {
  if (!weight) return values;
  let average = 0, mass = 0;
  return values.map((value) => {
    if (value === null) return null;
    average = average * weight + value * (1 - weight);
    mass = mass * weight + (1 - weight);
    return average / mass;
  });
}
