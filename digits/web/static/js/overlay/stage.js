// @ts-check
// Canvases that are drawn as large as they are shown, at the next frame, and only while they can be seen.

/**
 * What stands on a stage.
 * @typedef {object} Item
 * @property {HTMLCanvasElement} canvas
 * @property {number[]} natural width and height, once they are known
 * @property {boolean} [sharp] whether lines make it worth to draw larger than the picture
 * @property {() => Promise<void>} load once, before it is first drawn
 * @property {(width: number, height: number) => any} fit
 * @property {(choice: any) => void} draw
 */
/**
 * @typedef {object} State
 * @property {Item} item
 * @property {boolean} visible
 * @property {boolean} stale
 * @property {boolean} fitted
 * @property {string} size
 * @property {Promise<void> | null} loading
 * @property {() => void} known resolves what `add` returned
 */

const NEAR = "1500px"; // what is so close to the window counts as seen
const LARGEST = 4096; // pixels of a side that a page draws; downloads have all

/**
 * The size in which a canvas is to be drawn: as shown, but of a `natural` size no more than that, unless lines are `sharp`.
 * @param {{clientWidth: number}} canvas
 * @param {number[]} natural
 * @param {boolean} [sharp]
 * @returns {[number, number] | null}
 */
export function shownSize(canvas, [width, height], sharp = false) {
  const shown = Math.ceil(canvas.clientWidth * devicePixelRatio);
  if (!shown || !width) return null;
  const scale = Math.min(shown / width, sharp ? Infinity : 1, LARGEST / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

export class Stage {
  /** @param {() => any} choice says what is chosen */
  constructor(choice) {
    this.choice = choice;
    /** @type {Map<Element, State>} */
    this.items = new Map(); // by canvas
    this.asked = /** @type {Promise<void> | null} */ (null);
    this.seeing = new IntersectionObserver((entries) => entries.forEach((entry) => this.seen(entry)), { rootMargin: NEAR });
    this.sizing = new ResizeObserver((entries) => entries.forEach(({ target }) => this.update(this.items.get(target))));
  }

  /**
   * Watch an item; resolves when it is drawn or known to be out of sight.
   * @param {Item} item
   * @returns {Promise<void>}
   */
  add(item) {
    return new Promise((known) => {
      this.items.set(item.canvas, { item, visible: false, stale: true, fitted: false, size: "", loading: null, known });
      this.seeing.observe(item.canvas);
    });
  }

  /**
   * Watch an item no longer.
   * @param {Item} item
   */
  remove({ canvas }) {
    this.seeing.unobserve(canvas);
    this.sizing.unobserve(canvas);
    this.items.get(canvas)?.known();
    this.items.delete(canvas);
  }

  /** Draw everything anew that can be seen, at the next frame; resolves when that is done. */
  redraw() {
    for (const state of this.items.values()) state.stale = true;
    this.asked ??= new Promise((done) => {
      requestAnimationFrame(() => {
        this.asked = null;
        const choice = this.choice();
        for (const state of this.items.values()) this.draw(state, choice);
        done();
      });
    });
    return this.asked;
  }

  /** @param {IntersectionObserverEntry} entry */
  async seen({ target, isIntersecting }) {
    const state = this.items.get(target);
    if (!state) return;
    state.visible = isIntersecting;
    if (isIntersecting) {
      this.sizing.observe(target);
      await this.update(state);
    }
    state.known();
  }

  /**
   * Bring an item to the size in which it is shown.
   * @param {State | undefined} state
   */
  async update(state) {
    if (!state?.visible) return;
    const { item } = state;
    state.loading ??= item.load();
    await state.loading;
    const size = shownSize(item.canvas, item.natural, item.sharp);
    if (size && String(size) !== state.size) {
      state.size = String(size);
      await item.fit(...size);
      state.fitted = String(size) === state.size;
      state.stale = true;
    }
    this.draw(state, this.choice());
  }

  /**
   * @param {State} state
   * @param {any} choice
   */
  draw(state, choice) {
    if (!state.stale || !state.visible || !state.fitted) return;
    state.stale = false;
    state.item.draw(choice);
  }
}
