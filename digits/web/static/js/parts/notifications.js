// @ts-check
// Notifications of the browser: where they were asked for here, one of the open pages looks every few seconds for new ones.

import { request, url } from "./request.js";

const WANTED = "digits-notify";
const LAST = "digits-notify-last";
const POLL_MS = 10000;

export const mayNotify = () => "Notification" in globalThis && Notification.permission === "granted";

/** @param {boolean} wanted */
export function setWanted(wanted) {
  if (wanted) localStorage.setItem(WANTED, "1");
  else localStorage.removeItem(WANTED);
}

export function watchNotifications() {
  if (!localStorage.getItem(WANTED) || !mayNotify()) return;
  setInterval(() => globalThis.navigator.locks?.request(WANTED, { ifAvailable: true }, (lock) => lock && look()), POLL_MS);
}

async function look() {
  try {
    const known = localStorage.getItem(LAST);
    const { rows, last } = await request(`/notifications/new.json${known === null ? "" : `?after=${known}`}`);
    localStorage.setItem(LAST, String(last));
    for (const row of rows) show(row);
  } catch {
    // the server is away, or nobody is logged in any more: the next look may do better
  }
}

/** @param {{id: number, title: string, text: string, job_id: string}} row */
function show(row) {
  const note = new Notification(row.title, { body: row.text, tag: `digits-${row.id}` });
  note.onclick = () => open(url(row.job_id ? `/jobs/${row.job_id}` : "/notifications"));
}
