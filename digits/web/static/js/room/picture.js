// @ts-check
// The picture that is asked about: dropped, pasted, chosen, photographed, a sample of the data set, or one of the server.

import { toast } from "../parts/dialogs.js";
import { all, find, perhaps } from "../parts/elements.js";
import { droppedFiles, sendAll, takeDrops, uploadProgress } from "../parts/uploads.js";
import { photograph } from "./camera.js";

/** @typedef {import("../parts/uploads.js").Chosen} Chosen */

const SMALL = 96; // pixels of a side; smaller pictures are not smoothed
const MOST_AT_ONCE = 24; // pictures that are asked about one after the other; more are a job
const ARCHIVE = /\.(zip|tar|tgz|tar\.(gz|bz2|xz))$/i;
const PICTURE = /\.(png|jpe?g|gif|webp|bmp|tiff?|npy|pgm|ppm)$/i;
const VIDEO = /\.(mp4|m4v|mov|avi|mkv|webm|mpe?g|ogv|flv|wmv|asf)$/i;
const ADDRESS = /^https?:\/\/\S+$/i;

/** @param {File} file */
const isPicture = ({ type, name }) => type.startsWith("image/") || PICTURE.test(name);

/** @param {File} file */
const isVideo = ({ type, name }) => type.startsWith("video/") || VIDEO.test(name);

/** @param {File} file what a field for files holds then */
function listOf(file) {
  const list = new DataTransfer();
  list.items.add(file);
  return list.files;
}

export class PictureChoice {
  /**
   * @param {HTMLFormElement} form
   * @param {HTMLElement} one
   * @param {(signal: AbortSignal | null) => Promise<void>} ask about what is chosen now
   */
  constructor(form, one, ask) {
    this.form = form;
    this.one = one;
    this.ask = ask;
    this.file = find("#image_file", one, HTMLInputElement);
    this.path = find("#image_path", one, HTMLInputElement);
    this.record = perhaps("[data-record-field]", one, HTMLInputElement);
    this.preview = find("[data-preview]", one, HTMLImageElement);
    this.hint = find("[data-drop-hint]", one);
    this.series = /** @type {AbortController | null} */ (null);
    this.shown = ""; // address of a file that this page holds
    this.file.addEventListener("change", () => this.chooseFile());
    this.path.addEventListener("change", () => this.choosePath());
    for (const button of all("[data-record]", one)) {
      button.addEventListener("click", () => this.chooseRecord(button.dataset.record ?? ""));
    }
    takeDrops(find("[data-dropzone]", one), (transfer) => this.drop(transfer));
    this.preview.addEventListener("load", () => {
      this.preview.classList.toggle("small", Math.max(this.preview.naturalWidth, this.preview.naturalHeight) < SMALL);
    });
    this.preview.addEventListener("error", () => this.showPicture(""));
    document.addEventListener("paste", (event) => this.paste(event));
    find("[data-camera]", one).addEventListener("click", () => this.photograph());
    find("[data-to-many]", one).addEventListener("click", (event) => {
      event.preventDefault();
      this.openMany();
    });
  }

  get isChosen() {
    return Boolean(this.file.files?.length || this.path.value.trim() || this.record?.value);
  }

  /**
   * Only one way to choose a picture counts.
   * @param {HTMLInputElement | null} kept
   */
  clearOthers(kept) {
    this.series?.abort();
    this.series = null;
    find("[data-many-progress]", this.one).textContent = "";
    for (const input of [this.file, this.path, this.record]) if (input && input !== kept) input.value = "";
    for (const button of all("[data-record][aria-pressed='true']", this.one)) button.setAttribute("aria-pressed", "false");
  }

  /** @param {string} address of the picture, "" where the browser cannot show it */
  showPicture(address) {
    if (this.shown) URL.revokeObjectURL(this.shown);
    this.shown = address.startsWith("blob:") ? address : "";
    this.preview.hidden = !address;
    this.hint.hidden = Boolean(address);
    if (address) this.preview.src = address;
    else this.preview.removeAttribute("src");
  }

  chooseFile() {
    if (!this.file.files?.length) return;
    const files = [...this.file.files], [file] = files;
    if (files.length > 1 || isVideo(file) || ARCHIVE.test(file.name)) {
      this.file.value = "";
      return this.take(files.map((file) => ({ file, path: file.name })));
    }
    this.clearOthers(this.file);
    this.showPicture(URL.createObjectURL(file));
    this.ask(null);
  }

  choosePath() {
    if (!this.path.value.trim()) return;
    this.clearOthers(this.path);
    this.showPicture("");
    this.ask(null);
  }

  /** @param {string} name such as val:17 */
  chooseRecord(name) {
    this.setRecord(name);
    this.ask(null);
  }

  /** @param {string} name */
  setRecord(name) {
    if (!this.record) return;
    const [split, index] = name.split(":");
    this.clearOthers(this.record);
    this.record.value = name;
    for (const button of all("[data-record]", this.one)) {
      if (button.dataset.record === name) button.setAttribute("aria-pressed", "true");
    }
    this.showPicture(`${this.form.dataset.samples}?db=${split}&index=${index}&size=full`);
  }

  /** @param {string} path */
  setPath(path) {
    this.clearOthers(this.path);
    this.path.value = path;
    this.showPicture("");
  }

  /** @param {File} file */
  setFile(file) {
    this.clearOthers(this.file);
    this.file.files = listOf(file);
    this.showPicture(URL.createObjectURL(file));
  }

  /** @param {File} file whose frames a job answers */
  setVideo(file) {
    this.empty("image_list", "image_folder", "video");
    find("#video_file", this.form, HTMLInputElement).files = listOf(file);
    this.openMany("video_file");
  }

  /** @param {DataTransfer} transfer */
  async drop(transfer) {
    const address = transfer.getData("text/uri-list").split("\n").find((line) => line && !line.startsWith("#")) ?? "";
    const files = await droppedFiles(transfer);
    if (files.length) await this.take(files);
    else if (address) this.takeAddress(address.trim());
  }

  /** @param {ClipboardEvent} event */
  paste({ target, clipboardData }) {
    const isTyping = target instanceof Element && target.matches("input:not([type=checkbox]), textarea, select");
    if (!this.one.offsetParent || isTyping || !clipboardData) return;
    const files = [...clipboardData.files].map((file) => ({ file, path: file.name }));
    const text = clipboardData.getData("text/plain").trim();
    if (files.length) this.take(files);
    else if (ADDRESS.test(text)) this.takeAddress(text);
  }

  /** @param {string} address of a picture somewhere else */
  takeAddress(address) {
    if (this.form.dataset.allowUrls === undefined) {
      toast("This server fetches no addresses (setting allow_urls). Save the picture and drop the file.", "error");
      return;
    }
    this.setPath(address);
    this.ask(null);
  }

  /** @param {Chosen[]} files */
  async take(files) {
    const isMany = files.some(({ file, path }) => path.includes("/") || ARCHIVE.test(file.name)) || files.length > MOST_AT_ONCE;
    if (isMany) return this.upload(files);
    const dropped = files.map(({ file }) => file);
    const pictures = dropped.filter(isPicture), video = pictures.length ? undefined : dropped.find(isVideo);
    const taken = video ? [video] : pictures;
    const left = dropped.filter((file) => !taken.includes(file)).map(({ name }) => name);
    if (!taken.length) {
      return toast(left.length > 1 ? `None of these is a picture: ${left.join(", ")}.` : `${left} is no picture.`, "error");
    }
    if (left.length) {
      toast(`Not taken: ${left.join(", ")}. ${video ? "A job has one video." : "Only pictures are answered at once."}`, "error");
    }
    if (video) return this.setVideo(video);
    if (pictures.length === 1) {
      this.setFile(pictures[0]);
      return this.ask(null);
    }
    await this.askEach(pictures);
  }

  /**
   * Ask about one picture after the other.
   * @param {File[]} pictures
   */
  async askEach(pictures) {
    const series = new AbortController();
    const place = find("[data-many-progress]", this.one);
    for (const [number, picture] of pictures.entries()) {
      this.series = null;
      this.setFile(picture);
      this.series = series; // which choosing another one ends
      place.textContent = `${number + 1} of ${pictures.length}: ${picture.name}`;
      await this.ask(series.signal);
      if (series.signal.aborted) break;
    }
    place.textContent = series.signal.aborted ? "" : `${pictures.length} pictures: their answers stand below the last one.`;
    if (this.series === series) this.series = null;
  }

  /** @param {string[]} fields of a job that excludes another */
  empty(...fields) {
    for (const field of fields) find(`#${field}`, this.form, HTMLInputElement).value = "";
  }

  /** @param {string} field that is filled in there */
  openMany(field = "image_folder") {
    document.getElementById("try-tab-many")?.click();
    document.getElementById(field)?.focus();
  }

  /**
   * A folder, an archive or many pictures: to the server, for a job with all of them.
   * @param {Chosen[]} files
   */
  async upload(files) {
    const place = find("[data-many-progress]", this.one);
    try {
      const { path, files: count } = await sendAll(files, uploadProgress(place));
      this.empty("video", "video_file");
      find("#image_folder", this.form, HTMLInputElement).value = path;
      this.openMany();
      toast(`${count} files are on the server; start the job.`, "success");
    } catch (error) {
      toast(/** @type {Error} */ (error).message, "error");
    }
    place.replaceChildren();
  }

  async photograph() {
    const file = await photograph();
    if (!file) return;
    this.setFile(file);
    this.ask(null);
  }
}
