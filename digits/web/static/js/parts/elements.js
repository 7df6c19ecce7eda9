// @ts-check
// Elements of a page, made by code. Text is never read as HTML.

import { agoText, percent } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | false | null | undefined} Child what may stand in an element; the last three leave nothing */
/** @typedef {string | number | boolean | null | undefined | ((event: any) => void)} Attribute */

/**
 * An element: el("a", {class: "x", href: "/"}, "text", child). Attributes named on… are listeners; true stands for "there".
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, Attribute>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter(isThere));
  return element;
}

/**
 * @param {Child} child
 * @returns {child is Node | string}
 */
const isThere = (child) => child !== null && child !== undefined && child !== false;

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...Node} children
 */
function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * One of Bootstrap's icons by name.
 * @param {string} name
 */
export function icon(name) {
  const icons = /** @type {HTMLMetaElement} */ (document.querySelector('meta[name="digits-icons"]')).content;
  const use = svg("use", { href: `${icons}${name}.svg#${name}` });
  return svg("svg", { class: "bi", width: "1em", height: "1em", fill: "currentColor", "aria-hidden": "true" }, use);
}

/**
 * The coloured word of a status.
 * @param {string} word
 */
export const pill = (word) => el("span", { class: `pill pill-${word.toLowerCase()}` }, word);

/** @param {string} tag */
export const tagPill = (tag) => el("span", { class: "tag" }, tag);

/**
 * The coloured word of a job's status; amber where it is damaged, or with the number where much of a data set was left out.
 * @param {{status: string, left_out?: {share: number, much: boolean} | null, damage?: {word: string, words: string} | null}} row
 */
export function jobPill(row) {
  const missing = row.left_out;
  if (row.damage) return el("span", { class: "pill pill-partly", title: row.damage.words }, `${row.status}, ${row.damage.word}`);
  if (!missing?.much || row.status !== "Done") return pill(row.status);
  return el("span", { class: "pill pill-partly" }, `${row.status}, ${percent(missing.share, 0)} left out`);
}

/**
 * A relative time that site.js keeps up to date.
 * @param {number} seconds since 1970
 */
export function ago(seconds) {
  const moment = new Date(seconds * 1000);
  const text = agoText(Date.now() / 1000 - seconds);
  return el("time", { datetime: moment.toISOString(), title: moment.toLocaleString(), "data-ago": true }, text);
}

/**
 * A small line chart of a list of numbers.
 * @param {(number | null)[]} values
 */
export function sparkline(values) {
  const found = /** @type {number[]} */ (values.filter((value) => Number.isFinite(value)));
  const chart = { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" };
  if (found.length < 2) return svg("svg", chart);
  const low = Math.min(...found), span = Math.max(...found) - low || 1;
  const points = found.map((value, i) => `${(i / (found.length - 1)) * 100},${28 - ((value - low) / span) * 26}`).join(" ");
  const look = { fill: "none", stroke: "currentColor", "stroke-width": "1.5", "vector-effect": "non-scaling-stroke" };
  return svg("svg", chart, svg("polyline", { points, ...look }));
}

/**
 * A bar that is filled up to so many percent.
 * @param {string} label what is measured
 * @param {number} percent 0 to 100; more is drawn as 100
 */
export function progressBar(label, percent) {
  const value = Math.round(Math.max(0, Math.min(100, percent)));
  const aria = { role: "progressbar", "aria-label": label, "aria-valuenow": value, "aria-valuemin": 0, "aria-valuemax": 100 };
  return el("div", { class: "progress", ...aria }, el("div", { class: "progress-bar", style: `width: ${value}%` }));
}

/**
 * A bar between its name and its value in words.
 * @param {string} label
 * @param {number} percent
 * @param {string} text
 */
export const meter = (label, percent, text) =>
  el("div", { class: "meter" }, el("span", {}, label), progressBar(label, percent), el("span", { class: "muted" }, text));

/**
 * A square in the colour of a class.
 * @param {number[]} [colour] red, green, blue, 0 to 255
 */
export const swatch = (colour = [0, 0, 0]) => el("span", { class: "swatch", style: `background: rgb(${colour.join(",")})` });

/**
 * A table with headings; cells that hold numbers are aligned by `numeric`, which gets the column's place.
 * @param {Child[]} heads
 * @param {HTMLTableRowElement[]} rows
 * @param {(column: number) => boolean} [numeric]
 */
export function table(heads, rows, numeric = () => false) {
  const head = el("tr", {}, ...heads.map((text, i) => el("th", { class: numeric(i) ? "num" : null, scope: "col" }, text)));
  return el("table", { class: "table-list" }, el("thead", {}, head), el("tbody", {}, ...rows));
}

/**
 * An element that the page must have; a missing one is a mistake of ours and said so.
 * @template {Element} [Kind=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} [scope]
 * @param {abstract new (...values: any[]) => Kind} [kind] its class, where more is needed than any element has
 * @returns {Kind}
 */
export function find(selector, scope = document, kind = /** @type {any} */ (HTMLElement)) {
  const found = scope.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`The page has no ${selector}.`);
  return found;
}

/**
 * An element that some pages have.
 * @template {Element} [Kind=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} [scope]
 * @param {abstract new (...values: any[]) => Kind} [_kind]
 */
export const perhaps = (selector, scope = document, _kind) => /** @type {Kind | null} */ (scope.querySelector(selector));

/**
 * All elements that are there.
 * @template {Element} [Kind=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} [scope]
 * @param {abstract new (...values: any[]) => Kind} [_kind]
 */
export const all = (selector, scope = document, _kind) => /** @type {Kind[]} */ ([...scope.querySelectorAll(selector)]);

/**
 * What the server wrote into the page as JSON.
 * @param {string} id of the script element
 * @returns {any}
 */
export const pageData = (id) => JSON.parse(find(`#${id}`, document, HTMLScriptElement).text);
