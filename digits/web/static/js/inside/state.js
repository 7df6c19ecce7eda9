// @ts-check
// What is looked at: the address of the page holds it, so that a reload, the back button and somebody else see the same.

import { find } from "../parts/elements.js";
import { request } from "../parts/request.js";

/** @typedef {{job: string, epoch: string, ownData: boolean}} Side a model and a snapshot; whether records mean the same pictures */

const root = find("[data-inside]");
export const job = root.dataset.job ?? "";
const pictures = root.dataset.picture ?? "";
const PICTURE = ["record", "image_path"];

export class State {
  constructor() {
    this.values = new URLSearchParams(location.search);
    /** @type {Map<string, Promise<string>>} data sets of other models */
    this.datasets = new Map();
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
    return PICTURE.some((name) => this.get(name));
  }

  /** The two sides, or the one. */
  async sides() {
    const sides = [{ job, epoch: this.get("snapshot_epoch"), ownData: true }];
    const [first, epoch] = this.get("with").split("@");
    if (!first) return sides;
    const other = /^\d{8}-\d{6}-[0-9a-f]+$/.test(first) ? first : "";
    if (!other) return [...sides, { job, epoch: first, ownData: true }];
    const same = await this.datasetOf(other) === await this.datasetOf(job);
    return [...sides, { job: other, epoch: epoch ?? "", ownData: same }];
  }

  /** @param {string} id of a model */
  datasetOf(id) {
    const known = this.datasets.get(id) ?? request(`/models/${id}.json`).then((found) => String(found.dataset_id));
    this.datasets.set(id, known);
    return known;
  }

  /**
   * What a route below a model answers for the chosen picture.
   * @param {Side} side
   * @param {string} path below the model, e.g. inside/layer.json
   * @param {Record<string, string>} options
   * @param {AbortSignal} [signal]
   */
  async answer(side, path, options, signal) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ snapshot_epoch: side.epoch, ...options })) if (value) query.set(name, value);
    const record = this.get("record");
    for (const name of PICTURE) if (this.get(name) && (name !== "record" || side.ownData)) query.set(name, this.get(name));
    const address = `/models/${side.job}/${path}`;
    if (!record || side.ownData) return request(`${address}?${query}`, { signal });
    const body = new FormData();
    const [split, index] = record.split(":");
    const picture = await fetch(`${pictures}?db=${split}&index=${index}&size=full`, { credentials: "same-origin" });
    body.set("image_file", await picture.blob(), "picture.png");
    for (const [name, value] of query) body.set(name, value);
    return request(address, { method: "POST", body, signal });
  }

  /**
   * The address of a file of a route below a model.
   * @param {Side} side
   * @param {string} path
   * @param {Record<string, string>} options
   */
  address(side, path, options) {
    const query = new URLSearchParams({ ...options, snapshot_epoch: side.epoch });
    for (const name of PICTURE) if (this.get(name)) query.set(name, this.get(name));
    return `/models/${side.job}/${path}?${query}`;
  }
}

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
