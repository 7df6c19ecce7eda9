// @ts-check
// Published names: publishing, versions, canary, tokens, programs to paste; counts are read again while the page is seen.

import { confirmDialog, copyText, promptDialog, toast } from "../parts/dialogs.js";
import { all, find, perhaps } from "../parts/elements.js";
import { below, loadPage, request } from "../parts/request.js";
import { showTab, wireTabs } from "../parts/tabs.js";

const REFRESH_MS = 3000;
const PLACEHOLDER = "YOUR_TOKEN";
const page = perhaps("[data-serving]");
const name = page?.dataset.name ?? "";
const base = page ? below(page.dataset.base ?? "") : "";

/** @param {string} published */
const keptAs = (published) => `digits-serve-token-${published}`;

/** @param {unknown} error */
const tell = (error) => toast(/** @type {Error} */ (error).message, "error");

/** Replace what counts by what the server says now, unless the user is at it. */
async function refresh() {
  if (document.hidden) return;
  const fresh = await loadPage().catch(() => null);
  for (const part of all("[data-live]")) {
    const other = fresh?.querySelector(`[data-live="${part.dataset.live}"]`);
    if (other && !part.contains(document.activeElement) && part.innerHTML !== other.innerHTML) {
      part.replaceChildren(...other.childNodes);
    }
  }
}

/**
 * @param {string} path below the name's address
 * @param {string} method
 * @param {Record<string, any>} [data]
 */
async function act(path, method, data) {
  try {
    await request(`${base}${path}`, { method, data });
    location.reload();
  } catch (error) {
    tell(error);
  }
}

/** @param {HTMLFormElement} form */
function publishing(form) {
  const problem = find("[data-problem]", form), busy = find("[data-busy]", form);
  const button = find("button[type=submit]", form, HTMLButtonElement);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
    const { name: wanted, ...data } = values;
    problem.hidden = true;
    busy.hidden = !(button.disabled = true);
    try {
      const place = `/serve/${encodeURIComponent(String(wanted))}`;
      const answer = await request(`${place}.json`, { method: "PUT", data });
      if (answer.token) sessionStorage.setItem(keptAs(answer.name), answer.token);
      location.assign(answer.url.replace(/\/infer\.json$/, ""));
    } catch (error) {
      problem.textContent = /** @type {Error} */ (error).message;
      problem.hidden = false;
      busy.hidden = !(button.disabled = false);
    }
  });
}

/** Show the token that was just made, here and in the programs; it is forgotten with the next page. */
function showToken() {
  const token = sessionStorage.getItem(keptAs(name));
  if (!token) return;
  sessionStorage.removeItem(keptAs(name));
  find("[data-token-text]").textContent = token;
  find("[data-new-token]").hidden = false;
  find("[data-copy-token]").addEventListener("click", () => copyText(token, "The token is in the clipboard."));
  for (const code of all("[data-code]")) code.textContent = (code.textContent ?? "").replaceAll(PLACEHOLDER, token);
}

async function addToken() {
  try {
    sessionStorage.setItem(keptAs(name), (await request(`${base}/tokens.json`, { method: "POST" })).token);
    location.reload();
  } catch (error) {
    tell(error);
  }
}

/** @param {string} version */
async function startCanary(version) {
  const percent = await promptDialog(`Canary with version ${version}`, "10", {
    label: "Percent of the requests",
    action: "Start",
  });
  if (percent !== null) await act("/canary.json", "POST", { version, percent });
}

/** @param {HTMLElement} button */
async function perform(button) {
  const { act: path, question, version, percent } = button.dataset;
  if (question && !(await confirmDialog(question, "Requests that come from now on go there.", { action: "Yes" }))) return;
  await act(`/${path}.json`, "POST", { ...(version && { version }), ...(percent && { percent }) });
}

async function unpublish() {
  const text = "Its address answers no more, and its tokens open nothing. The models stay.";
  if (!(await confirmDialog(`Take “${name}” back?`, text, { action: "Take back", danger: true }))) return;
  try {
    await request(`${base}.json`, { method: "DELETE" });
    location.assign(page?.dataset.base?.replace(/\/[^/]*$/, "") ?? "");
  } catch (error) {
    tell(error);
  }
}

/** @param {string} id */
async function revoke(id) {
  const text = "Whoever uses it gets no more answers.";
  if (await confirmDialog(`Revoke the token ${id}…?`, text, { action: "Revoke", danger: true })) {
    await act(`/tokens/${id}`, "DELETE");
  }
}

/** @param {HTMLFormElement} form */
function trying(form) {
  const shown = find("[data-answer]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    shown.hidden = false;
    shown.textContent = "…";
    try {
      const answer = await request(`${base}/infer.json`, { method: "POST", body: new FormData(form) });
      shown.textContent = Object.entries(answer).map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join("\n");
    } catch (error) {
      shown.textContent = /** @type {Error} */ (error).message;
    }
    refresh();
  });
}

document.addEventListener("click", ({ target }) => {
  const button = target instanceof Element && target.closest("button");
  if (!(button instanceof HTMLButtonElement)) return;
  const { act: path, canary, revoke: token } = button.dataset;
  if (path) perform(button);
  else if (canary) startCanary(canary);
  else if (token) revoke(token);
  else if ("unpublish" in button.dataset) unpublish();
  else if ("addToken" in button.dataset) addToken();
  else if ("copyCode" in button.dataset) {
    copyText(button.parentElement?.querySelector("[data-code]")?.textContent ?? "", "Copied.");
  }
});

const form = perhaps("[data-publish]");
if (form instanceof HTMLFormElement && form.elements.namedItem("name")) publishing(form);
const picture = perhaps("[data-try]");
if (picture instanceof HTMLFormElement) trying(picture);
if (page) {
  wireTabs(page, (tab) => showTab(page, tab));
  showToken();
}
setInterval(refresh, REFRESH_MS);
