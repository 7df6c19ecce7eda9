// A few training pictures as the augmentation of the form would change them; masks and boxes move along.

import { drawBoxes, MapLayers } from "./film_draw.js";
import { el, request, root } from "./ui.js";

const WAIT_MS = 500;

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
  const cards = await Promise.all(found.samples.map(async (sample) => {
    const [before, after] = await Promise.all([sample.before, sample.after].map((moment) => drawn(moment, sample, found)));
    return el("figure", { class: "film-card" }, el("div", { class: "film-pair" }, ...before, ...after), el("figcaption", {}, el("span", { class: "film-key" }, sample.key), el("span", {}, sample.label)));
  }));
  place.dataset.kind = "pairs";
  place.replaceChildren(...cards);
}

async function drawn(moment, sample, found) {
  if (found.kind === "map" && moment.truth) {
    const canvas = el("canvas", { role: "img", "aria-label": `${sample.key} with its mask` });
    const layers = new MapLayers(canvas, found.colours);
    await layers.load(moment.input, moment.truth, sample.size);
    layers.paint({ opacity: 0, prediction: false, truth: true });
    return [canvas];
  }
  const image = el("img", { src: moment.input, alt: sample.key });
  await image.decode();
  image.classList.toggle("pixelated", image.naturalWidth < 160);
  if (found.kind === "boxes") {
    const canvas = el("canvas", { role: "img", "aria-label": `${sample.key} with its boxes` });
    drawBoxes(canvas, image, { size: sample.size, truth: moment.boxes }, [], found, { score: 0, truth: true, prediction: false, opacity: 1 });
    return [canvas];
  }
  return found.kind === "pictures" && moment.truth ? [image, el("img", { src: moment.truth, alt: `Target of ${sample.key}` })] : [image];
}
