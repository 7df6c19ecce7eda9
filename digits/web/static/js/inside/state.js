// @ts-check
// What is looked at: the address of the page holds it, so that a reload, the back button and somebody else see the same.

import { el, find } from "../parts/elements.js";
import { request } from "../parts/request.js";

/** @typedef {{job: string, epoch: string}} Side a model and a snapshot */

const root = find("[data-inside]");
export const job = root.dataset.job ?? "";
export const dataset = root.dataset.dataset ?? ""; // whose pictures are offered; records mean them
export const isOwn = dataset === root.dataset.ownDataset;
const PICTURE = ["record", "image_path"];

export class State {
  constructor() {
    this.values = new URLSearchParams(location.search);
    /** @type {File | null} a picture that could not be kept on the server, so that no address names it */
    this.file = null;
  }

  /** @param {string} name */
  get(name) {
    return this.values.get(name) ?? "";
  }

  /**
   * Change some of it and write the address; what is empty is left out.
   * @param {Record<string, string>} changes
   * @param {boolean} [step] whether the back button leads to what was before
   */
  set(changes, step = false) {
    for (const [name, value] of Object.entries(changes)) {
      if (value) this.values.set(name, value);
      else this.values.delete(name);
    }
    const query = this.values.toString();
    history[step ? "pushState" : "replaceState"](null, "", `${location.pathname}${query ? `?${query}` : ""}`);
  }

  hasPicture() {
    return this.file !== null || PICTURE.some((name) => this.get(name));
  }

  /** The two sides, or the one. */
  sides() {
    const sides = [{ job, epoch: this.get("snapshot_epoch") }];
    const [first, epoch] = this.get("with").split("@");
    if (!first) return sides;
    const isModel = /^\d{8}-\d{6}-[0-9a-f]+$/.test(first);
    return [...sides, isModel ? { job: first, epoch: epoch ?? "" } : { job, epoch: first }];
  }

  /**
   * What a route below a model answers for the chosen picture.
   * @param {Side} side
   * @param {string} path below the model, e.g. inside/layer.json
   * @param {Record<string, string>} options
   * @param {AbortSignal} [signal]
   */
  answer(side, path, options, signal) {
    const address = this.address(side, path, options);
    if (!this.file) return request(address, { signal });
    const body = new FormData();
    body.set("image_file", this.file);
    return request(address, { method: "POST", body, signal });
  }

  /**
   * The address of a route below a model, for the chosen picture.
   * @param {Side} side
   * @param {string} path
   * @param {Record<string, string>} options
   */
  address(side, path, options) {
    const query = new URLSearchParams();
    const picture = Object.fromEntries(PICTURE.map((name) => [name, this.get(name)]));
    const named = { snapshot_epoch: side.epoch, ...options, ...picture, dataset: picture.record && dataset };
    for (const [name, value] of Object.entries(named)) if (value) query.set(name, value);
    return `/models/${side.job}/${path}?${query}`;
  }
}

/**
 * What a side is, above it: the network and its epoch, before them the model where it is another one.
 * @param {Side} side
 * @param {{network: string, snapshot_epoch: number}} [found]
 */
export function sideTitle(side, found) {
  const options = find("[data-with]", root, HTMLSelectElement).options;
  const name = [...options].find(({ value }) => value.split("@")[0] === side.job)?.text ?? `Model ${side.job}`;
  const what = found ? `${found.network || "Network"}, epoch ${found.snapshot_epoch}` : side.epoch && `epoch ${side.epoch}`;
  return el("p", { class: "muted mb-1" }, [side.job === job ? "" : name, what].filter(Boolean).join(": "));
}

/**
 * What stands in the place of a side that could not be shown.
 * @param {Side} side
 * @param {unknown} error
 */
export const failed = (side, error) =>
  el(
    "div",
    { class: "side" },
    sideTitle(side),
    el("div", { class: "alert alert-danger", role: "alert" }, /** @type {Error} */ (error).message),
  );

/**
 * Keep an uploaded picture on the server; its path.
 * @param {File} file
 */
export async function keepPicture(file) {
  const body = new FormData();
  body.set("files", file);
  const upload = await request("/uploads.json", { method: "POST", body });
  const found = await request(`/browse.json?path=${encodeURIComponent(upload.path)}`);
  const entry = found.entries.find((/** @type {{folder: boolean}} */ one) => !one.folder);
  return String(entry ? entry.path : upload.path);
}

const LONGEST = 8; // times the other side; what is longer is drawn without its aspect ratio

/**
 * The classes of a drawing of so many pixels that would be a hairline.
 * @param {number} width
 * @param {number} height
 */
export const stretched = (width, height) => width > LONGEST * height ? ["flat"] : height > LONGEST * width ? ["tall"] : [];
