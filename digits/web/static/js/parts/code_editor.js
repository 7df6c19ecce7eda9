// A plain code editor over a textarea: line numbers, colours for Python, the tab key. The textarea stays the form's field.

import { el } from "./ui.js";

const KEYWORDS = new Set(("False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield match case").split(" "));
const BUILTINS = new Set(("self super int float str list dict tuple set range len print isinstance max min sum zip enumerate map abs round sorted torch nn timm torchvision keras tf context").split(" "));
const TOKEN = /(#[^\n]*)|([rbfuRBFU]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))|(@[\w.]+)|\b(\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?)\b|([A-Za-z_]\w*)/g;
const INDENT = "    ";

/** The text as spans; nothing in it is read as HTML. */
export function highlight(text) {
  const parts = document.createDocumentFragment();
  let last = 0, previous = "";
  for (const match of text.matchAll(TOKEN)) {
    const [whole, comment, string, decorator, digits, word] = match;
    const kind = comment ? "comment" : string ? "string" : decorator ? "decorator" : digits ? "number" : wordKind(word, previous);
    if (kind) {
      parts.append(text.slice(last, match.index), el("span", { class: `tok-${kind}` }, whole));
      last = match.index + whole.length;
    }
    previous = word || "";
  }
  parts.append(text.slice(last));
  return parts;
}

function wordKind(word, previous) {
  if (previous === "def" || previous === "class") return "name";
  if (KEYWORDS.has(word)) return "keyword";
  return BUILTINS.has(word) ? "builtin" : "";
}

/** Turn a textarea into an editor; returns {setText}. */
export function attach(area) {
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
  return { setText(text) { area.value = text; area.dispatchEvent(new Event("input", { bubbles: true })); } };
}

let leaving = false; // Escape, then Tab, moves the focus on as everywhere else

function keys(event, area) {
  if (event.key === "Escape") { leaving = true; return; }
  if (event.key === "Tab" && !leaving) { event.preventDefault(); indent(area, event.shiftKey); }
  else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) { event.preventDefault(); newLine(area); }
  if (event.key !== "Shift") leaving = false;
}

function newLine(area) {
  const before = area.value.slice(0, area.selectionStart).split("\n").pop();
  const space = before.match(/^\s*/)[0];
  insert(area, `\n${space}${/:\s*(#.*)?$/.test(before) ? INDENT : ""}`);
}

function indent(area, back) {
  const { selectionStart: start, selectionEnd: end, value } = area;
  if (start === end && !back) { insert(area, INDENT); return; }
  const from = value.lastIndexOf("\n", start - 1) + 1;
  const lines = value.slice(from, end).split("\n").map((line) => (back ? line.replace(/^ {1,4}/, "") : line && INDENT + line));
  area.setSelectionRange(from, end);
  insert(area, lines.join("\n"));
  area.setSelectionRange(from, from + lines.join("\n").length);
}

function insert(area, text) {
  // execCommand keeps the browser's own undo; where it is gone, the text is set directly
  if (!document.execCommand("insertText", false, text)) {
    area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
