// @ts-check
// Tabs: elements `[data-tab=NAME]` that show what they say they control; arrow keys, Home and End move between them.

/**
 * Show one tab's pane, hide the others.
 * @param {ParentNode} scope
 * @param {string} name
 */
export function showTab(scope, name) {
  for (const tab of tabsOf(scope)) {
    const chosen = tab.dataset.tab === name;
    tab.classList.toggle("active", chosen);
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    const pane = document.getElementById(tab.getAttribute("aria-controls") ?? "");
    if (pane) pane.hidden = !chosen;
  }
}

/**
 * Have a click and the keys choose a tab.
 * @param {ParentNode} scope
 * @param {(name: string, tab: HTMLElement, event: Event) => void} choose
 */
export function wireTabs(scope, choose) {
  const tabs = tabsOf(scope);
  for (const [at, tab] of tabs.entries()) {
    tab.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a link goes to a tab of the browser
      event.preventDefault();
      choose(tab.dataset.tab ?? "", tab, event);
    });
    tab.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      const chosen = tabs[(next + tabs.length) % tabs.length];
      choose(chosen.dataset.tab ?? "", chosen, event);
      chosen.focus();
    });
  }
}

/** @param {ParentNode} scope */
const tabsOf = (scope) => /** @type {HTMLElement[]} */ ([...scope.querySelectorAll("[data-tab]")]);
