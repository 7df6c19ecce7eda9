"""`digits dataset recognise`, `form`, `preview` and `create-from`: data sets of every source, built in or a plugin's, by the
fields of its own form."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from digits import tasks
from digits.cli import print_json
from digits.cli.follow import follow
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.processes import answering
from digits.domain.jobs import Kind
from digits.errors import BadRequest, NotFound
from digits.service import Service
from digits.service.datasets import classification, databases
from digits.service.datasets.contents import CLASSIFICATION, dataset_dict
from digits.service.datasets.from_source import PluginSource, form_fields
from digits.service.datasets.from_source import recognise as recognised
from digits.service.datasets.source import Source, create_dataset
from digits.service.datasets.source import preview as look_at
from digits.service.forms import BoundForm, FormModel
from digits.service.models.create import create_models
from digits.service.plugins import host as plugins
from digits.service.plugins.paths import is_path_field
from digits.storage.jobs.store import Job

SHORT = {"name": "dataset_name", "group": "group_name"}
OF_CREATE = {"folder_pct_val": "val", "folder_pct_test": "test"}  # names that `digits dataset create` gives to fields
STARTING_SECONDS = 60.0  # of a plugin host that is just being started
ANY_OPTIONS = {"ignore_unknown_options": True, "allow_extra_args": True}


def follow_made(service: Service, job: Job, no_wait: bool, as_json: bool) -> bool:
    """Wait for a data set that was just created, unless it is not to be waited for, and print it: its id, or all of it as JSON.
    Gives whether all is well."""
    done = no_wait or follow(service, [job.id], quiet=as_json)
    if as_json:
        print_json(dataset_dict(service, service.store.get(job.id), verbose=True))
    else:
        click.echo(job.id)
    return done


@click.command("recognise")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@jobs_dir_option
@json_option
def recognise(folder: Path, jobs_dir: str | None, as_json: bool) -> None:
    """Say what kind of data set lies in FOLDER, the likeliest first, each with the command that makes it."""
    with open_service(jobs_dir) as service, answering(service):
        found = recognised(service, str(folder.absolute()))
    if as_json:
        print_json(found)
        return
    for proposal in found["proposals"]:
        click.echo(f"{proposal['title']}: {proposal['reason']}\n  {command_for(proposal)}")
    for remark in found["remarks"]:
        click.echo(remark)
    if not found["proposals"]:
        click.echo(
            "No source recognises this folder. `digits plugins list` shows them, `digits dataset form SOURCE` the fields of one."
        )


@click.command("form")
@click.argument("source")
@jobs_dir_option
@json_option
def form(source: str, jobs_dir: str | None, as_json: bool) -> None:
    """Print the fields that SOURCE takes, each an option of `digits dataset create-from`.

    SOURCE is the id of a built-in source or a plugin (`digits plugins list` shows them), or `prebuilt` for databases that exist
    already.
    """
    with open_service(jobs_dir) as service, answering(service):
        fields = fields_of(service, source_of(service, source))
    if as_json:
        print_json(fields)
        return
    for field in fields:
        choices = "|".join(choice[0] for choice in field["choices"])
        kind = choices or ("PATH" if field["path"] or field["upload"] else "y|n" if field["type"] == "BooleanField" else "TEXT")
        default = f" [default: {field['default']}]" if field["default"] not in (None, "", []) else ""
        click.echo(f"--{field['name'].replace('_', '-')} {kind}\n    {field['label']}{default}")


@click.command("create-from", context_settings=ANY_OPTIONS)
@click.argument("source")
@click.option("--owner", default="", help="Account that the data set belongs to.")
@click.option("--no-wait", is_flag=True, help="Only put it in the queue of a running server.")
@jobs_dir_option
@json_option
@click.argument("fields", nargs=-1, type=click.UNPROCESSED, metavar="[--FIELD VALUE]...")
def create_from(source: str, owner: str, no_wait: bool, jobs_dir: str | None, as_json: bool, fields: Sequence[str]) -> None:
    """Make a data set through SOURCE: built in, a plugin's, or `prebuilt` for databases that exist already.

    Every field of its form is an option, with `_` or `-`: --feature-folder pictures --label-folder masks --name cars. A box is
    given alone (--has-val-folder) or denied (--no-has-val-folder). `digits dataset form SOURCE` prints them.
    """
    with open_service(jobs_dir) as service:
        with answering(service):
            chosen = source_of(service, source)
            job = create_dataset(service, chosen, form_values(service, chosen, given_fields(fields)), owner)
        done = follow_made(service, job, no_wait, as_json)
    sys.exit(0 if done else 1)


@click.command("preview", context_settings=ANY_OPTIONS)
@click.argument("source")
@jobs_dir_option
@json_option
@click.argument("fields", nargs=-1, type=click.UNPROCESSED, metavar="[--FIELD VALUE]...")
def preview(source: str, jobs_dir: str | None, as_json: bool, fields: Sequence[str]) -> None:
    """Say what `digits dataset create-from` would make with the same options: how many entries, which classes, what is wrong."""
    with open_service(jobs_dir) as service, answering(service):
        chosen = source_of(service, source)
        found = look_at(service, chosen, {"dataset_name": "?", **form_values(service, chosen, given_fields(fields))})
    if as_json:
        print_json({**found, "samples": [{k: v for k, v in sample.items() if k != "picture"} for sample in found["samples"]]})
        return
    click.echo(", ".join(f"{name}: {count:,}" for name, count in found["counts"].items()))
    if found["class_labels"]:
        click.echo(f"classes: {', '.join(map(str, found['class_labels']))}")
    for problem in found["problems"]:
        click.echo(f"{problem.get('entry', '')}: {problem.get('reason', '')}".lstrip(": "), err=True)
    click.echo(f"{found['tried']} entries tried, {found['failed']} of them cannot be read")


def clone_job(service: Service, job: Job, owner: str) -> Job:
    """A job like a data set or model, made from its form. Raises BadRequest for other jobs."""
    if job.kind == Kind.MODEL:
        return create_models(service, tasks.recorded(job.task).area, {"clone": job.id}, owner)[0]
    if job.kind != Kind.DATASET:
        raise BadRequest(f"An {job.kind} cannot be cloned.", advice="Start another one of its model.")
    if job.extension in CLASSIFICATION.values():
        return create_dataset(service, classification.SOURCE, {"clone": job.id}, owner)
    return create_dataset(service, source_of(service, job.extension or databases.EXTENSION), {"clone": job.id}, owner)


def source_of(service: Service, name: str) -> Source:
    """The source with this id. Raises NotFound that names all there are."""
    if name == databases.EXTENSION:
        return databases.SOURCE
    known = {row["id"] for row in plugins.table(service, STARTING_SECONDS)["data"]} - set(CLASSIFICATION.values())
    if name not in known:
        advice = f"There are {', '.join(sorted({databases.EXTENSION, *known}))}; classes of pictures: `digits dataset create`."
        raise NotFound(f"There is no source {name!r} for this.", advice=advice)
    return PluginSource(name)


def fields_of(service: Service, source: Source) -> list[dict[str, Any]]:
    """All fields of a source's form as `digits.plugin_host.binding.describe` has them: the plugin's own, then ours."""
    own = form_fields(service, source.extension_id, {}) if isinstance(source, PluginSource) else []
    return [*own, *_described(source.model)]


def given_fields(words: Iterable[str]) -> dict[str, Any]:
    """Options that click does not know as values of a form: `--a-b c`, `--a=b`, `--box`, `--no-box`; a repeated one is a list.

    The names are as they were given, with `_` for `-`. Raises BadRequest for a value that belongs to no option.
    """
    found: dict[str, Any] = {}
    name = ""
    for word in words:
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            name = name.replace("-", "_")
            _add(found, name, value if equals else True)
            name = "" if equals else name
        elif name:
            found[name] = word if found[name] is True else [*found[name][:-1], word]
            name = ""
        else:
            raise BadRequest(f"{word!r} belongs to no option.", advice="Write --field value.")
    return found


def _add(found: dict[str, Any], name: str, value: Any) -> None:
    before = found.get(name)
    found[name] = value if name not in found else [*(before if isinstance(before, list) else [before]), value]


def form_values(service: Service, source: Source, given: Mapping[str, Any]) -> dict[str, Any]:
    """Form values by their full names, paths absolute; what nothing was said about is as the page shows it at first. Raises
    BadRequest for a field that the source does not have."""
    known = {field["name"]: field for field in fields_of(service, source)}
    values = shown_values(known)
    for name, value in given.items():
        full = name if name in known or name not in SHORT else SHORT[name]
        denied = full.removeprefix("no_")
        if full not in known and full != denied and denied in known and value is True:
            full, value = denied, "false"
        if full not in known:
            advice = f"It has {', '.join('--' + other.replace('_', '-') for other in known)}."
            raise BadRequest(f"The source has no field --{name.replace('_', '-')}.", advice=advice)
        values[full] = "y" if value is True else value
    return {name: absolute_value(known[name], value) for name, value in values.items()}


def shown_values(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a form sends that nobody touched: its defaults, but for what is blank and boxes that are not ticked."""
    shown = {name: field["default"] for name, field in fields.items() if not field["upload"]}
    return {name: "y" if value is True else value for name, value in shown.items() if value or type(value) in (int, float)}


def absolute_value(field: Mapping[str, Any], value: Any) -> Any:
    """The value of a form's field, as `digits.plugin_host.binding.describe` has it, with absolute paths in fields for paths: the
    plugin host knows no current directory."""
    if isinstance(value, list):
        return [absolute_value(field, item) for item in value]
    is_path = is_path_field(field) and value and "://" not in value
    return str(Path(value).expanduser().absolute()) if is_path else value


def _described(model: type[FormModel]) -> list[dict[str, Any]]:
    """The fields of a form of ours, as those of a plugin are described."""
    kinds = {"checkbox": "BooleanField", "number": "DecimalField", "select": "SelectField"}
    return [
        {
            "name": field.name,
            "label": field.title,
            "type": kinds.get(field.widget, "StringField"),
            "multiline": field.widget in ("textarea", "code"),
            "upload": field.widget == "upload",
            "path": field.widget == "path",
            "choices": [list(choice) for choice in field.choices.items()],
            "default": field.value,
        }
        for field in BoundForm(model)
        if field.widget != "hidden"
    ]


def command_for(proposal: Mapping[str, Any]) -> str:
    """The command that makes what is proposed."""
    values = dict(proposal["values"])
    if proposal["extension"] in CLASSIFICATION.values():
        words = ["digits", "dataset", "create", *filter(None, [values.pop("folder_train", "")])]
        values = {OF_CREATE.get(name, name): value for name, value in values.items()}
    else:
        words = ["digits", "dataset", "create-from", str(proposal["extension"])]
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        elif value not in (None, ""):
            words += [word for item in (value if isinstance(value, list) else [value]) for word in (option, str(item))]
    return shlex.join(words)
