// @ts-check
// The parts of a page as tabs: the fragment of the address names the tab, or anything inside one, so that links, Back and
// reload lead to it. Without scripts all parts follow each other, and the tabs are links to them.

import { all, find } from "../parts/elements.js";
import { showTab, wireTabs } from "../parts/tabs.js";

const list = find("[data-page-tabs]");
const tabs = all("[data-tab]", list);
const panels = all("[data-panel]");

/** What the fragment of the address names, or null. */
function target() {
  const name = location.hash.slice(1);
  const panel = panels.find((one) => one.dataset.panel === name);
  try {
    return panel ?? document.getElementById(decodeURIComponent(name));
  } catch {
    return null; // a lone percent sign
  }
}

/**
 * @param {Element | null} place
 * @returns {HTMLElement}
 */
const panelOf = (place) => /** @type {HTMLElement | null} */ (place?.closest("[data-panel]")) ?? panels[0];

/** @param {string} name */
function show(name) {
  showTab(list, name);
  tabs.find((tab) => tab.dataset.tab === name)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  document.dispatchEvent(new CustomEvent("digits:tab", { detail: name }));
}

/** Show what the address names, with what folds or hides it inside its panel. */
function follow() {
  const place = target(), panel = panelOf(place);
  show(panel.dataset.panel ?? "");
  if (!place || place === panel || !panel.contains(place)) return;
  for (let outer = place.closest("details"); outer; outer = outer.parentElement?.closest("details") ?? null) outer.open = true;
  const pane = place.closest(".tab-pane");
  if (pane) document.querySelector(`[data-bs-target="#${CSS.escape(pane.id)}"]`)?.dispatchEvent(new MouseEvent("click", CLICK));
  panel.focus({ preventScroll: true });
  place.scrollIntoView();
}

const CLICK = { bubbles: true, cancelable: true };

list.setAttribute("role", "tablist");
for (const tab of tabs) {
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", `panel-${tab.dataset.tab}`);
}
if (panels.includes(/** @type {HTMLElement} */ (target()))) scrollTo(0, 0);
for (const panel of panels) {
  panel.id = `panel-${panel.dataset.panel}`; // the browser neither scrolls to it nor puts the focus there
  panel.setAttribute("role", "tabpanel");
  panel.setAttribute("aria-labelledby", `tab-${panel.dataset.panel}`);
  panel.tabIndex = 0;
}
wireTabs(list, (name, _, { type }) => {
  if (panelOf(target()).dataset.panel === name) return show(name);
  const move = type === "keydown" ? "replaceState" : "pushState"; // Back does not go through every tab that arrows passed
  history[move](history.state, "", `#${name}`);
  show(name);
});
addEventListener("hashchange", follow);
follow();
panels[0].parentElement?.classList.remove("tabs-soon");
