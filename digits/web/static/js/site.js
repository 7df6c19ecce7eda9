// What every page has: colours, menu, relative times, copying, and path fields.

import { agoText, toast } from "./parts/ui.js";

function applyTheme(value) {
  const dark = value === "dark" || (value === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
  document.documentElement.dataset.theme = value;
  for (const button of document.querySelectorAll("[data-theme-value]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeValue === value));
  }
  document.dispatchEvent(new CustomEvent("digits:theme", { detail: { dark } }));
}

function themeSwitch() {
  const stored = () => localStorage.getItem("digits-theme") || "auto";
  for (const button of document.querySelectorAll("[data-theme-value]")) {
    button.addEventListener("click", () => {
      localStorage.setItem("digits-theme", button.dataset.themeValue);
      applyTheme(button.dataset.themeValue);
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => applyTheme(stored()));
  addEventListener("storage", (event) => event.key === "digits-theme" && applyTheme(stored()));
  applyTheme(stored());
}

function menu() {
  const rail = document.getElementById("rail");
  const toggle = document.querySelector(".rail-toggle");
  const show = (open) => {
    rail.classList.toggle("open", open);
    toggle.setAttribute("aria-expanded", String(open));
  };
  toggle.addEventListener("click", () => show(!rail.classList.contains("open")));
  document.addEventListener("click", (event) => {
    if (!rail.contains(event.target) && !toggle.contains(event.target)) show(false);
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && show(false));
}

function refreshTimes(root = document) {
  for (const time of root.querySelectorAll("time[data-ago]")) {
    time.textContent = agoText((Date.now() - Date.parse(time.dateTime)) / 1000);
  }
}

function copying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      toast("Copied.", "success");
    } catch {
      toast("The browser does not allow copying here; select the text instead.", "error");
    }
  });
}

async function pathFields(root) {
  if (root.querySelector("[data-path-field], [data-upload-page]")) {
    const { attachAll } = await import("./parts/paths.js");
    attachAll(root);
  }
}

themeSwitch();
menu();
copying();
refreshTimes();
setInterval(() => refreshTimes(), 15000);
pathFields(document);
document.addEventListener("digits:content", (event) => pathFields(event.detail)); // parts that a page fetched later
