"""Looking inside a model over HTTP: the page with its layers, maps of why and vectors; the same as JSON."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, render_template, send_file

from digits.domain.access import Scope
from digits.domain.inside import ACTIVATIONS, FINEST_GRID, GRID, MAP_COLOURS, METHODS, USUAL_METHODS, WEIGHTS
from digits.domain.jobs import PREDICTING
from digits.errors import BadRequest
from digits.service.evaluations import inside
from digits.service.evaluations.inputs import from_record, picture_types
from digits.service.models.snapshots import Snapshot, find_snapshot, list_snapshots
from digits.storage.jobs.store import Job
from digits.web.evaluations.predict import sent_picture
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import describes, get_service, json_answer, may_edit, wants_json

if TYPE_CHECKING:
    from digits.service.evaluations.predict import Picture

SAMPLES = 24
MOST_TILES = 1024
NAMED = {
    "record": "A picture of the model's data set, e.g. `val:17`.",
    "dataset": "Another data set whose `record` is meant; its pictures are fitted to the model.",
    "image_path": "A picture on the server.",
    "image_file": "An uploaded picture (POST).",
    "snapshot_epoch": "Which snapshot, also `best` or `start`; absent, 0 or -1: the newest.",
}
OF_LAYER = {
    **NAMED,
    "layer": "The path of the layer; absent: the first with weights.",
    "of": "`weights` or `activations`; absent: weights where it has some.",
    "part": "Which array of these; absent: the first.",
}
ABOUT = "`snapshot_epoch`, `network`, `device`, `picture_note`, "
ROW = "`name`, `kind`, `parameters`, `weights` and `activations` (lists of `part`, `shape`, `mean`, `stddev`, `min`, `max`, "
ROW += "`histogram`, `nonfinite`), `reason` (why there are no activations), `note`"


def register(area: Blueprint) -> None:
    """Add the routes below `/models/<id>`."""
    methods = ["GET", "POST"]
    area.add_url_rule("/models/<job_id>/inside", "inside", page)
    area.add_url_rule("/models/<job_id>/inside.json", "inside_json", layers, methods=methods)
    area.add_url_rule("/models/<job_id>/inside/layer.json", "inside_layer", layer, methods=methods)
    area.add_url_rule("/models/<job_id>/inside/layer.npy", "inside_values", values, methods=methods)
    area.add_url_rule("/models/<job_id>/explain.json", "explain", explain, methods=methods)


@describes(
    arguments={
        **NAMED,
        "view": "`layers`, `why` or `vectors`.",
        "layer": "The layer that is shown.",
        "method": "How it is explained.",
        "with": "A second snapshot or model beside it: `EPOCH`, or `MODEL_ID@EPOCH`.",
    },
    answer="A page; `.json` has the layers.",
)
def page(job_id: str) -> Any:
    """What a model looks like inside."""
    if wants_json():
        return layers(job_id)
    service, model = get_service(), _model(job_id)
    wanted = arguments.dataset()
    known = inside.picture_sets(service, model, wanted)
    chosen = next((one for one in known[:1] if wanted or one.job.id == model.dataset_id or one.job.task == model.task), None)
    splits = chosen.splits if chosen else {}
    split = next((name for name in ("val_db", "test_db", "train_db") if name in splits), "")
    count = min(SAMPLES, splits.get(split, 0))
    return render_template(
        "inference/inside.html",
        job=model,
        methods=list(METHODS.values()),
        colours=MAP_COLOURS,
        snapshots=list(reversed(list_snapshots(service, model, with_best=True))),
        beside=inside.models_beside(service, model),
        picture_sets=known,
        chosen=chosen.job if chosen else None,
        splits=splits,
        sample_split=split.removesuffix("_db"),
        samples=[i * splits[split] // count for i in range(count)],
        picture_types=picture_types(service, model),
        may_edit=may_edit(model),
    )


@describes(arguments=NAMED, json=True, answer=f"{ABOUT}`total_parameters`, `seconds` and `layers`: {ROW}.")
@needs(Scope.RUN, recorded=False)
def layers(job_id: str) -> Any:
    """The layers of a model with statistics of their weights and, for a picture, of what they gave."""
    model, snapshot = _model_and_snapshot(job_id)
    return json_answer(inside.layers(get_service(), model, snapshot, _picture(model)))


@describes(
    arguments={
        **OF_LAYER,
        "colours": f"{', '.join(MAP_COLOURS)}.",
        "first": "From which tile on.",
        "most": "How many tiles.",
        "low": "The value of the first colour; absent: the smallest.",
        "high": "The value of the last colour; absent: the largest.",
    },
    json=True,
    answer=f"{ABOUT}`layer` ({ROW}), `of`, `part`, `image` (a `data:` address) and `drawing`: `low`, `high`, `shown`, `total` "
    "(tiles), `reason` (why nothing is drawn), `note`.",
)
@needs(Scope.RUN, recorded=False)
def layer(job_id: str) -> Any:
    """One layer of a model, drawn."""
    model, snapshot = _model_and_snapshot(job_id)
    options = {
        **_of_layer(),
        "colours": arguments.choice("colours", MAP_COLOURS, MAP_COLOURS[0]),
        "first": arguments.whole("first", 0, most=2**31),
        "most": arguments.whole("most", 64, least=1, most=MOST_TILES),
        "low": arguments.decimal("low", None),
        "high": arguments.decimal("high", None),
    }
    return json_answer(inside.layer(get_service(), model, snapshot, _picture(model), options))


@describes(arguments=OF_LAYER, json=True, answer="A `.npy` file.")
@needs(Scope.RUN, recorded=False)
def values(job_id: str) -> Response:
    """The numbers of one layer, for NumPy."""
    import numpy as np

    model, snapshot = _model_and_snapshot(job_id)
    options = _of_layer()
    array = inside.layer_values(get_service(), model, snapshot, _picture(model), options)
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    buffer.seek(0)
    name = "-".join(filter(None, (model.id, str(options["layer"]).replace("/", "."), str(options["of"]), str(options["part"]))))
    return send_file(buffer, mimetype="application/octet-stream", as_attachment=True, download_name=f"{name}.npy")


@describes(
    arguments={
        **NAMED,
        "method": f"{', '.join(METHODS)}; absent: the first that is there of {', '.join(USUAL_METHODS)}.",
        "target": "The class (number or name), the number of the box or of the output; absent: the most evident.",
        "layer": "Of Grad-CAM and HiResCAM: the layer whose maps are weighed; absent: the last of those with the smallest maps.",
        "grid": f"Of occlusion: strides along each side, 2 to {FINEST_GRID} ({GRID}).",
        "sanity": "Whether the map is compared with that of random weights.",
        "values": "Whether the map comes as numbers too.",
    },
    json=True,
    answer=f"{ABOUT}`method`, `signed`, `target`, `targets` (`target`, `label`, `score`, of a map `share`, of a detection "
    "`box`), `score`, `layer`, `note`, `low`, `high`, `size`, `methods` (why each is not there, or empty), `maps` by colours and "
    "the `image` beneath (`data:` addresses), of integrated gradients `total` and `difference`, `sanity` (`correlation`, "
    "`changes`, `reason`) or null, `values`.",
)
@needs(Scope.RUN, recorded=False)
def explain(job_id: str) -> Any:
    """Why a model answers so for one picture."""
    model, snapshot = _model_and_snapshot(job_id)
    options = {
        "method": arguments.choice("method", METHODS, ""),
        "target": arguments.text("target"),
        "layer": arguments.text("layer"),
        "grid": arguments.whole("grid", GRID, least=2, most=FINEST_GRID),
        "sanity": arguments.flag("sanity"),
        "values": arguments.flag("values"),
    }
    picture = _picture(model)
    if picture is None:
        raise BadRequest("There is no picture to explain.", advice="Send record (val:0), image_path or image_file.")
    return json_answer(inside.explain(get_service(), model, snapshot, picture, options))


def _of_layer() -> dict[str, Any]:
    of = arguments.choice("of", (WEIGHTS, ACTIVATIONS), "")
    return {"layer": arguments.text("layer"), "of": of, "part": arguments.text("part")}


def _model(job_id: str) -> Job:
    return get_service().store.get(job_id, *PREDICTING)


def _model_and_snapshot(job_id: str) -> tuple[Job, Snapshot]:
    model = _model(job_id)
    return model, find_snapshot(get_service(), model, arguments.text("snapshot_epoch"))


def _picture(model: Job) -> Picture | None:
    """The picture of the request, where it names one."""
    if arguments.file("image_file") or arguments.text("image_path"):
        return sent_picture(model)[0]
    record = arguments.text("record")
    return from_record(get_service(), model, record, arguments.dataset()) if record else None
