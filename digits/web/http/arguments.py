"""The arguments of a request: texts, whole numbers, decimals, flags, choices, lists, files, the job that is meant.

Holds for every route: an argument is looked up in the query string, then in the form, then in a JSON body; options of
inference in the form first (R 1.0). What is blank counts as not sent where another place has more. Of an argument that is
sent several times the first one counts. Numbers are read by `digits.utils.values`. What cannot be read is a BadRequest that
says what was found, what is expected and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any, TypeVar

from flask import g, request
from werkzeug.datastructures import FileStorage
from werkzeug.routing import IntegerConverter

from digits.errors import BadRequest
from digits.service.files.form_files import save_form_file
from digits.storage.jobs.store import Job
from digits.utils import values
from digits.utils.values import LARGEST, shown
from digits.web.http.access import only_reads
from digits.web.http.request import get_service

N = TypeVar("N")
OF_INFERENCE = frozenset(
    {
        "snapshot_epoch",
        "image_path",
        "image_list",
        "image_folder",
        "num_test_images",
        "top_n",
        "show_visualizations",
        "dont_resize",
        "db_path",
        "view_extension_id",
        "data_extension_id",
    }
)
BOXES = "boxes[]"  # the macro `field` sends it beside each box


class WholeNumber(IntegerConverter):
    """`<int:name>` in an address: as many ASCII digits as a whole number has; no other address matches (404)."""

    regex = "[0-9]{1,15}"


def given(name: str) -> str | None:
    """The text of an argument as it was sent, blank ones too; None when it was not sent."""
    found = texts(name)
    return found[0] if found else None


def text(name: str, default: str = "") -> str:
    """An argument without the blanks around it; `default` when it is blank or was not sent."""
    return (given(name) or "").strip() or default


def required(name: str) -> str:
    """An argument that must be there: BadRequest names it when it is not."""
    found = text(name)
    if not found:
        raise BadRequest(f"{name} is a required field.", advice=f"Send {name} in the address or in the form.")
    return found


def dataset() -> str:
    """The id of the data set that a request names: `dataset`, or `dataset_id` as JSON has it."""
    return text("dataset") or text("dataset_id")


def texts(name: str) -> list[str]:
    """All values of a repeated argument, e.g. `job_ids[]`; a JSON body may hold a list."""
    places = (request.form, request.args) if name in OF_INFERENCE else (request.args, request.form)
    value = _json_body().get(name)
    in_json = [] if value is None else [_plain(item, name) for item in (value if isinstance(value, list) else [value])]
    sent = [found for found in (*(place.getlist(name) for place in places), in_json) if found]
    return next((found for found in sent if any(map(str.strip, found))), sent[0] if sent else [])


def _plain(item: Any, name: str) -> str:
    if isinstance(item, dict | list):
        raise BadRequest(f"{name} holds {shown(json.dumps(item))}, which is no text.", advice="Send a text or a number.")
    return str(item)


def items(name: str) -> list[str] | None:
    """A list: a JSON list, a repeated argument, or one text `a, b` or `[a, b]`. None when it was not sent; the empty
    list when it was sent blank."""
    value = _json_body().get(name)
    if isinstance(value, list) and name not in request.args and name not in request.form:
        if wrong := [item for item in value if not isinstance(item, str | int | float) or isinstance(item, bool)]:
            raise BadRequest(f"{name} holds {shown(str(wrong[0]))}, which is no text.", advice="Send a list of texts.")
        return [str(item) for item in value]
    found = texts(name)
    if len(found) != 1:
        return found or None
    text = found[0].strip()
    return (text[1:-1] if text.startswith("[") and text.endswith("]") else text).split(",")


def sent_names() -> set[str]:
    """The names of all arguments that came, wherever they stood."""
    return {*request.args, *request.form, *request.files, *_json_body()}


def whole(name: str, default: N, *, least: int = 0, most: int = LARGEST) -> int | N:
    """A whole number from `least` on; what is larger than `most` counts as `most`."""
    found = text(name)
    return values.whole(found, name, least=least, most=most) if found else default


def decimal(name: str, default: N, **bounds: float) -> float | N:
    """A finite number between `least` and `most`."""
    found = text(name)
    return values.decimal(found, name, **bounds) if found else default


def flag(name: str, default: bool = False) -> bool:
    """Yes (`1`, `true`, `checked`, …) or no (`0`, `false`, …); a word that says neither leaves the default, as it always did."""
    said = values.boolean(text(name))
    return default if said is None or not text(name) else said


def choice(name: str, choices: Collection[str], default: str) -> str:
    """One of `choices`."""
    found = text(name, default)
    if found != default and found not in choices:
        advice = f"Leave it out for {default}." if default else "Leave it out for all."
        raise BadRequest(f"{name} is {shown(found)}, expected one of {', '.join(choices)}.", advice=advice)
    return found


def file(name: str) -> FileStorage | None:
    """An uploaded file; None when none was chosen."""
    found = request.files.get(name)
    return found if found is not None and found.filename else None


def job(*kinds: str) -> Job:
    """The job named by the argument `job_id`: 400 when the argument is missing, 404 when there is no such job (R 1.0)."""
    return get_service().store.get(required("job_id"), *kinds)


def form_values() -> dict[str, Any]:
    """All values sent: query string beneath the form (or JSON body), where that says something; a repeated field is a list.

    A page names its boxes in `boxes[]`: those that are not ticked, which browsers do not send, are `false`. Uploaded files
    are written below the uploads folder, but for a route that only reads; their field holds the file's absolute path (a list
    for several).
    """
    found: dict[str, Any] = {**query_values(), **_flat(request.form.lists()), **_json_body()}
    found |= {name: sent for name, sent in query_values().items() if isinstance(found[name], str) and not found[name].strip()}
    for name, files in () if only_reads() else request.files.lists():
        paths = [str(save_form_file(get_service(), sent.stream, sent.filename)) for sent in files if sent.filename]
        if paths:
            found[name] = paths[0] if len(paths) == 1 else paths
    found.pop(BOXES, None)
    return {**dict.fromkeys(request.form.getlist(BOXES), "false"), **found}


def query_values() -> dict[str, Any]:
    """The arguments of the query string; a repeated one is a list."""
    return _flat(request.args.lists())


def json_value() -> Any:
    """What a body of JSON holds; None for one that is none. BadRequest for a text that is no Unicode."""
    try:
        value = request.get_json(silent=True) if request.is_json else None
        if value and rb"\ud" in request.get_data().lower():
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:  # nested beyond all measure: no JSON that anybody reads
        return None
    except UnicodeEncodeError as error:
        raise BadRequest("The JSON body holds half of a character (\\ud800 to \\udfff alone).", advice="Leave it out.") from error
    return value


def _json_body() -> dict[str, Any]:
    if "json_body" not in g:
        value = json_value()
        g.json_body = value if isinstance(value, dict) else {}
    found: dict[str, Any] = g.json_body
    return found


def _flat(lists: Iterable[tuple[str, list[str]]]) -> dict[str, Any]:
    return {name: found[0] if len(found) == 1 else found for name, found in lists}
