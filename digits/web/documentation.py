"""The documentation at `/docs`, without a network: the pages of `docs/` as HTML, their pictures and samples, and a search.

A wheel carries the folder inside the package; a checkout has it beside the package.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, abort, jsonify, redirect, render_template, send_from_directory, url_for
from markupsafe import Markup
from werkzeug.security import safe_join

import digits
from digits.web.http import arguments
from digits.web.http.request import describes, wants_json

if TYPE_CHECKING:
    from markdown_it.token import Token

PLACES = ("documentation", "../docs")  # from the package's folder
FIRST = "getting-started"
GROUPS = {  # what belongs together in the list of pages; others stand below "More"
    "Use": (
        FIRST,
        "datasets",
        "networks",
        "pretrained",
        "metrics",
        "inference",
        "inside",
        "export",
        "serving",
        "comparing",
        "jobs",
    ),
    "Run": ("deploy", "configuration", "notifications", "security", "performance"),
    "Extend": ("plugins", "cli", "rest", "client", "records", "events"),
}
EXAMPLES, MORE = "Examples", "More"
AS_TEXT = {".py", ".toml", ".conf", ".service", ""}  # files that a browser shall show, not save
EXCERPT = 160  # characters
MOST_FOUND = 30
OF_AREAS = {
    "datasets": "datasets",
    "models": "networks",
    "inference": "inference",
    "plugins": "plugins",
    "files": "datasets",
    "sessions": "security",
    "auth": "security",
    "system": "jobs",
    "home": "jobs",
    "jobs": "jobs",
    "tensorboard": "networks",
    "exports": "export",
    "serving": "serving",
    "pretrained": "pretrained",
    "store": "pretrained",
}


def blueprint() -> Blueprint:
    """`/docs/`, `/docs/index.json`, `/docs/NAME.md` and the files beside the pages."""
    area = Blueprint("documentation", __name__)
    area.add_url_rule("/docs/", "index", index)
    area.add_url_rule("/docs/index.json", "index_json", index)
    area.add_url_rule("/docs/<path:name>", "page", page)
    area.app_context_processor(lambda: {"documentation_of": address_for})
    return area


@dataclass(frozen=True)
class Section:
    """A heading of a page with the text below it."""

    page: str  # the file without its ending, as examples/gan
    page_title: str
    title: str
    anchor: str
    level: int
    text: str


@describes(
    json=True, arguments={"q": "Words that a section must all have."}, answer="`sections`: `title`, `page`, `url`, `text`."
)
def index() -> Any:
    """The first page; with `q` the sections that have all of its words, headings first."""
    words = arguments.text("q").lower().split()
    found = _found(words)
    if wants_json():
        return jsonify(sections=[_section_dict(section, words) for section in found])
    if not words:
        return redirect(url_for("documentation.page", name=f"{FIRST}.md"))
    results = [_section_dict(section, words) for section in found[:MOST_FOUND]]
    return render_template("documentation.html", groups=groups(), current="", words=arguments.text("q"), results=results)


def page(name: str) -> Any:
    """A page as HTML, or a file of the folder as it is."""
    root = folder()
    path = safe_join(str(root), name)
    if path is None:
        abort(404)
    if (target := Path(path)).suffix != ".md":
        if target.with_name(f"{target.name}.md").is_file():
            return redirect(url_for("documentation.page", name=f"{name}.md"))
        return send_from_directory(root, name, mimetype="text/plain" if target.suffix in AS_TEXT else None)
    if not target.is_file():
        abort(404)
    current = target.relative_to(root).as_posix().removesuffix(".md")
    html, own = _rendered(current)
    return render_template(
        "documentation.html", groups=groups(), current=current, words="", html=Markup(html), sections=own, title=own[0].title
    )


def address_for(area: str) -> str:
    """Where the documentation of an area of the site is."""
    return url_for("documentation.page", name=f"{OF_AREAS.get(area, FIRST)}.md")


@functools.cache
def folder() -> Path:
    """The folder of the documentation. FileNotFoundError where an installation has none."""
    package = Path(digits.__file__).parent
    for place in PLACES:
        if (found := (package / place).resolve()).joinpath(f"{FIRST}.md").is_file():
            return found
    raise FileNotFoundError("This installation has no documentation; see the project's pages.")


@functools.cache
def pages() -> dict[str, str]:
    """Titles of all pages by their name."""
    return {section.page: section.title for section in _sections() if section.level == 1}


def groups() -> dict[str, dict[str, str]]:
    """The pages as the list shows them: of each group the titles by name."""
    left = dict(pages())
    found = {group: {name: left.pop(name) for name in names if name in left} for group, names in GROUPS.items()}
    found[EXAMPLES] = {name: left.pop(name) for name in sorted(left) if "/" in name}
    return found | {MORE: left}


def render(text: str, name: str = "") -> tuple[str, list[Section]]:
    """A page's HTML, whose headings have the anchors that links in the texts use, and its sections."""
    from markdown_it import MarkdownIt  # when the documentation is first looked at

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    sections: list[Section] = []
    seen: dict[str, int] = {}
    begun: tuple[str, str, int] | None = None
    words: list[str] = []

    def end() -> None:
        if begun is not None:
            top = sections[0].title if sections else begun[0]
            sections.append(Section(name, top, *begun, " ".join(words)))
        words.clear()

    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            end()
            title = _plain(tokens[at + 1])
            anchor = _anchor(title, seen)
            token.attrSet("id", anchor)
            begun = title, anchor, int(token.tag[1])
        elif token.type in ("inline", "fence", "code_block") and not (at and tokens[at - 1].type == "heading_open"):
            words.append(_plain(token))
        elif token.type == "table_open":
            token.attrSet("class", "table-list")
            token.attrSet("tabindex", "0")  # what may be wider than the page is scrolled by keyboard
    end()
    html = markdown.renderer.render(tokens, markdown.options, {})
    return html.replace("<pre>", '<pre tabindex="0">'), sections


@functools.cache
def _rendered(name: str) -> tuple[str, list[Section]]:
    """`render` of a page that there is, once in a process: pages and the search show the same."""
    return render((folder() / f"{name}.md").read_text(), name)


@functools.cache
def _sections() -> list[Section]:
    root = folder()
    names = sorted(path.relative_to(root).as_posix().removesuffix(".md") for path in root.rglob("*.md"))
    return [section for name in names for section in _rendered(name)[1]]


def _found(words: list[str]) -> list[Section]:
    """Sections with all words, those with them in the heading first."""
    hits = [section for section in _sections() if all(word in f"{section.title} {section.text}".lower() for word in words)]
    return sorted(hits, key=lambda section: sum(word not in section.title.lower() for word in words))


def _section_dict(section: Section, words: list[str]) -> dict[str, str]:
    places = [at for word in words if (at := section.text.lower().find(word)) >= 0]
    begin = max(0, min(places, default=0) - EXCERPT // 3)
    excerpt = section.text[begin : begin + EXCERPT].strip()
    excerpt = f"{'… ' if begin else ''}{excerpt}{' …' if len(section.text) > begin + EXCERPT else ''}"
    address = url_for("documentation.page", name=f"{section.page}.md", _anchor=section.anchor if section.level > 1 else None)
    return {"title": section.title, "page": section.page_title, "url": address, "text": excerpt}


def _plain(token: Token) -> str:
    """The words of a token, without marks."""
    if token.children is None:
        return token.content
    return "".join(" " if child.type in ("softbreak", "hardbreak") else child.content for child in token.children)


def _anchor(title: str, seen: dict[str, int]) -> str:
    """As code hosts make it of a heading: small letters, hyphens for spaces, no other signs; a number from the second on."""
    found = re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
    seen[found] = seen.get(found, -1) + 1
    return f"{found}-{seen[found]}" if seen[found] else found
