"""What docs/compatibility-table.md says of every name of the original is true: what works and what differs is tried on real jobs,
what is gone is not there."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import click
import pytest
from flask import Flask

from digits.cli import group
from digits.config import Settings, load
from digits.domain.training import LR_POLICIES
from digits.errors import NotFound
from digits.extensions import loader
from digits.frameworks import frameworks
from digits.networks.catalog import standard_networks
from digits.plugin_host.binding import describe, request_with
from digits.service.datasets.classification import ClassificationDatasetForm
from digits.service.datasets.databases import PrebuiltForm
from digits.service.datasets.from_source import RecordsForm
from digits.service.forms import FormModel, parse
from digits.service.models.form import LR_PARAMETERS, ModelForm
from tests.compatibility.routes import ROUTES, a_database, a_list, one_picture, own_form
from tests.compatibility.table import DIFFERS, GONE, TABLE, WORKS, Row, read_table, rows_of
from tests.compatibility.world import JSON, World, train_fields, world_in
from tests.plugins.tree import plugins_of_the_tree

FORMS: dict[str, type[FormModel]] = {
    "Fields of image classification data sets": ClassificationDatasetForm,
    "Fields of data sets out of databases": PrebuiltForm,
    "Fields of plugins' data sets": RecordsForm,
    "Fields of models": ModelForm,
}
OF_PLUGINS = {"Fields of sources that come with digits": "data", "Options of views that come with digits": "view"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_in(tmp_path_factory.mktemp("world")) as found:
        yield found


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The packages of `plugins/`, as they are in this tree."""
    with plugins_of_the_tree(tmp_path_factory.mktemp("site")):
        yield


def test_every_row_says_what_became_of_its_name() -> None:
    assert {row.verdict for row in TABLE} == {WORKS, DIFFERS, GONE}
    assert not [row.name for row in TABLE if row.verdict != WORKS and len(row.note) < 3]
    keys = [(row.section, row.name) for row in TABLE]
    assert len(keys) == len(set(keys))


def test_a_row_is_read_as_it_is_written() -> None:
    text = "## S\n\n| name | default | verdict | note |\n|---|---|---|---|\n| `a` | 1 | works | |\n"
    assert read_table(text) == [Row("S", "a", "works", "", "1")]


# -- routes -------------------------------------------------------------------------------------------------------------


def test_every_route_is_tried() -> None:
    assert [row.name for row in rows_of("Routes")] == list(ROUTES)


@pytest.mark.parametrize("row", rows_of("Routes"), ids=str)
def test_route(world: World, row: Row) -> None:
    method, path = row.name.split(" ", 1)
    attempt = ROUTES[row.name]
    assert (attempt.code in (404, 405) and not attempt.words) == (row.verdict == GONE)
    spare, _, kind = attempt.job.rpartition(" ")
    job_id = world.spare(kind) if spare else world.ids[kind]
    address = (attempt.address or path.replace("<id>", job_id)).format(**world.ids)
    fields = {name: value if isinstance(value, tuple) else str(value) for name, value in attempt.fields(world).items()}
    sent: dict[str, Any] = {"query_string": fields} if method == "GET" and fields else {"data": fields}
    answer = world.client.open(address, method=method, **sent)
    assert answer.status_code == attempt.code, answer.data[:2000]
    assert attempt.words.encode() in answer.data
    answer.close()
    if address.endswith("logout"):
        world.client.post("/login", data={"username": "digits-testsuite"})


@pytest.mark.parametrize("row", [row for row in rows_of("Routes") if "twin" in row.note], ids=str)
def test_twin(world: World, row: Row) -> None:
    """Beside each page its JSON: the address is known with the method, and answers with JSON or an error in JSON."""
    method, path = row.name.split(" ", 1)
    address = path.replace("<id>", world.ids["dataset" if path.startswith("/datasets") else "model"])
    address = "/index.json" if address == "/" else address.replace("<ext>", "image-gradients") + ".json"
    answer = world.client.open(address, method=method, headers=JSON, follow_redirects=True)
    assert answer.is_json, answer.text[:300]
    assert answer.status_code in (200, 400)


# -- forms --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("section", FORMS)
def test_fields_of_our_forms(section: str) -> None:
    """Each field that is there has the default that the table names, and takes it as a script writes it."""
    form = FORMS[section]
    for row in rows_of(section):
        assert (row.name in form.model_fields) == (row.verdict != GONE), row.name
        if row.verdict != GONE:
            info = form.model_fields[row.name]
            assert row.default == ("–" if info.is_required() else as_text(info.get_default(call_default_factory=True)))
            needed = {name: "x" for name, other in form.model_fields.items() if other.is_required()}
            written = needed.get(row.name, {"on": "y", "off": "false"}.get(row.default, row.default))
            kept = getattr(parse(form, {**needed, row.name: written}), row.name)
            assert as_text(kept) == (written if row.default == "–" else row.default), row.name


def test_unknown_fields_are_ignored() -> None:
    gone = {row.name: "1" for section in FORMS for row in rows_of(section) if row.verdict == GONE}
    assert parse(RecordsForm, {"dataset_name": "d", **gone}).dataset_name == "d"


@pytest.mark.parametrize("section", OF_PLUGINS)
@pytest.mark.usefixtures("bundled")
def test_fields_of_plugins_forms(section: str) -> None:
    app = Flask("forms")
    app.config.update(WTF_CSRF_ENABLED=False, SECRET_KEY="x")
    for row in rows_of(section):
        extension, field = row.name.split(": ")
        cls = loader.get(OF_PLUGINS[section], extension).cls
        with request_with(app, None):
            form = cls.get_dataset_form() if OF_PLUGINS[section] == "data" else cls.get_config_form()
            known = {found["name"]: as_text(found["default"]) for found in describe(form, "")}
        assert field in known, row.name
        assert row.default in ("*", known[field]), row.name


def as_text(value: Any) -> str:
    """A value as the table writes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ",".join(map(as_text, value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


# -- networks, solvers, policies, variables -------------------------------------------------------------------


def test_standard_networks() -> None:
    """Those that work are there for both frameworks; those that are gone have another in their place, or a text."""
    for row in rows_of("Standard networks"):
        names = [row.name] if row.verdict == WORKS else re.findall(r"`(\w+)`", row.note)
        for framework in ("pytorch", "tensorflow"):
            offered = {network.name for network in standard_networks(framework)}
            assert set(names) <= offered, row
            assert row.verdict == WORKS or row.name not in offered


def test_solvers() -> None:
    for row in rows_of("Solvers"):
        form = parse(ModelForm, {"model_name": "m", "dataset": "d", "solver_type": row.name})
        assert form.solver().settled()
        assert all(row.name in frameworks()[framework].solvers for framework in ("pytorch", "tensorflow"))


@pytest.mark.parametrize("row", rows_of("Learning-rate policies"), ids=str)
def test_policies(world: World, row: Row) -> None:
    """Each policy draws 101 points for each rate, and knows the parameters that the table of fields has of it."""
    answer = world.client.post("/models/visualize-lr", data={"lr_policy": row.name, "learning_rate": "0.1,0.01"})
    assert [len(column) for column in answer.json["data"]["columns"]] == [102, 102]
    of_fields = {field.name for field in rows_of("Fields of models") if field.name.startswith(f"lr_{row.name}_")}
    assert of_fields == set(LR_PARAMETERS[row.name])
    assert row.name in LR_POLICIES


def test_variables() -> None:
    values = {"DIGITS_LOGFILE_LEVEL": "DEBUG", "DIGITS_ALL_EXTENSIONS": "1", "DIGITS_URL_PREFIX": "/x"}
    known = {f"DIGITS_{field.name.upper()}": field.name for field in dataclasses.fields(Settings)}
    for row in rows_of("Environment variables"):
        assert (row.name in known) == (row.verdict != GONE), row.name
        if row.verdict != GONE:
            loaded = load(environ={row.name: values.get(row.name, "/tmp/x")})
            assert loaded.sources[known[row.name]] == row.name
            assert getattr(loaded.settings, known[row.name]) != getattr(Settings(), known[row.name])


# -- answers ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answers(world: World) -> dict[str, Any]:
    """An answer of each kind, by the name that rows have before their colon."""
    client, ids = world.client, world.ids
    inference = "/models/images/generic"
    rates = {**train_fields(world), "learning_rate": "[0.1, 0.01]", "batch_size": "8, 10"}
    sweep = client.post("/models/images/classification.json", data=rates)
    client.delete("/jobs", data={"job_ids[]": [job["id"] for job in sweep.json["jobs"]]})
    sent = {
        "error": client.post(f"{inference}/infer_one.json"),
        "form": client.post("/models/images/classification.json"),
        "sweep": sweep,
        "index": client.get("/index.json"),
        "completed_jobs": client.get("/completed_jobs.json"),
        "row": client.get(f"/jobs/{ids['model']}/table_data.json"),
        "status": client.get(f"/jobs/{ids['model']}/status"),
        "autocomplete": client.get("/autocomplete/path?query=/"),
        "dataset": client.get(f"/datasets/{ids['dataset']}.json"),
        "plugin dataset": client.get(f"/datasets/{ids['plugin_dataset']}.json"),
        "model": client.get(f"/models/{ids['model']}.json"),
        "customize": client.post(f"/models/customize?network={ids['model']}", data={"snapshot_epoch": 1}),
        "visualize-lr": client.post("/models/visualize-lr"),
        "classify_one": client.post("/models/images/classification/classify_one.json", data=one_picture(world)),
        "classify_many": client.post("/models/images/classification/classify_many.json", data=a_list(world)),
        "infer_one": client.post(f"{inference}/infer_one.json", data={**one_picture(world), "show_visualizations": 1}),
        "infer_many": client.post(f"{inference}/infer_many.json", data=a_list(world)),
        "infer_db": client.post(f"{inference}/infer_db.json", data=a_database(world)),
        "infer_extension": client.post(f"{inference}/infer_extension.json", data=own_form(world)),
    }
    return {**{name: answer.json for name, answer in sent.items()}, "row": sent["row"].json["job"]}


@pytest.mark.parametrize("row", rows_of("JSON keys"), ids=str)
def test_key(answers: dict[str, Any], row: Row) -> None:
    of, key = row.name.split(": ")
    if of not in answers:
        assert row.verdict == GONE
        return
    found = answers[of]
    parts = key.split(".") if of == "error" else [key]
    for part in parts[:-1]:
        found = found[part]
    assert (parts[-1] in found) == (row.verdict != GONE), found
    if isinstance(found.get(key), list) and found[key] and isinstance(found[key][0], dict) and "`" in row.note:
        assert not [name for name in re.findall(r"`(\w+)`", row.note) if name not in found[key][0]]


def test_predictions_have_the_shape_that_scripts_read(world: World, answers: dict[str, Any]) -> None:
    (label, percent), *others = answers["classify_one"]["predictions"]
    assert (type(label), len(others)) == (str, 2)
    assert percent == round(percent, 2)
    assert list(answers["classify_many"]["classifications"]) == [str(world.picture)]
    assert len(answers["infer_one"]["outputs"]["output"][0]) == 3
    assert len(answers["infer_many"]["outputs"][str(world.picture)]["output"]) == 3
    assert answers["model"]["image dimensions"] == [10, 10, 3]
    assert answers["plugin dataset"]["feature_dims"] == [8, 8, 1]


# -- commands and the rest ----------------------------------------------------------------------------------------------


def test_arguments_are_sent_to_some_route(world: World) -> None:
    sent = {name for attempt in ROUTES.values() for name in attempt.fields(world)}
    sent |= {name for attempt in ROUTES.values() for name in re.findall(r"[?&](\w+)=", attempt.address)}
    assert not [row.name for row in rows_of("Arguments") if (row.name in sent) != (row.verdict != GONE)]


def test_commands() -> None:
    scripts = {point.name for point in metadata.distribution("digits").entry_points if point.group == "console_scripts"}
    for row in rows_of("Commands"):
        command, *options = row.name.removeprefix("python -m ").split()
        if row.verdict == GONE:
            assert command not in scripts
            assert not is_module(f"digits.{command.removeprefix('digits.').replace('/', '.').removesuffix('.py')}"), row.name
        elif row.verdict == DIFFERS:
            assert command_of(row.note.split("`")[1].removeprefix("digits ").split()) is not None, row.name
        else:
            assert is_module(command)
            assert set(options) <= {name for one in (group, command_of(["serve"])) for name in options_of(one)}, row.name


def test_options_of_the_tools() -> None:
    for row in rows_of("Options of the tools"):
        tool, options = row.name.split(": ")
        command = command_of([tool] if tool == "download-data" else ["tools", tool])
        assert set(options.split(", ")) <= options_of(command), row.name


@pytest.mark.usefixtures("bundled")
def test_plugins() -> None:
    for row in rows_of("Plugins"):
        kind, _, extension = row.name.partition(" ")
        if not extension:
            assert row.name in loader.GROUPS.values()
        elif row.verdict == GONE:
            with pytest.raises(NotFound):
                loader.get(kind, extension)
        else:
            assert loader.get(kind, extension).ok


def test_live_events(world: World) -> None:
    assert world.client.get("/socket.io/").status_code == 404
    assert world.client.get("/machine.json").status_code == 200
    assert {row.verdict for row in rows_of("Live events")} == {GONE}


def test_what_the_notes_name_exists() -> None:
    """Commands of ours that notes name, and sections that nothing tries."""
    tried = {
        "Routes",
        "Arguments",
        "Standard networks",
        "Solvers",
        "Learning-rate policies",
        "JSON keys",
        "Environment variables",
        "Commands",
    }
    tried |= {"Options of the tools", "Live events", "Plugins", *FORMS, *OF_PLUGINS}
    assert {row.section for row in TABLE} == tried
    for words in re.findall(r"`digits ([a-z_ -]+)", " ".join(row.note for row in TABLE)):
        assert command_of(words.split()) is not None, words


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def command_of(words: list[str]) -> click.Command | None:
    """The command of ours that begins with these words; those behind it are arguments and options."""
    command: click.Command | None = group
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
    return command


def options_of(command: click.Command | None) -> set[str]:
    assert command is not None
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
