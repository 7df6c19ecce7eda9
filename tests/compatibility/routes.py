"""What is sent to each route of the original, and the codes that say that it is there and understood."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.compatibility.world import World

Fields = Callable[[World], Mapping[str, Any]]


@dataclass(frozen=True)
class Try:
    """A request: the address (where it is not the row's with `<…>` filled in), the form, the code, and words of the answer."""

    code: int = 200
    fields: Fields = lambda world: {}
    address: str = ""
    words: str = ""
    job: str = "model"  # what `<id>` stands for


def of_dataset(world: World) -> dict[str, Any]:
    return {"job_id": world.ids["dataset"]}


def junk(name: str) -> tuple[io.BytesIO, str]:
    return io.BytesIO(b"junk"), name


def junk_files(world: World) -> dict[str, Any]:
    files = {"weights_file": junk("w.pth"), "model_def_file": junk("network.py"), "labels_file": junk("labels.txt")}
    return {"job_name": "junk", "image_type": 3, **files}


def of_model(world: World) -> dict[str, Any]:
    return {"job_id": world.ids["model"]}


def uploaded(world: World) -> dict[str, Any]:
    file = (io.BytesIO(world.picture.read_bytes()), "picture.png")
    return {**of_model(world), "image_file": file, "snapshot_epoch": 1, "show_visualizations": 1}


def few_of_a_folder(world: World) -> dict[str, Any]:
    """A list whose paths begin at a folder, its first line alone, with the pictures' own sizes."""
    file = world.folder / "names.txt"
    file.write_text("1.png\n2.png\n")
    return {**of_model(world), "image_list": file, "image_folder": world.picture.parent, "num_test_images": 1, "dont_resize": 1}


def one_picture(world: World) -> dict[str, Any]:
    return {**of_model(world), "image_path": world.picture}


def a_list(world: World) -> dict[str, Any]:
    file = world.folder / "list.txt"
    file.write_text(f"{world.picture} 0\n")
    return {**of_model(world), "image_list": file}


def a_database(world: World) -> dict[str, Any]:
    return {**of_model(world), "db_path": world.service.folder(world.ids["dataset"]).path / "val_db"}


def own_form(world: World) -> dict[str, Any]:
    return {"job_id": world.ids["plugin_model"], "gradient_x": 0.5, "gradient_y": -0.5}


def spare(world: World) -> dict[str, Any]:
    """A job that may be lost."""
    return {"job_ids[]": world.spare("model")}


NEEDS_LIST = Try(400, lambda world: {**of_model(world), "top_n": 3}, words="image_list is a required field")
NO_JOB = "20200101-000000-abcd"
ROUTES: dict[str, Try] = {
    "GET /": Try(address="/?tab=1", words="Datasets"),
    "GET /index.json": Try(),
    "GET /completed_jobs.json": Try(),
    "GET /jobs/<id>/table_data.json": Try(),
    "GET /group": Try(fields=lambda world: {"job_ids[]": world.ids["model"], "group_name": "g"}, words="Jobs regrouped."),
    "POST /group": Try(fields=lambda world: {"job_ids[]": world.ids["model"], "group_name": ""}, words="Jobs regrouped."),
    "GET /login": Try(302, lambda world: {"username": "digits-testsuite", "next": "/models"}),
    "POST /login": Try(302, lambda world: {"username": "digits-testsuite"}),
    "GET /logout": Try(302),
    "POST /logout": Try(302),
    "GET /jobs/<id>": Try(302),
    "PUT /jobs/<id>": Try(
        fields=lambda world: {"job_name": "classifier", "job_notes": "n"}, words="Image Classification Model updated."
    ),
    "GET /datasets/<id>/status": Try(job="dataset"),
    "GET /models/<id>/status": Try(),
    "GET /jobs/<id>/status": Try(),
    "DELETE /datasets/<id>": Try(job="spare dataset", words="Job deleted."),
    "DELETE /models/<id>": Try(job="spare model", words="Job deleted."),
    "DELETE /jobs/<id>": Try(job="spare model", words="Job deleted."),
    "DELETE /jobs": Try(fields=spare, words="Jobs deleted."),
    "POST /datasets/<id>/abort": Try(403, job="dataset", words="Job not aborted"),
    "POST /models/<id>/abort": Try(403, words="Job not aborted"),
    "POST /jobs/<id>/abort": Try(403, words="Job not aborted"),
    "POST /abort_jobs": Try(400, lambda world: {"job_ids[]": NO_JOB}, words="1 job not found."),
    "GET /clone/<id>": Try(302),
    "POST /clone/<id>": Try(302),
    "GET /files/<path>": Try(address="/files/{dataset}/mean.jpg"),
    "GET /autocomplete/path": Try(fields=lambda world: {"query": f"{world.folder}/pict"}, words="pictures"),
    "GET /extension-static/<kind>/<ext>/<file>": Try(
        404, address="/extension-static/view/image-segmentation/no.js", words="no.js"
    ),
    "GET /models": Try(words="Models"),
    "GET /datasets/<id>": Try(job="dataset"),
    "GET /datasets/summary": Try(fields=of_dataset, words="classes"),
    "GET /datasets/images/classification/new": Try(words="New Image Classification Dataset"),
    "POST /datasets/images/classification": Try(400, words="alert-danger"),
    "GET /datasets/images/classification/explore": Try(
        fields=lambda world: {**of_dataset(world), "db": "val", "page": 0, "size": 25, "label": 0}, words="Items per page"
    ),
    "POST /datasets/images/resize-example": Try(
        fields=lambda world: {
            "width": 8,
            "height": 8,
            "channels": 3,
            "resize_mode": "crop",
            "backend": "lmdb",
            "encoding": "png",
        },
        words="<img",
    ),
    "GET /datasets/images/generic/new": Try(words="New Image Dataset"),
    "POST /datasets/images/generic": Try(400, words="alert-danger"),
    "GET /datasets/generic/new/<ext>": Try(address="/datasets/generic/new/image-gradients", words="Gradients"),
    "POST /datasets/generic/create/<ext>": Try(
        400,
        lambda world: {"dataset_name": "d", "dsopts_num_threads": 0},
        "/datasets/generic/create/image-gradients",
        "alert-danger",
    ),
    "GET /datasets/generic/explore": Try(
        fields=lambda world: {"job_id": world.ids["plugin_dataset"], "db": "train_db/features"}, words="Items per page"
    ),
    "GET /datasets/generic/inference-form/<ext>/<id>": Try(
        address="/datasets/generic/inference-form/image-gradients/{plugin_dataset}", words="gradient_x"
    ),
    "GET /models/<id>": Try(words="classifier"),
    "GET /models/images/classification/new": Try(
        address="/models/images/classification/new?clone={model}", words="New Image Classification Model"
    ),
    "POST /models/images/classification": Try(400, words="alert-danger"),
    "GET /models/images/generic/new": Try(words="New Image Model"),
    "GET /models/images/generic/new/<ext>": Try(address="/models/images/generic/new/image-gradients"),
    "POST /models/images/generic": Try(400, words="alert-danger"),
    "POST /models/images/generic<ext>": Try(400, address="/models/images/genericimage-gradients", words="alert-danger"),
    "POST /models/customize": Try(
        address="/models/customize?network=lenet&framework=pytorch",
        fields=lambda world: {"snapshot_epoch": 0},
        words="build_network",
    ),
    "POST /models/visualize-network": Try(400, lambda world: {"custom_network": "def", "num_gpus": 1}, words="custom_network"),
    "POST /models/visualize-lr": Try(
        fields=lambda world: {"lr_policy": "step", "learning_rate": "[0.1, 0.01]"}, words="Learning Rate 1"
    ),
    "GET /models/view-config/<ext>": Try(address="/models/view-config/all-raw-data"),
    "GET /models/<id>/download": Try(),
    "POST /models/<id>/download": Try(fields=lambda world: {"snapshot_epoch": 1}),
    "GET /models/<id>/download.<archive>": Try(address="/models/{model}/download.zip?epoch=1"),
    "POST /models/<id>/download.<archive>": Try(400, address="/models/{model}/download.rar", words="zip"),
    "GET /models/<id>/to_pretrained": Try(302),
    "POST /models/<id>/to_pretrained": Try(404, lambda world: {"snapshot_epoch": 9}, words="no snapshot of epoch 9"),
    "GET /models/images/classification/large_graph": Try(fields=of_model),
    "GET /models/images/generic/large_graph": Try(fields=lambda world: {"job_id": world.ids["plugin_model"]}),
    "GET /models/images/classification/classify_one": Try(fields=one_picture, words="list-group"),
    "POST /models/images/classification/classify_one": Try(fields=uploaded, words="Activation"),
    "GET /models/images/classification/classify_many": NEEDS_LIST,
    "POST /models/images/classification/classify_many": NEEDS_LIST,
    "POST /models/images/classification/top_n": NEEDS_LIST,
    "GET /models/images/generic/infer_one": Try(fields=one_picture),
    "POST /models/images/generic/infer_one": Try(
        fields=lambda world: {**one_picture(world), "view_extension_id": "all-raw-data"}
    ),
    "GET /models/images/generic/infer_many": Try(fields=a_list),
    "POST /models/images/generic/infer_many": Try(fields=few_of_a_folder),
    "GET /models/images/generic/infer_db": Try(fields=a_database),
    "POST /models/images/generic/infer_db": Try(400, of_model, words="db_path"),
    "GET /models/images/generic/infer_extension": Try(fields=own_form),
    "POST /models/images/generic/infer_extension": Try(
        fields=lambda world: {**own_form(world), "data_extension_id": "image-gradients"}
    ),
    "POST /models/timeline_trace_data": Try(400, of_model, words="step"),
    "GET /models/images/classification/timeline_tracing": Try(fields=of_model),
    "GET /models/images/generic/timeline_tracing": Try(fields=of_model),
    "DELETE /pretrained_models/<id>": Try(job="spare pretrained_model", words="Job deleted."),
    "POST /pretrained_models/upload_archive": Try(400, lambda world: {"archive": junk("x.zip")}, words="Incorrect archive type"),
    "POST /pretrained_models/new": Try(400, junk_files, words="no file of torch.save"),
    "GET /store/list": Try(words="Model store"),
    "GET /store/models": Try(fields=lambda world: {"refresh": 1}, words="{}"),
    "GET /store/push": Try(400, words="required field"),
    "POST /models/<id>/publish_inference": Try(404),
}
