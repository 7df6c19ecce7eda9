"""Predictions at once over HTTP (R 5), answered by the predictor without a job: a picture and its classes, and for a model of any
task one picture, many, a database or what a plugin encodes, as JSON or in a view.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Set
from typing import Any

from flask import Blueprint, g, render_template

from digits.domain.access import Scope
from digits.domain.inference import Answering
from digits.domain.jobs import PREDICTING
from digits.domain.metrics import nonfinite_text
from digits.errors import BadRequest, FormErrors
from digits.extensions.data.files.text import LARGEST_LIST, decoded, whole_text
from digits.ipc.scratch import scratch_folder
from digits.service.datasets.from_source import plugin_values
from digits.service.evaluations import inputs as pictures
from digits.service.evaluations import predict as inference
from digits.service.evaluations import sources
from digits.service.evaluations.answering import FIELDS, outputs_json
from digits.service.evaluations.layers import layers_json, learned_parameters
from digits.service.evaluations.sources import TestResults
from digits.service.files import confine as paths
from digits.service.models.snapshots import Snapshot, find_snapshot
from digits.service.plugins import host as plugins
from digits.service.plugins import views as plugin_views
from digits.storage.jobs.store import Job
from digits.utils.values import sizeof_fmt
from digits.web.evaluations.asked import asked_answering
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import describes, get_service, json_answer, wants_json
from digits.web.http.security import csp_nonce
from digits.web.plugins.policy import allow_plugin_code

CLASSIFICATION = "/models/images/classification"
GENERIC = "/models/images/generic"
ALWAYS_OURS = frozenset({"job_id", "snapshot_epoch", "view_extension_id", "data_extension_id", "username", "csrf_token"})
OF_THE_DATASET = "all-default"  # as `data_extension_id`
OWN_ARGUMENTS = ALWAYS_OURS | {
    "image_path",
    "image_file",
    "image_list",
    "image_folder",
    "num_test_images",
    "dont_resize",
    "db_path",
    *FIELDS,
    "record",
    "second",
    "second_epoch",
    "show_visualizations",
}
LAYERS = "Also show weights and activations of every layer."
LAYERS_ANSWER = (
    "with `show_visualizations` `visualizations`: `name`, `vis_type` (Weights, Activation), `layer_type`, `param_count`, `image` "
    "(a `data:` address), `data_stats` (`shape`, `mean`, `stddev`, `min`, `max`, `histogram`: counts, centres, ticks); and "
    "`total_parameters`."
)
COMMON = {
    "job_id": "The model.",
    "snapshot_epoch": "Which snapshot, also `best` or `start`; absent, 0 or -1: the newest.",
    "view_extension_id": "The view that shows the results (page only); its options are sent beside it. JSON refuses what the "
    "page would.",
}
ONE = {
    **COMMON,
    "image_path": "A picture on the server.",
    "image_file": "An uploaded picture.",
    "dont_resize": "Keep its size.",
    **FIELDS,
}
MANY = {
    **COMMON,
    "image_list": "A text file: `path [label]` a line; without it all pictures of `image_folder`.",
    "image_folder": "Where relative paths start.",
    "num_test_images": "Only the first N.",
    "dont_resize": "Keep the pictures' sizes.",
    **FIELDS,
}
CLASSIFY_ONE = {
    "job_id": "The model.",
    "image_path": "A picture on the server, or an http(s) address where the setting allow_urls permits it.",
    "image_file": "An uploaded picture.",
    "record": "A picture of the model's data set, e.g. `val:17`.",
    "snapshot_epoch": "Which snapshot, also `best` or `start`; absent, 0 or -1: the newest.",
    "show_visualizations": LAYERS,
    **FIELDS,
}


def register(area: Blueprint) -> None:
    """Add the routes of classification."""
    area.add_url_rule(f"{CLASSIFICATION}/classify_one", "classify_one", classify_one, methods=["GET", "POST"])
    area.add_url_rule(f"{CLASSIFICATION}/classify_one.json", "classify_one_json", classify_one, methods=["POST"])


def register_for_any_model(area: Blueprint) -> None:
    """Add the routes of models of any task to the area of plugins."""
    for name, handler in (
        ("infer_one", infer_one),
        ("infer_many", infer_many),
        ("infer_db", infer_db),
        ("infer_extension", infer_extension),
    ):
        handler = _with_scratch(handler)
        area.add_url_rule(f"{GENERIC}/{name}", name, handler, methods=["GET", "POST"])
        area.add_url_rule(f"{GENERIC}/{name}.json", f"{name}_json", handler, methods=["POST"])


@describes(
    form=CLASSIFY_ONE,
    answer="`predictions`: the five best `[label, percent]`; `snapshot_epoch`, `device`, `seconds`; " + LAYERS_ANSWER,
)
@needs(Scope.RUN, recorded=False)
def classify_one() -> Any:
    """Classify one picture."""
    service = get_service()
    model = arguments.job(*PREDICTING)
    inference.check_classifies(model)
    picture, name = sent_picture(model)
    layers = arguments.flag("show_visualizations")
    epoch = arguments.text("snapshot_epoch")
    result = inference.classify_one(service, model, picture, epoch, layers=layers, how=asked_answering(model))
    if wants_json():
        return json_answer(
            {
                "predictions": [[p.label, p.percent] for p in result.predictions],
                "snapshot_epoch": result.snapshot.epoch,
                "device": result.device,
                "seconds": result.seconds,
                **({"notes": [result.note]} if result.note else {}),
                **(layers_json(result.layers) if layers else {}),
            }
        )
    total = learned_parameters(result.layers)
    return render_template("inference/classify_one.html", model=model, result=result, name=name, parameters=total)


def _with_scratch(handler: Callable[[], Any]) -> Callable[[], Any]:
    """Large arrays of a request lie in files of a folder of its own, `g.scratch`, until it is answered."""

    @functools.wraps(handler)
    def inside() -> Any:
        with scratch_folder(get_service().jobs_dir) as g.scratch:
            return handler()

    return inside


@describes(
    form={**ONE, "show_visualizations": LAYERS},
    answer="`outputs`: name → nested list with batch axis, in the network's pixels; `nonfinite`: 1 where it holds NaN or "
    "infinity; where the answer lies over the picture, `in_picture`: `boxes`, `mask` or `picture` in the given picture's own "
    "pixels, and `scale` [x, y] from the network's pixels to those; `pixels_of` is `picture`, or `record` where only a record is "
    "known, whose pixels they are then; " + LAYERS_ANSWER,
)
@needs(Scope.RUN, recorded=False)
def infer_one() -> Any:
    """Run one picture through a model."""
    model, snapshot = _model()
    _check_view()
    picture, name = sent_picture(model)
    layers, whole, how = arguments.flag("show_visualizations"), arguments.flag("dont_resize"), asked_answering(model)
    tested = sources.run_pictures(
        get_service(), model, [(name, picture)], snapshot, whole, g.scratch, not wants_json(), layers=layers, how=how
    )
    if wants_json():
        sample = tested.samples[0]
        outputs, left_out = outputs_json(sample, how)
        found = {key: [values] for key, values in outputs.items()}
        own = sample.in_picture
        lies = {"scale": own["scale"], "pixels_of": own["pixels_of"], "in_picture": own} if own else {}
        said = [text for text in (sample.note, left_out) if text]
        notes = {"notes": said} if said else {}
        inside = layers_json(tested.layers) if layers else {}
        return json_answer({"outputs": found, "nonfinite": tested.nonfinite, **lies, **notes, **inside})
    return _page(model, snapshot, tested)


@describes(
    form=MANY,
    answer="`outputs`: path → name → list without batch axis; `skipped`; `nonfinite`: how many hold NaN; `in_picture` and "
    "`scale`: path → what infer_one has.",
)
@needs(Scope.RUN, recorded=False)
def infer_many() -> Any:
    """Run the pictures of a list, or without one those of a folder, through a model."""
    model, snapshot = _model()
    _check_view()
    text = _list_text()
    folder, limit, whole, how = (
        arguments.given("image_folder") or "",
        _limit(),
        arguments.flag("dont_resize"),
        asked_answering(model),
    )
    tested = sources.run_list(get_service(), model, text, folder, limit, snapshot, whole, g.scratch, not wants_json(), how=how)
    return _answer(model, snapshot, tested, how=how)


@describes(
    form={
        **COMMON,
        "db_path": "A folder: an LMDB with Datum records, or a split of a data set.",
        "num_test_images": "Only the first N.",
        **FIELDS,
    },
    answer="`outputs`: key → name → list; `in_picture` and `scale`: key → what infer_one has.",
)
@needs(Scope.RUN, recorded=False)
def infer_db() -> Any:
    """Run the records of a database through a model."""
    model, snapshot = _model()
    _check_view()
    path = arguments.given("db_path") or ""
    if not path:
        raise BadRequest("db_path is a required field.", advice="Name the folder of an LMDB or of a data set's split.")
    how = asked_answering(model)
    tested = sources.run_database(get_service(), model, path, _limit(), snapshot, g.scratch, not wants_json(), how=how)
    return _answer(model, snapshot, tested, how=how)


@describes(
    form={
        **COMMON,
        "data_extension_id": "The data plugin whose inference form is sent; absent or `all-default`: that of the data set.",
        **FIELDS,
    },
    answer="`outputs`: key → name → list; `skipped`; `notes`: key → what its plugin notes on it, where it does.",
)
@needs(Scope.RUN, recorded=False)
def infer_extension() -> Any:
    """Run what a plugin makes of its own inference form through a model."""
    model, snapshot = _model()
    dataset = _dataset(model)
    extension = named_extension(arguments.text("data_extension_id"))
    if dataset is None or not (extension or dataset.extension):
        raise BadRequest("The data set of this model was not made by a plugin.", advice="Test the model with pictures.")
    values = plugin_values(_fields(ALWAYS_OURS))  # a plugin's own form may have an `image_folder` too
    _check_view(values)
    how = asked_answering(model)
    tested = sources.run_extension(
        get_service(), model, dataset, values, snapshot, g.scratch, not wants_json(), extension, how=how
    )
    return _answer(model, snapshot, tested, values, how)


def named_extension(name: str) -> str:
    """The data plugin that is named; empty for the one that made the data set."""
    return "" if name == OF_THE_DATASET else name


def _answer(
    model: Job,
    snapshot: Snapshot,
    tested: TestResults,
    values: Mapping[str, Any] | None = None,
    how: Answering = inference.PLAIN,
) -> Any:
    if wants_json():
        found = {sample.key: outputs_json(sample, how) for sample in tested.samples}
        outputs = {key: values for key, (values, _) in found.items()}
        left_out = {key: text for key, (_, text) in found.items() if text}
        lying = {sample.key: sample.in_picture for sample in tested.samples if sample.in_picture}
        lies = {"scale": {key: found["scale"] for key, found in lying.items()}, "in_picture": lying} if lying else {}
        notes = {**tested.notes, **{key: " ".join(filter(None, (tested.notes.get(key), text))) for key, text in left_out.items()}}
        lies |= {"notes": notes} if notes else {}
        return json_answer({"outputs": outputs, "skipped": tested.skipped, "nonfinite": tested.nonfinite, **lies})
    return _page(model, snapshot, tested, values)


def _page(model: Job, snapshot: Snapshot, tested: TestResults, values: Mapping[str, Any] | None = None) -> Any:
    """The samples through the chosen view; `values` are its options, by default what was sent beside the route's own."""
    service = get_service()
    options = plugin_values(_fields(OWN_ARGUMENTS)) if values is None else values
    view_id = arguments.text("view_extension_id", plugins.DEFAULT_VIEW)
    try:
        results = plugin_views.render(service, _dataset(model), tested.samples, view_id, options, csp_nonce())
    except FormErrors as error:
        raise _bad_options(error) from error
    allow_plugin_code()
    count, bad = len(tested.samples), tested.nonfinite
    return render_template(
        "plugins/results.html",
        model=model,
        snapshot=snapshot,
        results=results,
        skipped=tested.skipped,
        notes=tested.notes,
        count=count,
        no_numbers=nonfinite_text(bad, count) if bad else "",
        layers=tested.layers,
        parameters=learned_parameters(tested.layers),
    )


def _model() -> tuple[Job, Snapshot]:
    model = arguments.job(*PREDICTING)
    return model, find_snapshot(get_service(), model, arguments.text("snapshot_epoch"))


def _check_view(values: Mapping[str, Any] | None = None) -> None:
    """What the page would refuse is refused as JSON too, where a view is named: NotFound, BadRequest."""
    view_id = arguments.text("view_extension_id")
    if not (wants_json() and view_id):
        return
    try:
        plugin_views.check_view(get_service(), view_id, plugin_values(_fields(OWN_ARGUMENTS)) if values is None else values)
    except FormErrors as error:
        raise _bad_options(error) from error


def _bad_options(error: FormErrors) -> BadRequest:
    return BadRequest(str(error), advice="Change the view's options.")


def _dataset(model: Job) -> Job | None:
    return get_service().store.find(model.dataset_id) if model.dataset_id else None


def _list_text() -> str | None:
    """The list that was sent; None where a folder alone was."""
    if file := arguments.file("image_list"):
        data = file.stream.read(LARGEST_LIST + 1)
        if len(data) > LARGEST_LIST:
            raise BadRequest(
                f"image_list has more than {sizeof_fmt(LARGEST_LIST)}.", advice="Evaluate it as a job, or send a part."
            )
        return decoded(data)
    if path := arguments.text("image_list"):
        return whole_text(paths.readable_file(get_service(), path, "image_list"), LARGEST_LIST)
    if arguments.given("image_folder"):
        return None
    raise BadRequest("image_list is a required field.", advice="Send a text file with one path a line, or name a folder.")


def _fields(ours: Set[str]) -> dict[str, Any]:
    """What was sent for plugins: all but the arguments of the route itself."""
    return {name: value for name, value in arguments.form_values().items() if name not in ours}


def _limit() -> int:
    """How many samples are wanted at most; 0: all."""
    return arguments.whole("num_test_images", 0, most=2**31)


def sent_picture(model: Job) -> tuple[inference.Picture, str]:
    """The picture of the request and the name to show for it. BadRequest when it brings none."""
    service = get_service()
    if file := arguments.file("image_file"):
        return pictures.read_upload(file.stream, file.filename or ""), file.filename or ""
    if text := arguments.text("image_path"):
        return pictures.from_path(service, text), text
    if record := arguments.text("record"):
        return pictures.from_record(service, model, record), record
    raise BadRequest("Must provide image_path or image_file.", advice="Send one of the two, or a record such as val:0.")
