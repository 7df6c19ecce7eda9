// @ts-check
// What an evaluation tells beyond its metrics: curves with a threshold that can be chosen and kept, calibration, residuals.

import {
  bestPlace,
  drawCurve,
  drawHistogram,
  drawReliability,
  drawResiduals,
  effectOf,
  placeOf,
} from "../charts/evaluation_charts.js";
import { drawAlways } from "../charts/theme_plot.js";
import { toast } from "../parts/dialogs.js";
import { all, find, pageData, perhaps } from "../parts/elements.js";
import { measured, number, percent } from "../parts/format.js";
import { below, request } from "../parts/request.js";

/** @typedef {import("../charts/evaluation_charts.js").Curve & {is_all?: boolean}} Curve */

class Chooser {
  /**
   * @param {HTMLElement} box
   * @param {Curve[]} curves
   * @param {Record<string, any>} kept thresholds of the model by label
   */
  constructor(box, curves, kept) {
    Object.assign(this, { box, curves, kept });
    this.box = box;
    this.curves = curves;
    this.kept = kept;
    this.kind = /** @type {"pr" | "roc"} */ ("pr");
    this.list = find("[data-curve-class]", box, HTMLSelectElement);
    this.slider = find("[data-threshold]", box, HTMLInputElement);
    this.keep = perhaps("[data-keep]", box, HTMLButtonElement);
    this.forget = perhaps("[data-forget]", box, HTMLButtonElement);
    this.chosen = 0;
    this.at = 0;
    this.list.addEventListener("change", () => this.show(Number(this.list.value)));
    this.slider.addEventListener("input", () => this.move(this.curve.points.length - 1 - Number(this.slider.value)));
    for (const button of all("[data-curve]", box, HTMLButtonElement)) {
      button.addEventListener("click", () => {
        this.kind = /** @type {"pr" | "roc"} */ (button.dataset.curve);
        for (const each of all("[data-curve]", box)) {
          each.classList.toggle("active", each === button);
          each.setAttribute("aria-pressed", String(each === button));
        }
        this.draw();
      });
    }
    this.keep?.addEventListener("click", () => this.store(this.curve.points[this.at][0] ?? 1));
    this.forget?.addEventListener("click", () => this.store(null));
    this.show(0);
    drawAlways(() => this.draw());
  }

  get curve() {
    return this.curves[this.chosen];
  }

  get label() {
    return this.curve.is_all ? "" : this.curve.label;
  }

  /** @param {number} chosen a class, at its kept threshold, else at that with the best F1 */
  show(chosen) {
    this.chosen = chosen;
    const kept = this.kept[this.label];
    this.slider.max = String(this.curve.points.length - 1);
    this.move(kept ? placeOf(this.curve, kept.threshold) : bestPlace(this.curve));
  }

  /** @param {number} at */
  move(at) {
    this.at = at;
    this.slider.value = String(this.curve.points.length - 1 - at);
    const found = effectOf(this.curve, at);
    const words = found.threshold === null ? "above all scores" : measured(found.threshold);
    this.slider.setAttribute("aria-valuetext", words);
    const texts = {
      threshold: words,
      precision: percent(found.precision, 2),
      recall: percent(found.recall, 2),
      f1: percent(found.f1, 2),
      right: number(found.right),
      wrong: number(found.wrong),
      missed: number(found.missed),
      ap: percent(this.curve.ap, 2),
      auc: percent(this.curve.auc, 2),
    };
    for (const [name, text] of Object.entries(texts)) {
      const place = perhaps(`[data-effect=${name}]`, this.box);
      if (place) place.textContent = text;
    }
    const kept = this.kept[this.label];
    find("[data-kept]", this.box).textContent = kept
      ? `Kept with the model: ${measured(kept.threshold)} (precision ${percent(kept.precision)}, recall ${percent(kept.recall)}).`
      : "None is kept with the model for this class.";
    if (this.forget) this.forget.hidden = !kept;
    this.draw();
  }

  draw() {
    const chart = find("[data-curve-chart]", this.box);
    drawCurve(chart, this.curves, this.chosen, this.kind, this.at, (place) => this.move(place));
  }

  /** @param {number | null} threshold */
  async store(threshold) {
    try {
      const data = { label: this.label, threshold: threshold ?? "" };
      const found = await request(below(this.box.dataset.address ?? ""), { method: "POST", data });
      this.kept = found.thresholds;
      this.move(this.at);
      toast(threshold === null ? "The threshold is forgotten." : "The threshold is kept with the model.", "success");
    } catch (error) {
      toast(/** @type {Error} */ (error).message, "error");
    }
  }
}

/**
 * A list of things of which one is drawn.
 * @param {string} name of the box
 * @param {(box: HTMLElement, chosen: string) => void} draw
 */
function choosing(name, draw) {
  const box = perhaps(`[data-${name}]`);
  if (!box) return;
  const list = perhaps("select", box, HTMLSelectElement);
  const now = () => draw(box, list?.value ?? "0");
  list?.addEventListener("change", now);
  drawAlways(now);
}

/** @param {any} analysis */
function start(analysis) {
  const curves = perhaps("[data-curves]");
  if (curves) new Chooser(curves, analysis.curves.classes, pageData("thresholds-data"));
  choosing("reliability", (box) => {
    const { before, after } = analysis.calibration;
    drawReliability(find("[data-chart]", box), before, after, box.dataset.reliability ?? "");
  });
  choosing("residuals", (box, chosen) => {
    const column = analysis.residuals.columns[Number(chosen)];
    const open = (/** @type {number} */ row) => document.dispatchEvent(new CustomEvent("picture", { detail: row }));
    drawResiduals(find("[data-chart]", box), column, open);
    drawHistogram(find("[data-histogram]", box), column.distribution, "predicted − true");
    for (const place of all("[data-number]", box)) place.textContent = measured(column[place.dataset.number ?? ""], 5);
  });
  choosing("distributions", (box, chosen) => {
    const title = perhaps("option:checked", box)?.textContent ?? "";
    drawHistogram(find("[data-chart]", box), analysis.distributions[chosen], title);
  });
}

if (perhaps("#analysis-data")) start(pageData("analysis-data"));
