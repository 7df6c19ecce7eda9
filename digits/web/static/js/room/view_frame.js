// @ts-check
// What a view or a plugin makes of a test, in a frame of the page instead of a tab of the browser.

import { find } from "../parts/elements.js";

const NAME = "room-view"; // pages that are shown in it leave out what stands around them
const LEAST = 240, MOST = 0.85; // pixels; share of the window's height

/** @param {HTMLFormElement} form */
export function showViewsInPage(form) {
  const place = find("[data-view-frame]");
  const frame = find("iframe", place, HTMLIFrameElement);
  let last = /** @type {HTMLElement | null} */ (null);
  form.target = NAME;
  const fit = () => {
    const content = frame.contentDocument?.documentElement;
    if (!content) return;
    const most = Math.round(innerHeight * MOST);
    frame.style.height = `${Math.max(LEAST, Math.min(most, content.scrollHeight + 4))}px`;
  };
  form.addEventListener("submit", ({ submitter }) => {
    if (!(submitter instanceof HTMLElement) || submitter.hasAttribute("formtarget") || form.target !== NAME) return;
    last = submitter;
    place.hidden = false;
    place.classList.add("busy");
    place.scrollIntoView({ block: "nearest", behavior: "smooth" });
  });
  const growing = new ResizeObserver(fit);
  frame.addEventListener("load", () => {
    place.classList.remove("busy");
    fit();
    growing.disconnect();
    if (frame.contentDocument?.body) growing.observe(frame.contentDocument.body);
    place.scrollIntoView({ block: "nearest", behavior: "smooth" });
  });
  find("[data-view-close]", place).addEventListener("click", () => (place.hidden = true));
  find("[data-view-tab]", place).addEventListener("click", () => {
    if (!last) return;
    form.target = "_blank";
    form.requestSubmit(last);
    setTimeout(() => (form.target = NAME), 0);
  });
}
