// @ts-check
// Where to go by keyboard: a dialog that finds pages, forms, jobs, sections of the documentation and actions of this page.

import { addButtons, openDialog, toast } from "./dialogs.js";
import { all, el, perhaps } from "./elements.js";
import { request, url } from "./request.js";

const WAIT_MS = 150;
const MOST = 8; // of each kind

/** @typedef {{title: string, about: string, go: () => void}} Entry */

/** What the keys do, as the help dialog says it. */
export const SHORTCUTS = [
  ["Ctrl K, ⌘ K", "go to a page, a job or a section of the documentation"],
  ["/", "search in this page"],
  ["?", "show these keys"],
  ["↑ ↓", "move in tables, lists and galleries"],
  ["Space", "select the row"],
  ["Enter", "open"],
  ["Esc", "close a dialog"],
];

/** @param {string} address */
const link = (address) => () => location.assign(address);

/**
 * Entries that need no search: pages, what this page can do, colours, the way out.
 * @returns {Entry[]}
 */
function ofThisPage() {
  const pages = all("#rail nav a", document, HTMLAnchorElement);
  const actions = all("main .job-actions .btn:not(.dropdown-toggle), main .job-actions .dropdown-item").filter((one) =>
    !one.closest("[hidden]") && (one.offsetParent || one.matches(".dropdown-item")) && !one.hasAttribute("disabled")
  );
  const colours = all("[data-theme-value]");
  const out = perhaps("#rail form.who button");
  return [
    ...pages.map((page) => ({ title: page.textContent?.trim() ?? "", about: "page", go: link(page.href) })),
    ...actions.map((button) => ({ title: button.textContent?.trim() ?? "", about: "this page", go: () => button.click() })),
    ...colours.map((button) => ({
      title: `Colours: ${button.title.toLowerCase()}`,
      about: "appearance",
      go: () => button.click(),
    })),
    ...(out ? [{ title: "Log out", about: "session", go: () => out.click() }] : []),
  ].filter((entry) => entry.title);
}

/**
 * Jobs and sections that fit, as the server finds them.
 * @param {string} text
 * @param {AbortSignal} signal
 * @returns {Promise<Entry[]>}
 */
async function found(text, signal) {
  const words = encodeURIComponent(text);
  const [jobs, documentation] = await Promise.all([
    request(`/jobs.json?text=${words}&limit=${MOST}&sort=-created`, { signal }),
    request(`/docs/index.json?q=${words}`, { signal }),
  ]);
  return [
    ...jobs.rows.map((/** @type {any} */ row) => ({
      title: row.name,
      about: `${row.type}, ${row.status.toLowerCase()}`,
      go: link(url(`/jobs/${row.id}`)),
    })),
    ...documentation.sections.slice(0, MOST).map((/** @type {any} */ section) => ({
      title: section.title,
      about: section.page === section.title ? "documentation" : `documentation, ${section.page}`,
      go: link(section.url),
    })),
  ];
}

/**
 * Whether all words occur.
 * @param {Entry} entry
 * @param {string[]} words
 */
const fits = (entry, words) => words.every((word) => `${entry.title} ${entry.about}`.toLowerCase().includes(word));

export function openPalette() {
  if (document.querySelector("dialog[open]")) return;
  const list = el("div", { class: "palette-list", role: "listbox", id: "palette-list", "aria-label": "Results" });
  const input = el("input", {
    class: "form-control",
    type: "text",
    role: "combobox",
    "aria-expanded": "true",
    "aria-controls": "palette-list",
    "aria-label": "Page, job, action or words of the documentation",
    placeholder: "Page, job, action, documentation …",
    autocomplete: "off",
    spellcheck: "false",
  });
  const dialog = openDialog("Go to", input, list);
  dialog.classList.add("palette");
  /** @type {Entry[]} */
  let known = ofThisPage(), entries = known, current = 0;
  /** @type {Entry[]} */
  let more = []; // what the server found for the words of now
  let timer = 0, searching = new AbortController();
  request("/places.json").then(({ places }) => {
    known = [
      ...known,
      ...places.map((/** @type {any} */ place) => ({ title: place.title, about: "form", go: link(place.url) })),
    ];
    show();
  }, () => {}); // the rest is there all the same

  /** What fits the words; the choice stays where it is. */
  function show() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const own = known.filter((entry) => fits(entry, words));
    entries = [...(words.length ? own.slice(0, MOST) : own), ...more];
    mark(current);
  }

  /** @param {number} at */
  function mark(at) {
    current = Math.max(0, Math.min(at, entries.length - 1));
    list.replaceChildren(...entries.map((entry, i) =>
      el(
        "div",
        {
          class: "palette-entry",
          role: "option",
          id: `palette-${i}`,
          "aria-selected": String(i === current),
          onclick: () => go(i),
        },
        el("span", {}, entry.title),
        el("span", { class: "muted" }, entry.about),
      )
    ));
    if (!entries.length) list.append(el("p", { class: "muted m-2" }, "Nothing is called so."));
    input.setAttribute("aria-activedescendant", entries.length ? `palette-${current}` : "");
    list.children[current]?.scrollIntoView({ block: "nearest" });
  }

  /** @param {number} at */
  function go(at) {
    dialog.close();
    entries[at]?.go();
  }

  async function search() {
    searching.abort();
    searching = new AbortController();
    const { signal } = searching;
    const text = input.value.trim();
    if (text.length < 2) return;
    try {
      const now = await found(text, signal);
      if (signal.aborted) return;
      more = now;
      show();
    } catch (error) {
      if (!signal.aborted) toast(`The search failed: ${error instanceof Error ? error.message : error}`, "error");
    }
  }

  input.addEventListener("input", () => {
    searching.abort(); // what it would find is for other words
    more = [];
    current = 0;
    show();
    clearTimeout(timer);
    timer = setTimeout(search, WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    const moves =
      /** @type {Record<string, number>} */ ({ ArrowDown: current + 1, ArrowUp: current - 1, PageDown: current + MOST });
    if (event.key in moves) {
      event.preventDefault();
      mark(moves[event.key]);
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      go(current);
    }
  });
  dialog.addEventListener("close", () => searching.abort());
  show();
  input.focus();
}

export function openHelp() {
  if (document.querySelector("dialog[open]")) return;
  const keys = SHORTCUTS.flatMap(([key, does]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, does)]);
  addButtons(openDialog("Keys", el("dl", { class: "keys" }, ...keys)), "Close");
}
