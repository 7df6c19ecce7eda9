// @ts-check
// A photo of the camera. Browsers give it to pages of https or of localhost only; a phone can take a photo into a file all the same.

import { addButtons, openDialog } from "../parts/dialogs.js";
import { el, icon } from "../parts/elements.js";

/** @type {Record<string, string>} */
const REFUSED = {
  NotAllowedError: "The camera was not allowed. Allow it in the browser's settings of this page, and try again.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera is used by another program.",
  OverconstrainedError: "No camera was found.",
};
const INSECURE = "Browsers give pages a camera only over https, or on localhost. This page was opened as ";

/**
 * Asks for a photo; resolves to a file, or null.
 * @returns {Promise<File | null>}
 */
export function photograph() {
  const video = el("video", { class: "camera", autoplay: true, playsinline: true, muted: true, hidden: true });
  video.muted = true;
  const message = el("p", { class: "muted", role: "status" }, "Waiting for the camera …");
  const dialog = openDialog("Camera", video, message);
  const file = el("input", { type: "file", accept: "image/*", capture: "environment", hidden: true });
  const choose = el(
    "button",
    { class: "btn btn-outline-primary", type: "button", onclick: () => file.click() },
    "Choose a photo",
  );
  const shoot = el("button", { class: "btn btn-primary", type: "button", disabled: true }, icon("camera"), " Take the picture");
  dialog.append(file);
  addButtons(dialog, "Cancel", choose, shoot);
  let stream = /** @type {MediaStream | null} */ (null);
  return new Promise((resolve) => {
    let taken = /** @type {File | null} */ (null);
    const done = (/** @type {File | null | undefined} */ found) => {
      taken = found ?? null;
      dialog.close();
    };
    dialog.addEventListener("close", () => {
      stream?.getTracks().forEach((track) => track.stop());
      resolve(taken);
    });
    file.addEventListener("change", () => done(file.files?.[0]));
    shoot.addEventListener("click", async () => done(await frameOf(video)));
    open().then((found) => {
      stream = found;
      if (!dialog.isConnected) return found.getTracks().forEach((track) => track.stop());
      video.srcObject = found;
      video.hidden = false;
      message.hidden = true;
      shoot.disabled = false;
      shoot.focus();
    }, (/** @type {Error} */ error) => {
      message.textContent = error.message;
      choose.focus();
    });
  });
}

async function open() {
  if (!navigator.mediaDevices?.getUserMedia) throw new Error(`${INSECURE}${location.origin}.`);
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    throw new Error(REFUSED[name] ?? message);
  }
}

/**
 * What a video shows now, as a PNG.
 * @param {HTMLVideoElement} video
 * @returns {Promise<File | null>}
 */
async function frameOf(video) {
  const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  const blob = await new Promise((/** @type {(found: Blob | null) => void} */ done) => canvas.toBlob(done, "image/png"));
  const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "");
  return blob && new File([blob], `photo-${time}.png`, { type: "image/png" });
}
