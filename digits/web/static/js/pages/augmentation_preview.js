// A few training pictures as the augmentation of the form would change them; masks and boxes move along.

import { CARDS } from "../overlay/film_cards.js";
import { Stage } from "../overlay/stage.js";
import { el, request, root } from "../parts/ui.js";

const WAIT_MS = 500;
const TRUTH_ONLY = { truth: true, prediction: false, opacity: 1, score: 0, hidden: new Set() };

/** Wires the preview below the augmentation's fields of `form`. */
export function attachPreview(form) {
  const box = form.querySelector("[data-augmentation]");
  if (!box) return;
  const part = (name) => box.querySelector(`[data-${name}]`);
  let draw = 0, timer = 0, running = null, shown = false;

  const load = async () => {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    const fields = [...new FormData(form)].filter(([name]) => name === "dataset" || name === "crop_size" || name.startsWith("aug_"));
    if (!fields.some(([name, value]) => name === "dataset" && value)) { part("preview-state").textContent = "Choose a data set first."; return; }
    part("preview-state").textContent = "Drawing …";
    try {
      const found = await request(box.dataset.augmentation.slice(root.length), { method: "POST", data: { ...Object.fromEntries(fields), draw }, signal });
      await show(part("preview-cards"), found);
      part("preview-state").textContent = found.kind === "map" || found.kind === "boxes" ? "Left as it is, right augmented; the outlines are the ground truth." : "Left as it is, right augmented.";
      part("redraw").hidden = false;
      shown = true;
    } catch (error) {
      if (error.name !== "AbortError") part("preview-state").textContent = error.message;
    }
  };
  part("preview").addEventListener("click", load);
  part("redraw").addEventListener("click", () => { draw += 1; load(); });
  form.addEventListener("input", ({ target }) => {
    if (!shown || !(target.name === "dataset" || target.name === "crop_size" || target.name?.startsWith("aug_"))) return;
    clearTimeout(timer);
    timer = setTimeout(load, WAIT_MS);
  });
}

async function show(place, found) {
  const stage = new Stage(() => TRUTH_ONLY);
  const drawn = [];
  const cards = found.samples.map((sample) => {
    const pair = [sample.before, sample.after].flatMap((moment) => pictures(moment, sample, found, drawn));
    return el("figure", { class: "film-card" }, el("div", { class: "film-pair" }, ...pair), el("figcaption", {}, el("span", { class: "film-key" }, sample.key), el("span", {}, sample.label)));
  });
  place.dataset.kind = "pairs";
  place.replaceChildren(...cards);
  await Promise.all(drawn.map((card) => stage.add(card)));
}

/** A sample at one moment: with its mask or boxes on a canvas, which is put on `drawn`, else as pictures. */
function pictures(moment, sample, found, drawn) {
  const truth = found.kind === "boxes" ? moment.boxes : moment.truth;
  if (["map", "boxes"].includes(found.kind) && truth) {
    const card = new CARDS[found.kind]({ key: sample.key, input: moment.input, truth, size: sample.size }, found);
    drawn.push(card);
    return [card.canvas];
  }
  const image = el("img", { src: moment.input, alt: sample.key });
  image.addEventListener("load", () => image.classList.toggle("pixelated", image.naturalWidth < 160));
  return found.kind === "pictures" && moment.truth ? [image, el("img", { src: moment.truth, alt: `Target of ${sample.key}` })] : [image];
}
