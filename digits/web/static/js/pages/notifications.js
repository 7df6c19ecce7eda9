// @ts-check
// The page of notifications: the browser is asked for its permission by the click on its box.

import { toast } from "../parts/dialogs.js";
import { find } from "../parts/elements.js";
import { mayNotify, setWanted } from "../parts/notifications.js";
import { request } from "../parts/request.js";

const form = find("[data-notifications]", document, HTMLFormElement);
const box = find("#browser", document, HTMLInputElement);
const problem = find("[data-problem]");

function showPermission() {
  const refused = box.checked && !mayNotify();
  find("[data-permission]").textContent = refused ? "The browser does not allow it: change that in its settings." : "";
}

box.addEventListener("change", async () => {
  if (box.checked && "Notification" in globalThis) await Notification.requestPermission();
  setWanted(box.checked && mayNotify());
  showPermission();
});

async function save() {
  const values = new FormData(form);
  const data = Object.fromEntries([...values].filter(([name]) => name !== "events" && name !== "browser"));
  const events = values.getAll("events").join(",");
  problem.hidden = true;
  try {
    await request("/notifications.json", { method: "POST", data: { ...data, events, browser: box.checked ? "1" : "0" } });
    toast("Saved.", "success");
    return true;
  } catch (error) {
    problem.textContent = /** @type {Error} */ (error).message;
    problem.hidden = false;
    return false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});
find("[data-test]").addEventListener("click", async () => {
  if (!await save()) return;
  try {
    toast((await request("/notifications/test.json", { method: "POST" })).message, "success");
    setTimeout(() => location.reload(), 3000);
  } catch (error) {
    toast(/** @type {Error} */ (error).message, "error");
  }
});
showPermission();
