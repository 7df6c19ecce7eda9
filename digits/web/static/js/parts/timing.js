// @ts-check
// Work that waits until the user pauses.

/**
 * `work` after a pause of `wait` milliseconds; each call starts the pause anew.
 * @template {any[]} Values
 * @param {(...values: Values) => void} work
 * @param {number} wait
 * @returns {(...values: Values) => void}
 */
export function debounced(work, wait) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), wait);
  };
}
