// @ts-check
// Which rows of a table are selected: by click, with Shift and Control, by arrow keys. No drawing here.

export class Selection {
  constructor() {
    /** @type {Set<string>} */
    this.ids = new Set();
    this.anchor = ""; // where a range begins
    this.cursor = ""; // where the arrow keys are
  }

  /** @param {Iterable<string>} ids */
  set(ids) {
    this.ids = new Set(ids);
  }

  /**
   * Forget what is not shown any more.
   * @param {string[]} shown ids of the rows, in order
   */
  keep(shown) {
    this.ids = new Set(shown.filter((id) => this.ids.has(id)));
  }

  /**
   * A click on a row: alone it selects this one (or nothing, where it was the only one), with `toggles` it changes this one,
   * with `extends` it selects all from where the last click was.
   * @param {string} id
   * @param {string[]} shown
   * @param {{extend?: boolean, toggle?: boolean}} keys
   */
  click(id, shown, { extend = false, toggle = false } = {}) {
    if (extend && this.anchor) return this.set(between(shown, this.anchor, id));
    if (toggle) this.toggle(id);
    else this.set(this.ids.size === 1 && this.ids.has(id) ? [] : [id]);
    this.anchor = this.cursor = id;
  }

  /** @param {string} id */
  toggle(id) {
    if (!this.ids.delete(id)) this.ids.add(id);
  }

  /** The space bar: the row where the arrow keys are is selected too, or not any more. */
  space() {
    if (this.cursor) this.toggle(this.cursor);
  }

  /** @param {string[]} shown */
  invert(shown) {
    this.set(shown.filter((id) => !this.ids.has(id)));
  }

  /**
   * An arrow key; returns the row that must be seen now, or "".
   * @param {number} step 1 or -1
   * @param {string[]} shown
   * @param {boolean} extend
   */
  arrow(step, shown, extend) {
    const at = shown.indexOf(this.cursor || this.anchor);
    const next = shown[Math.min(shown.length - 1, Math.max(0, at + step))];
    if (!next) return "";
    this.cursor = next;
    if (extend && this.anchor) this.set(between(shown, this.anchor, next));
    else {
      this.anchor = next;
      this.set([next]);
    }
    return next;
  }
}

/**
 * The ids from one to another, both included, in the order in which they are shown.
 * @param {string[]} shown
 * @param {string} first
 * @param {string} last
 */
function between(shown, first, last) {
  const [from, to] = [shown.indexOf(first), shown.indexOf(last)].sort((a, b) => a - b);
  return shown.slice(Math.max(0, from), to + 1);
}
