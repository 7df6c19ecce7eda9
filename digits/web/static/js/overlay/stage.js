// Canvases that are drawn as large as they are shown, at the next frame, and only while they can be seen.

const NEAR = "1500px"; // what is so close to the window counts as seen
const LARGEST = 4096; // pixels of a side that a page draws; downloads have all

/** The size in which a canvas is to be drawn: as shown, but of a `natural` size no more than that, unless lines are `sharp`. */
export function shownSize(canvas, [width, height], sharp = false) {
  const shown = Math.ceil(canvas.clientWidth * devicePixelRatio);
  if (!shown || !width) return null;
  const scale = Math.min(shown / width, sharp ? Infinity : 1, LARGEST / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/**
 * Items have `canvas`, `natural` ([width, height] once it is known), `sharp`, `load()` (once, before they are first drawn),
 * `fit(width, height)` and `draw(choice)`; `choice()` tells what is chosen.
 */
export class Stage {
  constructor(choice) {
    this.choice = choice;
    this.items = new Map(); // by canvas
    this.seeing = new IntersectionObserver((entries) => entries.forEach((entry) => this.seen(entry)), { rootMargin: NEAR });
    this.sizing = new ResizeObserver((entries) => entries.forEach(({ target }) => this.update(this.items.get(target))));
  }

  /** Watch an item; resolves when it is drawn or known to be out of sight. */
  add(item) {
    const state = { item, visible: false, stale: true };
    const known = new Promise((resolve) => { state.known = resolve; });
    this.items.set(item.canvas, state);
    this.seeing.observe(item.canvas);
    return known;
  }

  /** Watch an item no longer. */
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
        this.asked = undefined;
        const choice = this.choice();
        for (const state of this.items.values()) this.draw(state, choice);
        done();
      });
    });
    return this.asked;
  }

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

  /** Bring an item to the size in which it is shown. */
  async update(state) {
    if (!state?.visible) return;
    const { item } = state;
    state.loading ??= item.load();
    await state.loading;
    const size = shownSize(item.canvas, item.natural, item.sharp);
    if (size && String(size) !== String(state.size)) {
      state.size = size;
      await item.fit(...size);
      state.fitted = String(size) === String(state.size);
      state.stale = true;
    }
    this.draw(state, this.choice());
  }

  draw(state, choice) {
    if (!state.stale || !state.visible || !state.fitted) return;
    state.stale = false;
    state.item.draw(choice);
  }
}
