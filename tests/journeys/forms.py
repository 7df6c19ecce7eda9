"""Forms of the pages as a browser reads and sends them, without a browser."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

UNSEEN = re.compile(r"<(script|style|template)\b.*?</\1>", re.DOTALL | re.IGNORECASE)


@dataclass
class Form:
    """A form of a page: where it is sent, and what an untouched one sends (a list of names and values, as HTML has it)."""

    action: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)

    def sent(self, **changes: object) -> dict[str, list[str]]:
        """Everything that is sent, with some fields filled in."""
        values: dict[str, list[str]] = {}
        for name, value in self.fields:
            values.setdefault(name, []).append(value)
        return {**values, **{name: [str(value)] for name, value in changes.items()}}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.current: Form | None = None
        self.select = ""
        self.options: list[tuple[str, bool]] = []
        self.area = ""
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.current = Form(found.get("action", ""))
            self.forms.append(self.current)
        elif tag == "input" and found.get("type") not in ("submit", "button", "file"):
            ticks = found.get("type") in ("checkbox", "radio")
            if not ticks or "checked" in found:
                self._add(found.get("name", ""), found.get("value", "on" if ticks else ""), "disabled" in found)
        elif tag == "select":
            self.select, self.options = found.get("name", ""), []
        elif tag == "option" and self.select:
            self.options.append((found.get("value", ""), "selected" in found))
        elif tag == "textarea":
            self.area, self.text = found.get("name", ""), ""

    def handle_data(self, data: str) -> None:
        if self.area:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.current = None
        elif tag == "select" and self.select:
            chosen = next((value for value, selected in self.options if selected), self.options[0][0] if self.options else "")
            self._add(self.select, chosen)
            self.select = ""
        elif tag == "textarea" and self.area:
            self._add(self.area, self.text.removeprefix("\n"))
            self.area = ""

    def _add(self, name: str, value: str, disabled: bool = False) -> None:
        if self.current is not None and name and not disabled:
            self.current.fields.append((name, value))


def form_of(page: str, field_name: str) -> Form:
    """The form of a page that has a field of that name."""
    reader = _Reader()
    reader.feed(page)
    return next(form for form in reader.forms if any(name == field_name for name, _ in form.fields))


def shown_text(page: str) -> str:
    """The words of a page, without its tags, scripts and addresses."""
    return re.sub(r"<[^>]+>", " ", UNSEEN.sub(" ", page))
