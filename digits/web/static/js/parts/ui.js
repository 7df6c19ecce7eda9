// Small parts for page code: requests with the form token, toasts, dialogs, icons, formats.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content || "";
export const root = meta("digits-root");
const iconBase = meta("digits-icons");

/** Path of the server below its URL prefix. */
export const url = (path) => root + path;

/** fetch that sends the form token, reads JSON or text, and throws an Error with the server's message. */
export async function request(path, { method = "GET", data, body, signal } = {}) {
  const headers = { Accept: "application/json", "X-CSRF-Token": meta("csrf-token") };
  if (data) {
    body = new URLSearchParams();
    for (const [key, value] of Object.entries(data)) {
      for (const item of Array.isArray(value) ? value : [value]) body.append(key, item);
    }
  }
  const response = await fetch(url(path), { method, headers, body, signal, credentials: "same-origin" });
  const json = (response.headers.get("Content-Type") || "").includes("json");
  const value = json ? await response.json() : await response.text();
  if (response.ok) return value;
  const error = new Error(messageOf(value) || `The server answered ${response.status}.`);
  error.status = response.status;
  error.value = value;
  throw error;
}

function messageOf(value) {
  if (value?.errors) return Object.entries(value.errors).map(([name, texts]) => `${name}: ${texts.join(" ")}`).join(" ");
  if (value?.error) return [value.error.message, value.error.description].filter(Boolean).join(" ");
  return typeof value === "string" ? value.slice(0, 300) : "";
}

/** An element: el("a", {class: "x", href: "/"}, "text", child). Text is never read as HTML. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** One of Bootstrap's icons by name. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  for (const [key, value] of Object.entries({ class: "bi", width: "1em", height: "1em", fill: "currentColor", "aria-hidden": "true" })) {
    svg.setAttribute(key, value);
  }
  use.setAttribute("href", `${iconBase}${name}.svg#${name}`);
  svg.append(use);
  return svg;
}

/** A message in the corner; kind is "info", "success" or "error". Errors stay until they are closed. */
export function toast(message, kind = "info") {
  const note = el("div", { class: `note ${kind}` }, el("span", {}, message));
  note.append(el("button", { type: "button", "aria-label": "Close", onclick: () => note.remove() }, icon("x-lg")));
  document.getElementById("toasts").append(note);
  if (kind !== "error") setTimeout(() => note.remove(), 4000);
}

/** Asks in a dialog; resolves to true when the user agrees. */
export function confirmDialog(title, text, { action = "OK", danger = false } = {}) {
  const dialog = openDialog(title, el("p", { class: "mb-0" }, text));
  const ok = el("button", { class: `btn ${danger ? "btn-danger" : "btn-primary"}`, type: "button" }, action);
  return answer(dialog, ok, () => true);
}

/** Asks for one line (or, with `multiline`, several); resolves to the text, or null when the user cancels. */
export function promptDialog(title, value = "", { label = "", action = "Save", multiline = false, suggestions = [] } = {}) {
  const input = multiline
    ? el("textarea", { class: "form-control", rows: 7, id: "dialog-input" })
    : el("input", { class: "form-control", id: "dialog-input", list: "dialog-list", autocomplete: "off" });
  input.value = value;
  const list = el("datalist", { id: "dialog-list" }, ...suggestions.map((text) => el("option", { value: text })));
  const dialog = openDialog(title, el("label", { class: "form-label", for: "dialog-input" }, label), input, list);
  const ok = el("button", { class: "btn btn-primary", type: "submit" }, action);
  if (!multiline) input.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), ok.click()));
  const result = answer(dialog, ok, () => input.value);
  input.focus();
  input.select();
  return result;
}

/** A modal dialog with a title; the caller appends what it needs. Escape and the backdrop close it. */
export function openDialog(title, ...content) {
  const dialog = el("dialog", { class: "box", "aria-label": title }, el("h2", {}, title), ...content);
  dialog.addEventListener("click", (event) => event.target === dialog && event.detail && outside(dialog, event) && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function outside(dialog, event) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

function answer(dialog, ok, value) {
  const cancel = el("button", { class: "btn btn-outline-secondary", type: "button", onclick: () => dialog.close() }, "Cancel");
  dialog.append(el("div", { class: "buttons" }, cancel, ok));
  ok.focus();
  return new Promise((resolve) => {
    let result = null;
    ok.addEventListener("click", () => { result = value(); dialog.close(); });
    dialog.addEventListener("close", () => resolve(result));
  });
}

/** 12 s, 3:05, 1:02:03, 2 d 3 h */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)}`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return `${Math.floor(whole / 86400)} d ${Math.floor(whole / 3600) % 24} h`;
}

/** 12 B, 3.4 MiB */
export function fileSize(bytes) {
  if (bytes === null || bytes === undefined) return "";
  let amount = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (amount < 1024) return `${unit === "B" || amount >= 100 ? Math.round(amount) : amount.toPrecision(3)} ${unit}`;
    amount /= 1024;
  }
  return `${amount.toPrecision(3)} TiB`;
}

/** A number as people read it: at most four significant digits. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** The coloured word of a status. */
export const pill = (word) => el("span", { class: `pill pill-${word.toLowerCase()}` }, word);

/** A relative time that site.js keeps up to date. */
export function ago(seconds) {
  const moment = new Date(seconds * 1000);
  return el("time", { datetime: moment.toISOString(), title: moment.toLocaleString(), "data-ago": true }, agoText((Date.now() - moment) / 1000));
}

/** 3 minutes ago */
export function agoText(seconds) {
  for (const [size, word] of [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]]) {
    const count = Math.floor(seconds / size);
    if (count >= 1) return `${count} ${word}${count === 1 ? "" : "s"} ago`;
  }
  return "just now";
}

/** A small line chart of a list of numbers. */
export function sparkline(values) {
  const found = values.filter((value) => Number.isFinite(value));
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 100 30");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  if (found.length < 2) return svg;
  const low = Math.min(...found), span = Math.max(...found) - low || 1;
  const points = found.map((value, i) => `${(i / (found.length - 1)) * 100},${28 - ((value - low) / span) * 26}`);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  for (const [key, value] of Object.entries({ points: points.join(" "), fill: "none", stroke: "currentColor", "stroke-width": "1.5", "vector-effect": "non-scaling-stroke" })) {
    line.setAttribute(key, value);
  }
  svg.append(line);
  return svg;
}
