// @ts-check
// What every page has: colours, menu, relative times, copying, and path fields.

import { copyText } from "./parts/dialogs.js";
import { all, find, perhaps } from "./parts/elements.js";
import { agoText } from "./parts/format.js";
import { watchNotifications } from "./parts/notifications.js";
import { restoreButtons, showKept } from "./parts/undo.js";

const TIMES_MS = 15000;

/** @param {string} value "light", "dark" or "auto" */
function applyTheme(value) {
  const dark = value === "dark" || (value === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
  document.documentElement.dataset.theme = value;
  for (const button of all("[data-theme-value]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeValue === value));
  }
  document.dispatchEvent(new CustomEvent("digits:theme", { detail: { dark } }));
}

function themeSwitch() {
  const stored = () => localStorage.getItem("digits-theme") || "auto";
  for (const button of all("[data-theme-value]")) {
    button.addEventListener("click", () => {
      const value = button.dataset.themeValue ?? "auto";
      localStorage.setItem("digits-theme", value);
      applyTheme(value);
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => applyTheme(stored()));
  addEventListener("storage", (event) => event.key === "digits-theme" && applyTheme(stored()));
  applyTheme(stored());
}

function menu() {
  const rail = find("#rail");
  const toggle = find(".rail-toggle");
  const show = (/** @type {boolean} */ open) => {
    rail.classList.toggle("open", open);
    toggle.setAttribute("aria-expanded", String(open));
  };
  toggle.addEventListener("click", () => show(!rail.classList.contains("open")));
  document.addEventListener("click", ({ target }) => {
    if (target instanceof Node && !rail.contains(target) && !toggle.contains(target)) show(false);
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && show(false));
}

function refreshTimes() {
  for (const time of all("time[data-ago]", document, HTMLTimeElement)) {
    time.textContent = agoText((Date.now() - Date.parse(time.dateTime)) / 1000);
  }
}

function copying() {
  document.addEventListener("click", ({ target }) => {
    const button = target instanceof Element && target.closest("[data-copy]");
    if (button instanceof HTMLElement) copyText(button.dataset.copy ?? "", "Copied.");
  });
}

/** @param {ParentNode} scope */
async function pathFields(scope) {
  if (scope.querySelector("[data-path-field], [data-upload-page]")) {
    const { attachAll } = await import("./parts/paths.js");
    attachAll(scope);
  }
}

function keys() {
  const palette = async () => (await import("./parts/palette.js")).openPalette();
  perhaps("[data-palette]")?.addEventListener("click", palette);
  document.addEventListener("keydown", async (event) => {
    const isOpen = document.querySelector("dialog[open]") !== null; // now, not when the code of another one is there
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      event.preventDefault();
      if (!isOpen) await palette();
    } else if (isOpen) return;
    else if (!event.ctrlKey && !event.metaKey && !event.altKey && !event.defaultPrevented && !isTyping(event.target)) {
      const search = all("main input[type=search]").find((field) => field.offsetParent);
      if (event.key === "/" && search) {
        event.preventDefault();
        search.focus();
      } else if (event.key === "?") (await import("./parts/palette.js")).openHelp();
    }
  });
}

/** @param {EventTarget | null} target */
const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));

themeSwitch();
menu();
keys();
copying();
refreshTimes();
setInterval(refreshTimes, TIMES_MS);
pathFields(document);
restoreButtons();
showKept();
watchNotifications();
// parts that a page fetched later
document.addEventListener("digits:content", (event) => pathFields(/** @type {CustomEvent} */ (event).detail));
