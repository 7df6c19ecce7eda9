"""The documentation names everything that can be set, typed, read or implemented, and its generated pages are up to date."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
from flask.testing import FlaskClient

import digits
from digits import errors
from digits.cli import group
from digits.cli.reference import pages
from digits.config import Settings
from digits.domain.events import EVENT_TYPES
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.view.interface import VisualizationInterface
from digits.supervisor.scheduling import POOLS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def text(name: str) -> str:
    return (DOCS / name).read_text()


def commands(command: click.Command, name: str) -> Iterator[str]:
    """The full names of a command and of all below it."""
    yield name
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from commands(found, f"{name} {child}")


@pytest.mark.parametrize("name", sorted(pages()))
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert text(name) == pages()[name], "run `make docs`"


def test_generated_pages_say_the_same_on_every_machine() -> None:
    for name in pages():
        assert str(Path.home()) not in text(name)
        assert str(ROOT) not in text(name)


def test_every_setting_is_described() -> None:
    page = text("configuration.md")
    missing = [f.name for f in fields(Settings) if f"`{f.name}`" not in page or f"`DIGITS_{f.name.upper()}`" not in page]
    assert not missing


def test_every_command_is_described() -> None:
    headings = {line.lstrip("# ") for line in text("cli.md").splitlines() if line.startswith("#")}
    assert not [name for name in commands(group, "digits") if name != "digits" and name not in headings]


def test_every_event_is_described_with_its_fields() -> None:
    rows = {line.split("`")[1]: line for line in text("events.md").splitlines() if line.startswith("| `")}
    assert set(EVENT_TYPES) <= set(rows)
    for name, event in EVENT_TYPES.items():
        own = [f.name for f in fields(event) if f.name not in ("t", "attempt")]
        assert not [field for field in own if f"`{field}`" not in rows[name]], name


def test_every_error_is_described() -> None:
    page = text("rest.md")
    for module in pkgutil.walk_packages(digits.__path__, "digits."):
        parts = module.name.split(".")
        if parts[1] in ("errors", "storage", "ipc", "service", "web") and not {"migrations", "__main__", "templates"} & set(
            parts
        ):
            importlib.import_module(module.name)
    assert not [name for name in names_below(errors.DigitsError) if f"`{name}`" not in page]


def names_below(kind: type) -> set[str]:
    """Names of our error classes that an answer may carry; those of `digits.utils.errors` are for plugins."""
    own = {kind.__name__} if kind.__module__.startswith("digits.") and kind.__module__ != "digits.utils.errors" else set()
    return own.union(*(names_below(narrower) for narrower in kind.__subclasses__()))


@pytest.mark.parametrize("interface", [DataIngestionInterface, VisualizationInterface])
def test_every_method_of_a_plugin_is_described(interface: type) -> None:
    page = text("plugins.md")
    names = [name for name in vars(interface) if not name.startswith("_")]
    assert not [name for name in names if not re.search(rf"\b{name}\b", page)]


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert not [target for target in targets if not (page.parent / target).exists()]


PLACE = re.compile(r"`((?:digits|tests)/[\w/.]*)`")


def places(page: str) -> list[str]:
    """Files and folders of the checkout that a page names; NAME in one stands for any."""
    return PLACE.findall(page)


def test_every_place_of_the_map_exists() -> None:
    named = places(text("architecture.md"))
    assert len(named) > 40
    assert not [place for place in named if not list(ROOT.glob(place.rstrip("/").replace("NAME", "*")))]


def test_the_map_names_every_room() -> None:
    page = text("architecture.md")
    rooms = {path.name.removesuffix(".py") for path in (ROOT / "digits").iterdir() if path.suffix in ("", ".py")}
    rooms -= {"__init__", "__pycache__", "download_data"}
    assert not [room for room in rooms if not re.search(rf"\b{room}\b", page)]


def test_a_list_of_how_to_add_names_only_what_is_needed() -> None:
    added = text("architecture.md").split("## How to add", 1)[1].split("\n### ")[1:]
    assert {part.splitlines()[0] for part in added} >= {"a task", "an engine", "an exporter", "an executor", "a data source"}
    for part in added:
        assert places(part), part
        assert len(places(part)) <= 10, part


@pytest.mark.parametrize(("page", "rows"), [("security.md", 25), ("jobs.md", 20)])
def test_each_promise_of_a_table_names_a_test_that_there_is(page: str, rows: int) -> None:
    """Tables of threats and of faults: *what may happen → what holds → which test shows it*."""
    promises, is_promise = [], False
    for line in text(page).splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells or cells[-1].startswith("---"):
            is_promise &= bool(cells)
        elif cells[-1] in ("test", "shown by"):
            is_promise = True
        elif is_promise:
            promises.append((cells[0], re.findall(r"`([\w/.]+\.py)`", cells[-1]), cells[-1]))
    assert len(promises) >= rows
    assert not [what for what, named, cell in promises if not named and cell != "the same"]
    tests = ROOT / "tests"
    gone = [name for _, named, _ in promises for name in named if not (tests / name.removeprefix("tests/")).is_file()]
    assert gone == []


ADDRESS = re.compile(r"`(/[^`\s?\[]*)[^`\s]*`")
CALL = re.compile(r"((?:GET|PUT|POST|DELETE)(?:, (?:GET|PUT|POST|DELETE))*) (`/[^`]*`(?:, `/[^`]*`)*)")
NUMBER = re.compile(r"\b(ROW|STEP)\b")  # of the placeholders; the others stand for texts
ENDING = "/json"  # is added to an address


def test_every_address_of_the_documentation_exists(client: FlaskClient) -> None:
    """As it stands there, or as the beginning of others, where one of our addresses begins so at all."""
    rules = [rule.rule for rule in client.application.url_map.iter_rules()]
    areas = {re.split(r"[/.]", rule)[1] for rule in rules}
    known = client.application.url_map.bind("")
    found, gone = set(), []
    for page in DOCS.glob("*.md"):
        for address in ADDRESS.findall(page.read_text()):
            if address == ENDING or (page.name != "rest.md" and re.split(r"[/.]", address)[1] not in areas):
                continue  # a file or folder, or another program's
            found.add(address)
            begins = any(rule.startswith(f"{address.rstrip('/…')}/") for rule in rules)
            gone += [] if begins or known.allowed_methods(NUMBER.sub("1", address)) else [f"{page.name}: {address}"]
    assert gone == []
    assert len(found) > 130


def test_every_address_of_the_rest_page_takes_the_methods_that_stand_before_it(client: FlaskClient) -> None:
    known, tried, wrong = client.application.url_map.bind(""), 0, []
    for methods, addresses in CALL.findall(text("rest.md")):
        for address in ADDRESS.findall(addresses):
            tried += 1
            missing = set(methods.split(", ")) - set(known.allowed_methods(address))
            wrong += [f"{method} {address}" for method in missing]
    assert wrong == []
    assert tried > 75


def test_each_pool_is_described_with_its_size() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", text("jobs.md"), re.MULTILINE)
    assert {name: int(size) for name, size in rows} == POOLS


def test_what_each_setting_guards_is_said() -> None:
    rows = text("deploy.md").split("## What each setting guards", 1)[1]
    named = {name for line in rows.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert named == {field.name for field in fields(Settings)}
