"""The code and the style sheets of the pages: types, manner, and the tests of what needs no browser, with Deno."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from deno import find_deno_bin

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "digits" / "web" / "static"
TEMPLATES = ROOT / "digits" / "web" / "templates"
MODULES = sorted((STATIC / "js").rglob("*.js"))
SHEETS = sorted((STATIC / "css").glob("*.css"))
FOLDERS = {"parts", "live", "charts", "overlay", "inside", "room", "pages"}
LONGEST_LINE = 140
COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b|\b(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch)\(\s*[\d.]")
NAMED = re.compile(r"[:\s,(](?:white|black|red|green|blue|yellow|orange|gr[ae]y|navy|teal)\s*[;,)}]")


def deno(*arguments: str) -> None:
    """Run Deno, which needs no network and no permission here, and fail with what it says."""
    environment = {"DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1", "HOME": str(Path.home())}
    ended = subprocess.run([find_deno_bin(), *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("*.test.js")), ids=lambda path: path.stem)
def test_units(path: Path) -> None:
    deno("test", "--no-check", "--cached-only", "--quiet", str(path))


def test_types() -> None:
    deno("check", "--cached-only", "digits/web/static/js")


def test_form_and_common_mistakes() -> None:
    deno("fmt", "--check")
    deno("lint")


def test_every_module_is_checked() -> None:
    assert [str(path) for path in MODULES if not path.read_text().startswith("// @ts-check\n")] == []


def test_modules_have_a_room_and_a_plain_name() -> None:
    homes = {path.parent.name for path in MODULES if path.name != "site.js"}
    assert homes == FOLDERS
    assert [path.name for path in MODULES if not re.fullmatch(r"[a-z][a-z0-9_]*\.js", path.name)] == []


def test_lines_can_be_read() -> None:
    lines = {f"{path.name}:{at}": line for path in MODULES + SHEETS for at, line in enumerate(path.read_text().splitlines(), 1)}
    assert [place for place, line in lines.items() if len(line) > LONGEST_LINE] == []


def test_every_colour_is_a_token() -> None:
    found = [f"{path.name}: {colour}" for path in MODULES for colour in COLOUR.findall(path.read_text())]
    sheets = {path.name: path.read_text() for path in SHEETS if path.name != "tokens.css"}
    for path in TEMPLATES.rglob("*.html"):
        sheets[path.name] = " ".join(re.findall(r"(?:style|fill|stroke|color)=\"([^\"]*)\"|<style.*", path.read_text()))
    for name, text in sheets.items():
        found += [f"{name}: {colour}" for colour in COLOUR.findall(text) + NAMED.findall(text)]
    assert found == []


def test_every_token_that_is_used_exists_in_light_and_dark() -> None:
    written = "".join(path.read_text() for path in MODULES + SHEETS + sorted(TEMPLATES.rglob("*.html")))
    known = set(re.findall(r"(--[\w-]+)\s*:", written)) | set(re.findall(r"setProperty\(\"(--[\w-]+)\"", written))
    used = {name for name in re.findall(r"var\((--[\w-]+)\)", written) if not name.startswith("--bs-")}
    assert used - known == set()
    tokens = (STATIC / "css" / "tokens.css").read_text()
    light, dark = re.findall(r"\[data-bs-theme=\"(?:light|dark)\"\] \{(.*?)\n\}", tokens, re.S)[:2]
    assert set(re.findall(r"(--[\w-]+):", light)) == set(re.findall(r"(--[\w-]+):", dark))
