"""`docs/compatibility-table.md`, read: what became of every name of the original."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compatibility-table.md"
WORKS, DIFFERS, GONE = "works", "differs", "gone"


@dataclass(frozen=True)
class Row:
    """One name; `default` is empty where its section has none."""

    section: str
    name: str
    verdict: str
    note: str
    default: str = ""

    def __str__(self) -> str:
        return self.name


def read_table(text: str | None = None) -> list[Row]:
    """All rows of the page, in its order."""
    rows, section, columns = [], "", list[str]()
    for line in (PAGE.read_text() if text is None else text).splitlines():
        if line.startswith("## "):
            section, columns = line[3:], []
        elif line.startswith("|") and not columns:
            columns = _cells(line)
        elif line.startswith("|") and not line.startswith("|---"):
            cells = dict(zip(columns, _cells(line), strict=True))
            rows.append(Row(section, cells["name"].strip("`"), cells["verdict"], cells["note"], cells.get("default", "")))
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


TABLE = read_table()


def rows_of(section: str, *verdicts: str) -> list[Row]:
    """The rows of a section, with certain verdicts where some are named."""
    found = [row for row in TABLE if row.section == section and (not verdicts or row.verdict in verdicts)]
    assert found, section
    return found
