// @ts-check
// A plain code editor over a textarea: line numbers, colours for Python, the tab key. The textarea stays the form's field.

import { el } from "./elements.js";

const KEYWORDS = new Set(
  ("False None True and as assert async await break class continue def del elif else except finally for from global if import in " +
    "is lambda nonlocal not or pass raise return try while with yield match case").split(" "),
);
const BUILTINS = new Set(
  ("self super int float str list dict tuple set range len print isinstance max min sum zip enumerate map abs round sorted " +
    "nn tf context").split(" "),
);
const STRING = /[rbfuRBFU]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)/;
const NUMBER = /\b(?:\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?)\b/;
const TOKEN = new RegExp(
  `(?<comment>#[^\\n]*)|(?<string>${STRING.source})|(?<decorator>@[\\w.]+)|(?<number>${NUMBER.source})|(?<word>[A-Za-z_]\\w*)`,
  "g",
);
const INDENT = "    ";

/**
 * The text as spans; nothing in it is read as HTML.
 * @param {string} text
 */
export function highlight(text) {
  const parts = document.createDocumentFragment();
  let last = 0;
  for (const { kind, start, end } of tokens(text)) {
    parts.append(text.slice(last, start), el("span", { class: `tok-${kind}` }, text.slice(start, end)));
    last = end;
  }
  parts.append(text.slice(last));
  return parts;
}

/**
 * Where the text has something that is coloured: {kind, start, end}, in order.
 * @param {string} text
 */
export function* tokens(text) {
  let previous = "";
  for (const match of text.matchAll(TOKEN)) {
    const groups = match.groups ?? {};
    const word = groups.word ?? "";
    const kind = word ? wordKind(word, previous) : Object.keys(groups).find((name) => groups[name] !== undefined);
    if (kind) yield { kind, start: match.index, end: match.index + match[0].length };
    previous = word;
  }
}

/**
 * @param {string} word
 * @param {string} previous
 */
function wordKind(word, previous) {
  if (previous === "def" || previous === "class") return "name";
  if (KEYWORDS.has(word)) return "keyword";
  return BUILTINS.has(word) ? "builtin" : "";
}

/**
 * Turn a textarea into an editor; returns {setText}.
 * @param {HTMLTextAreaElement} area
 * @param {string[]} packages names that are coloured like Python's own
 */
export function attach(area, packages = []) {
  for (const name of packages) BUILTINS.add(name);
  const numbers = el("div", { class: "code-lines", "aria-hidden": "true" });
  const colours = el("pre", { class: "code-colours", "aria-hidden": "true" });
  const box = el("div", { class: "code-editor" });
  area.replaceWith(box);
  box.append(numbers, el("div", { class: "code-body" }, colours, area));
  const draw = () => {
    const lines = area.value.split("\n").length;
    numbers.textContent = Array.from({ length: lines }, (_, i) => i + 1).join("\n");
    colours.replaceChildren(highlight(`${area.value}\n`));
    scroll();
  };
  const scroll = () => {
    colours.style.transform = `translate(${-area.scrollLeft}px, ${-area.scrollTop}px)`;
    numbers.style.transform = `translateY(${-area.scrollTop}px)`;
  };
  area.addEventListener("input", draw);
  area.addEventListener("scroll", scroll);
  area.addEventListener("keydown", (event) => keys(event, area));
  draw();
  const setText = (/** @type {string} */ text) => {
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  return { setText };
}

let leaving = false; // Escape, then Tab, moves the focus on as everywhere else

/**
 * @param {KeyboardEvent} event
 * @param {HTMLTextAreaElement} area
 */
function keys(event, area) {
  if (event.key === "Escape") {
    leaving = true;
    return;
  }
  if (event.key === "Tab" && !leaving) {
    event.preventDefault();
    indent(area, event.shiftKey);
  } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    newLine(area);
  }
  if (event.key !== "Shift") leaving = false;
}

/** @param {HTMLTextAreaElement} area */
function newLine(area) {
  const before = area.value.slice(0, area.selectionStart).split("\n").pop() ?? "";
  const space = before.slice(0, before.length - before.trimStart().length);
  insert(area, `\n${space}${/:\s*(#.*)?$/.test(before) ? INDENT : ""}`);
}

/**
 * @param {HTMLTextAreaElement} area
 * @param {boolean} back
 */
function indent(area, back) {
  const { selectionStart: start, selectionEnd: end, value } = area;
  if (start === end && !back) {
    insert(area, INDENT);
    return;
  }
  const from = value.lastIndexOf("\n", start - 1) + 1;
  const moved = (/** @type {string} */ line) => (back ? line.replace(/^ {1,4}/, "") : line && INDENT + line);
  const text = value.slice(from, end).split("\n").map(moved).join("\n");
  area.setSelectionRange(from, end);
  insert(area, text);
  area.setSelectionRange(from, from + text.length);
}

/**
 * @param {HTMLTextAreaElement} area
 * @param {string} text
 */
function insert(area, text) {
  // execCommand keeps the browser's own undo; where it is gone, the text is set directly
  if (document.execCommand("insertText", false, text)) return;
  area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
  area.dispatchEvent(new Event("input", { bubbles: true }));
}
