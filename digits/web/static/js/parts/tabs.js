// @ts-check
// Tabs: buttons `[data-tab=NAME]` that show `#pane-NAME`; arrow keys move between them.

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
    const pane = document.getElementById(`pane-${tab.dataset.tab}`);
    if (pane) pane.hidden = !chosen;
  }
}

/**
 * Have a click and the arrow keys choose a tab.
 * @param {ParentNode} scope
 * @param {(name: string, tab: HTMLElement) => void} choose
 */
export function wireTabs(scope, choose) {
  const tabs = tabsOf(scope);
  for (const [at, tab] of tabs.entries()) {
    tab.addEventListener("click", () => choose(tab.dataset.tab ?? "", tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(at + step + tabs.length) % tabs.length];
      choose(next.dataset.tab ?? "", next);
      next.focus();
    });
  }
}

/** @param {ParentNode} scope */
const tabsOf = (scope) => /** @type {HTMLElement[]} */ ([...scope.querySelectorAll("[data-tab]")]);
