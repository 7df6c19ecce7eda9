"""Models from forms: what is refused and why, sweeps, clones, frameworks, GPUs, starting points, the JSON of a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.config import Settings
from digits.domain.datasets import DatasetInfo
from digits.domain.jobs import Action, JobRequest, Kind, Status, UserColumns
from digits.domain.training import TaskOptions, TrainingSpec
from digits.errors import DiskFull, FormErrors
from digits.frameworks import frameworks
from digits.networks import catalog
from digits.service import Service
from digits.service import jobs as actions
from digits.service.forms import parse
from digits.service.models import choices, gpus
from digits.service.models.checks import check_crop, check_sizes
from digits.service.models.choices import dataset_choices, fitting, previous_choices, proposed
from digits.service.models.create import create_models, model_dict, plan_models
from digits.service.models.customize import customize_text
from digits.service.models.form import ModelForm
from digits.service.models.frameworks import missing_abilities
from digits.service.models.page import config_tables
from digits.service.models.repeat import repeat
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job
from tests.builders import make_job
from tests.service.finished_dataset import class_folder, finished_dataset

TEXT = "from torch import nn\n\n\ndef build_network(context):\n    return nn.Flatten()\n"
PROTOTXT = 'name: "LeNet"\nlayer {\n  name: "data"\n  type: "Data"\n}\n'
LUA = "require 'nn'\nlocal net = nn.Sequential()\nreturn function(params)\n  return { model = net }\nend\n"
TOWER = "class UserModel(Tower):\n    @model_property\n    def inference(self):\n        return 1\n"
Make = Callable[..., list[Job]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all: no test changes what another one sees."""
    root = tmp_path_factory.mktemp("models")
    service = Service.open(Settings(jobs_dir=str(root / "jobs"), auth=False, data_dirs=str(root.parent)))
    yield service
    service.close()


@pytest.fixture(scope="module")
def dataset(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A finished data set of 12 training and 6 validation pictures of 10×14 (height × width) in three classes."""
    features = {name: np.zeros((count, 3, 10, 14), np.uint8) for name, count in (("train_db", 12), ("val_db", 6))}
    labels = {name: np.arange(len(f)) % 3 for name, f in features.items()}
    return finished_dataset(service, class_folder(tmp_path_factory.mktemp("pictures"), per_class=4), features, labels)


@pytest.fixture
def make(service: Service, dataset: Job) -> Make:
    """Make models with the fields that a script of the original sends."""

    def made(**values: Any) -> list[Job]:
        known = {"dataset": dataset.id, "model_name": "test_model", "method": "standard", "standard_networks": "lenet"}
        return create_models(service, "classification", {**known, "framework": "pytorch", **values}, "someone")

    return made


@pytest.fixture
def refused(make: Make) -> Callable[..., dict[str, list[str]]]:
    """The errors of a form that must be refused."""

    def errors(**values: Any) -> dict[str, list[str]]:
        with pytest.raises(FormErrors) as caught:
            make(**values)
        return caught.value.errors

    return errors


def spec_of(service: Service, job: Job) -> TrainingSpec:
    return TrainingSpec.from_json(service.folder(job.id).spec())


def test_fields_left_out_have_the_defaults_of_the_original(service: Service, make: Make) -> None:
    spec = spec_of(service, make()[0])
    assert (spec.solver.type, spec.epochs, spec.learning_rate.base, spec.learning_rate.policy) == ("SGD", 30, 0.01, "step")
    assert spec.learning_rate.parameters == {"step_size": 33.0, "step_gamma": 0.1}
    assert (spec.batch_size, spec.use_mean, spec.snapshot_interval, spec.val_interval) == (None, "image", 1.0, 1.0)
    assert spec.shuffle
    assert spec.seed is not None, "a seed is drawn and kept"


@pytest.mark.parametrize(
    ("sent", "shuffles"), [("", True), (" ", True), ([""], True), ("true", True), ("0", False), ("false", False)]
)
def test_a_blank_shuffle_counts_as_not_given(service: Service, make: Make, sent: Any, shuffles: bool) -> None:
    assert spec_of(service, make(shuffle=sent)[0]).shuffle is shuffles


def test_a_model_waits_for_its_dataset_and_holds_its_text(service: Service, make: Make, dataset: Job) -> None:
    job = make(group_name="night")[0]
    assert service.store.parents(job.id) == [dataset.id]
    assert (job.kind, job.group, job.owner, job.network, job.status) == (Kind.MODEL, "night", "someone", "lenet", Status.INIT)
    text = (service.folder(job.id).path / "network.py").read_text()
    assert text == spec_of(service, job).network
    assert "def build_network(context)" in text


def test_every_wrong_field_is_named_at_once(refused: Callable[..., dict[str, list[str]]]) -> None:
    errors = refused(
        dataset="20200101-000000-0000", train_epochs="0", learning_rate="fast", standard_networks="nonet", crop_size="-1"
    )
    assert set(errors) == {"dataset", "train_epochs", "learning_rate", "standard_networks", "crop_size"}
    assert "(any more)" in errors["dataset"][0]
    assert "'fast' is not a number" in errors["learning_rate"][0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_name", ""),
        ("model_name", "x" * 10_000),
        ("batch_size", "0"),
        ("learning_rate", "-1"),
        ("learning_rate", "nan"),
        ("lr_policy", "sometimes"),
        ("lr_step_size", "0"),
        ("lr_multistep_values", "50, 150"),
        ("solver_type", "LBFGS"),
        ("momentum", "1"),
        ("aug_rot", "181"),
        ("use_mean", "median"),
        ("random_seed", "-1"),
        ("framework", "theano"),
        ("crop_size", "11"),
        ("custom_network_snapshot", "/etc/passwd"),
        ("learning_rate", ",".join(["0.1"] * 201)),
    ],
)
def test_values_out_of_range_are_refused_at_their_field(refused: Any, field: str, value: str) -> None:
    method = {"method": "custom", "custom_network": TEXT} if field.startswith("custom") else {}
    assert set(refused(**{**method, field: value})) == {field}


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("learning_rate", "0,01", "A decimal has a point, as in 0.01; several values have commas between them, as in 0.1, 0.01."),
        ("learning_rate", "0.1; 0.01", "several values have commas between them, as in 0.1, 0.01."),
        ("batch_size", "16;32", "Several values have commas between them, as in 16, 32."),
    ],
)
def test_how_a_list_is_written_is_said_where_one_is_wrong(refused: Any, field: str, value: str, hint: str) -> None:
    errors = refused(**{field: value})
    assert set(errors) == {field}
    assert errors[field][0].endswith(hint)


def test_a_rate_of_0_measures_and_changes_nothing(service: Service, make: Make) -> None:
    assert spec_of(service, make(learning_rate="0")[0]).learning_rate.base == 0.0


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "a batch of 8 (the network's own)"),
        ({"batch_size": "1, 4"}, "a batch of 4,"),
        ({"batch_size": "1"}, ""),
        ({"crop_size": "16"}, ""),
        ({"crop_size": "21"}, "more than the smallest picture has (20 pixels on a side)"),
    ],
)
def test_pictures_of_several_sizes_need_a_crop_or_a_batch_size_of_one(sent: dict[str, str], said: str) -> None:
    form = parse(ModelForm, {"model_name": "m", "dataset": "d", "standard_networks": "unet", **sent})
    sizes = ((40, 30, 5), (64, 20, 1))
    info = DatasetInfo("processing", (), {}, None, sizes, extra={"keep_size": True})
    found = {**check_sizes(form, catalog.network_text("unet"), info), **check_crop(form, info)}
    assert bool(found) == bool(said)
    assert said in "".join(found.get("crop_size", []))


@pytest.mark.parametrize("name", ["unet", "autoencoder"])
@pytest.mark.parametrize("sent", [{"batch_size": "1"}, {"batch_size": "2"}, {"batch_size": "1", "crop_size": "16"}])
def test_a_network_that_is_built_for_one_size_needs_a_crop_whatever_the_batch(name: str, sent: dict[str, str]) -> None:
    form = parse(ModelForm, {"model_name": "m", "dataset": "d", **sent})
    info = DatasetInfo("processing", (), {}, None, ((40, 30, 5), (64, 20, 1)), extra={"keep_size": True})
    found = check_sizes(form, catalog.network_text(name, "tensorflow"), info)
    assert bool(found) == ("crop_size" not in sent)
    assert check_sizes(form, catalog.network_text(name, "pytorch"), info).keys() == (
        {"crop_size"} if sent == {"batch_size": "2"} else set()
    )


def test_names_with_markup_and_emoji_are_kept_as_they_are(make: Make) -> None:
    assert make(model_name="<script>alert(1)</script> 🐟")[0].name == "<script>alert(1)</script> 🐟"


def test_a_sweep_makes_one_model_for_each_combination(service: Service, make: Make) -> None:
    jobs = make(learning_rate="[0.01, 0.02]", batch_size="[8, 10]")
    assert [job.name for job in jobs] == [
        f"test_model learning_rate:{rate} batch_size:{batch}" for rate in ("0.01", "0.02") for batch in (8, 10)
    ]
    specs = [spec_of(service, job) for job in jobs]
    assert [(s.learning_rate.base, s.batch_size) for s in specs] == [(0.01, 8), (0.01, 10), (0.02, 8), (0.02, 10)]
    assert len({s.seed for s in specs}) == 1, "only what is swept differs"


def test_a_list_of_one_is_no_sweep(service: Service, make: Make) -> None:
    jobs = make(learning_rate="[0.5]", batch_size="4")
    assert [job.name for job in jobs] == ["test_model"]
    assert spec_of(service, jobs[0]).batch_size == 4


def test_a_clone_has_the_same_json_and_form(service: Service, make: Make) -> None:
    options = {
        "lr_policy": "exp",
        "lr_exp_gamma": "0.93",
        "random_seed": str(0xCAFEBABE),
        "snapshot_interval": "0.5",
        "val_interval": "2",
        "aug_flip": "fliplr",
        "shuffle": "false",
        "batch_accumulation": "2",
    }
    first = make(**options)[0]
    second = make(clone=first.id)[0]
    mine, other = (model_dict(service, job, verbose=True) for job in (first, second))
    for value in (mine, other):
        for key in ("id", "job id", "directory", "creation time"):
            value.pop(key)
    assert mine == other
    assert actions.stored_form(service, first) == actions.stored_form(service, second)
    assert spec_of(service, first) == spec_of(service, second)
    assert not spec_of(service, second).shuffle


def test_a_clone_has_the_form_of_the_other_whatever_else_is_sent(service: Service, make: Make, dataset: Job) -> None:
    """The original's tests send their usual fields beside `clone` and want the same job (R 1.0)."""
    first = make(train_epochs="7", lr_policy="fixed", random_seed="7", model_name="first")[0]
    usual = {"dataset": dataset.id, "model_name": "second", "random_seed": "5", "train_epochs": "7", "method": "custom"}
    plan = plan_models(service, "classification", {**usual, "clone": first.id})
    assert plan.models[0].form == actions.stored_form(service, first)
    assert plan.warnings[0].endswith("other model: model_name, random_seed, method did not count.")
    assert spec_of(service, make(clone=first.id, train_epochs="9")[0]) == spec_of(service, first)


def test_a_clone_of_nothing_is_refused(refused: Any) -> None:
    assert "could be cloned" in refused(clone="20200101-000000-0000")["clone"][0]


@pytest.mark.parametrize("framework", ["torch", "caffe", "", "Caffe"])
def test_frameworks_of_the_original_become_pytorch_with_a_warning(service: Service, dataset: Job, framework: str) -> None:
    values = {"dataset": dataset.id, "model_name": "m", "standard_networks": "lenet", "framework": framework}
    plan = plan_models(service, "classification", values)
    assert plan.models[0].spec.framework == "pytorch"
    assert any("pytorch is used" in text for text in plan.warnings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (PROTOTXT, "Caffe prototxt"),
        (LUA, "Lua"),
        (TOWER, "TensorFlow 1"),
        ("def build_network(context:\n    return 1", "Line 1"),
        ("x = 1\n", "defines no build_network"),
        ("def build_network():\n    return 1\n", "one argument"),
        ("(" * 5000, "Line"),
        ("\0", "zero byte"),
    ],
)
def test_texts_that_are_no_network_get_advice(refused: Any, text: str, words: str) -> None:
    message = refused(method="custom", custom_network=text)["custom_network"][0]
    assert words in message, message


@pytest.mark.parametrize("text", [TEXT, "build_network = lambda c: None\n", "from somewhere import build_network\n"])
def test_a_text_is_only_looked_at_and_never_run(service: Service, make: Make, text: str) -> None:
    assert spec_of(service, make(method="custom", custom_network=text)[0]).network.strip() == text.strip()


def test_the_dataset_must_be_there_and_usable(service: Service, dataset: Job, make: Make, refused: Any) -> None:
    assert service.store.get(make()[0].id).dataset_id == dataset.id
    for state, word in ((Status.ABORT, "was aborted"), (Status.ERROR, "failed")):
        service.store.update(dataset.id, status=str(state))
        assert word in refused()["dataset"][0]
    service.store.update(dataset.id, status="D", deleted=1.0)
    assert "There is no data set" in refused()["dataset"][0]
    service.store.update(dataset.id, deleted=None)


def test_the_other_form_is_named_for_another_task(service: Service, dataset: Job) -> None:
    with pytest.raises(FormErrors) as caught:
        create_models(service, "generic", {"dataset": dataset.id, "model_name": "m", "framework": "pytorch"})
    assert "/models/images/classification/new" in caught.value.errors["dataset"][0]


def test_a_batch_of_more_than_all_pictures_is_told(service: Service, dataset: Job) -> None:
    values = {"dataset": dataset.id, "model_name": "m", "framework": "pytorch", "standard_networks": "lenet", "nonsense": "1"}
    plan = plan_models(service, "classification", {**values, "batch_size": "100"})
    assert any("more than the 12 training pictures" in text for text in plan.warnings)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "machine_gpus", lambda service: [{"id": "0", "name": "A"}, {"id": "1", "name": "B"}])


@pytest.mark.parametrize(
    ("sent", "count", "ids"),
    [
        ({}, 1, []),
        ({"select_gpu": "next"}, 1, []),
        ({"select_gpu": "cpu"}, 0, []),
        ({"select_gpu": "1"}, 1, ["1"]),
        ({"select_gpus_list": "0,1"}, 2, ["0", "1"]),
        ({"select_gpus": ["1", "0"]}, 2, ["1", "0"]),
        ({"select_gpu_count": "2"}, 2, []),
        ({"select_gpu_count": "0"}, 0, []),
        ({"select_gpus_list": "1", "select_gpu_count": "2"}, 1, ["1"]),
    ],
)
def test_gpu_choices(two_gpus: None, make: Make, sent: dict[str, Any], count: int, ids: list[str]) -> None:
    job = make(**sent)[0]
    assert (job.gpus, job.gpu_ids) == (count, ids)


@pytest.mark.parametrize(
    "sent", [{"select_gpu": "2"}, {"select_gpus_list": "0,5"}, {"select_gpus": ["7"]}, {"select_gpu_count": "3"}]
)
def test_gpus_that_are_not_there_are_refused(two_gpus: None, refused: Any, sent: dict[str, Any]) -> None:
    assert set(refused(**sent)) == set(sent)


@pytest.mark.parametrize("sent", [{"select_gpu": "0"}, {"select_gpus_list": "0"}, {"select_gpu_count": "2"}])
def test_a_gpu_request_without_gpus_says_how_to_use_the_cpu(
    refused: Any, monkeypatch: pytest.MonkeyPatch, sent: dict[str, Any]
) -> None:
    monkeypatch.setattr(gpus, "machine_gpus", lambda service: [])
    (messages,) = refused(**sent).values()
    assert "no NVIDIA GPU" in messages[0]


def test_without_gpus_the_default_is_the_cpu(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "machine_gpus", lambda service: [])
    assert make()[0].gpus == 0
    assert make(select_gpu="next")[0].gpus == 0


def test_any_one_gpu_of_none_is_the_cpu_with_a_warning(
    service: Service, dataset: Job, monkeypatch: pytest.MonkeyPatch, two_gpus: None
) -> None:
    """The original's form asked for one by default."""
    values = {"dataset": dataset.id, "model_name": "m", "standard_networks": "lenet", "framework": "pytorch"}
    values |= {"select_gpu_count": "1", "cpu_count": "1"}
    plan = plan_models(service, "classification", values)
    assert (plan.resources.gpus, plan.warnings) == (1, ())
    monkeypatch.setattr(gpus, "machine_gpus", lambda service: [])
    plan = plan_models(service, "classification", values)
    assert (plan.resources.gpus, plan.resources.cpus, plan.models[0].spec.gpu_count) == (0, 1, 0)
    assert "takes place on the CPU" in plan.warnings[0]


@pytest.mark.parametrize("sent", [{"select_gpu_count": "2"}, {"select_gpus_list": "0,1"}, {"select_gpus": ["0", "1"]}])
def test_two_gpus_are_refused_where_the_framework_uses_one(two_gpus: None, refused: Any, sent: dict[str, Any]) -> None:
    errors = refused(framework="tensorflow", standard_networks="lenet", **sent)
    assert errors == dict.fromkeys(sent, ["TensorFlow trains on one GPU here. Choose one, or PyTorch for several."])


@pytest.mark.parametrize(
    ("sent", "processes", "slots"),
    [
        ({}, 1, 0),
        ({"cpu_processes": "2"}, 2, 0),
        ({"cpu_processes": "3", "cpu_count": "1"}, 3, 3),
        ({"cpu_processes": "2", "select_gpu_count": "1"}, 1, 1),
    ],
)
def test_processes_on_the_cpu(
    two_gpus: None, service: Service, make: Make, sent: dict[str, str], processes: int, slots: int
) -> None:
    (job,) = make(**{"select_gpu": "cpu", **sent})
    assert (spec_of(service, job).cpu_processes, job.cpus) == (processes, slots)


def test_the_setting_says_how_many_processes_where_the_form_does_not(service: Service, dataset: Job) -> None:
    two = replace(service, settings=replace(service.settings, cpu_processes=2))
    values = {"dataset": dataset.id, "model_name": "m", "standard_networks": "lenet", "select_gpu": "cpu"}
    for sent, processes, slots in (({}, 2, 0), ({"cpu_processes": "1"}, 1, 0), ({"cpu_count": "1"}, 2, 2)):
        plan = plan_models(two, "classification", {**values, **sent})
        assert ([model.spec.cpu_processes for model in plan.models], plan.resources.cpus) == ([processes], slots)


def test_the_page_says_how_many_processes_there_are_and_how_they_normalise(service: Service, make: Make) -> None:
    (two,), (one,) = make(select_gpu="cpu", cpu_processes="2", batch_norm="averaged"), make(select_gpu="cpu")
    said = [config_tables(spec_of(service, job), None, {})["Training"] for job in (two, one)]
    own = {("CPU processes", "2"), ("Batch normalisation", "Each process its own, averaged")}
    assert own <= set(said[0])
    assert {name for name, _ in own}.isdisjoint(dict(said[1]))


def test_a_framework_of_one_process_refuses_more(refused: Any) -> None:
    errors = refused(framework="tensorflow", standard_networks="lenet", cpu_processes="2")
    assert errors == {"cpu_processes": ["TensorFlow trains in one process here. Leave the field blank, or choose PyTorch."]}


@pytest.fixture
def trained(service: Service, make: Make) -> Job:
    """A model with snapshots of the epochs 0.5 and 1."""
    job = make(model_name="first")[0]
    folder = service.folder(job.id)
    folder.snapshots.mkdir()
    for epoch in ("0.5", "1"):
        (folder.snapshots / f"epoch_{epoch}.safetensors").write_bytes(b"")
    return job


@pytest.mark.parametrize(
    ("epoch", "source", "snapshot"),
    [
        ("1", "snapshot", "snapshots/epoch_1.safetensors"),
        ("0.5", "snapshot", "snapshots/epoch_0.5.safetensors"),
        ("0", "none", ""),
    ],
)
def test_a_previous_network_starts_from_the_chosen_snapshot(
    service: Service, make: Make, trained: Job, epoch: str, source: str, snapshot: str
) -> None:
    spec = spec_of(service, make(method="previous", previous_networks=trained.id, **{f"{trained.id}-snapshot": epoch})[0])
    assert (spec.start.source, spec.start.snapshot, spec.network_name) == (source, snapshot, "lenet")


def test_minus_one_means_the_weights_that_the_earlier_model_began_with(service: Service, make: Make, trained: Job) -> None:
    second = make(method="previous", previous_networks=trained.id, **{f"{trained.id}-snapshot": "1"})[0]
    third = make(method="previous", previous_networks=second.id, **{f"{second.id}-snapshot": "-1"})[0]
    assert spec_of(service, third).start == spec_of(service, second).start


def test_a_previous_network_starts_from_its_best_snapshot(service: Service, make: Make, refused: Any, trained: Job) -> None:
    """By its word; the other one is known, too, where the start of the earlier model was kept."""
    choice = {"method": "previous", "previous_networks": trained.id}
    service.store.update(trained.id, best_name="accuracy", best_value=0.9, best_epoch=0.5)
    spec = spec_of(service, make(**choice, **{f"{trained.id}-snapshot": "best"})[0])
    assert spec.start.snapshot == "snapshots/epoch_0.5.safetensors"
    assert "no snapshot of epoch 0;" in refused(**choice, **{f"{trained.id}-snapshot": "start"})[f"{trained.id}-snapshot"][0]


def test_a_pretrained_model_starts_another_with_its_best_snapshot(service: Service, make: Make, trained: Job) -> None:
    """The newest where none is known to be best; page and JSON say which it was."""
    choice = {"method": "pretrained", "pretrained_networks": trained.id}
    assert spec_of(service, make(**choice)[0]).start.snapshot == "snapshots/epoch_1.safetensors"
    service.store.update(trained.id, best_name="accuracy", best_value=0.9, best_epoch=0.5)
    model = make(**choice)[0]
    words = f"snapshots/epoch_0.5.safetensors of {trained.id}, epoch 0.5, its best"
    assert model_dict(service, model)["first weights"] == words
    assert dict(config_tables(spec_of(service, model), None, {})["Training"])["First weights"] == words
    (offered,) = [row for row in previous_choices(service, "classification") if row["id"] == trained.id]
    assert [(row["choice"], row["best"]) for row in offered["snapshots"]] == [("1", False), ("0.5", True)]


def test_a_snapshot_that_is_not_there_is_refused(refused: Any, trained: Job) -> None:
    field = f"{trained.id}-snapshot"
    assert "there are 0.5, 1" in refused(method="previous", previous_networks=trained.id, **{field: "3"})[field][0]
    assert "no epoch" in refused(method="previous", previous_networks=trained.id, **{field: "newest"})[field][0]
    assert "(any more)" in refused(method="previous", previous_networks="20200101-000000-0000")["previous_networks"][0]


BRIER = "\n\ndef metrics(outputs, targets):\n    return {'brier': outputs.mean()}\n"
OWN_LOSS = "\n\ndef loss(outputs, targets):\n    return {'loss': outputs.mean(), 'part': outputs.max()}\n"


def test_a_metric_of_the_text_decides_only_where_the_text_says_how(service: Service, make: Make, refused: Any) -> None:
    """What is refused is so before anything is trained, also beside a loss of the text's own."""
    for text in (TEXT + BRIER, TEXT + BRIER + OWN_LOSS):
        errors = refused(method="custom", custom_network=text, best_metric="brier")
        assert "does not say which direction of it is better" in errors["best_metric"][0]
        declared = text + "\nMETRICS = {'brier': {'better': 'lower'}}\n"
        assert spec_of(service, make(method="custom", custom_network=declared, best_metric="brier")[0]).best_metric == "brier"
    assert spec_of(service, make(method="custom", custom_network=TEXT + OWN_LOSS, best_metric="part")[0]).best_metric == "part"


def test_library_networks_and_published_weights(service: Service, make: Make) -> None:
    spec = spec_of(service, make(standard_networks="timm/resnet18", use_pretrained_weights="y")[0])
    assert (spec.network_name, spec.start.source) == ("timm/resnet18", "pretrained")
    assert "resnet18" in spec.network


def test_custom_weights_are_readable_files_of_weights(service: Service, make: Make, refused: Any, tmp_path: Path) -> None:
    weights, more = tmp_path / "w.safetensors", tmp_path / "x.pth"
    picture = tmp_path / "0.png"
    for file in (weights, more, picture):
        file.write_bytes(b"x")
    custom = {"method": "custom", "custom_network": TEXT}
    for text in (f"{weights}", f"{weights}{os.pathsep} {more}{os.pathsep}"):
        model = make(**custom, custom_network_snapshot=text)[0]
        assert list(spec_of(service, model).start.paths) == [weights, more][: 1 + text.count(" ")]
        assert customize_text(service, model.id, "", -1)["snapshot"] == text.replace(" ", "").rstrip(os.pathsep)
    for text in (str(tmp_path), str(tmp_path / "none.pt"), str(picture)):
        assert set(refused(**custom, custom_network_snapshot=text)) == {"custom_network_snapshot"}
    errors = refused(**custom, custom_network_snapshot=os.pathsep.join([str(weights), str(picture), str(tmp_path / "none.pt")]))
    assert len(errors["custom_network_snapshot"]) == 2


def test_the_json_of_a_model(service: Service, trained: Job, dataset: Job) -> None:
    brief, whole = model_dict(service, trained), model_dict(service, trained, verbose=True)
    needed = {"id", "job id", "name", "status", "username", "creation time", "framework", "digits version", "dataset_id"}
    assert needed | {"image dimensions", "image resize mode", "labels file", "snapshot file", "network file"} <= set(brief)
    assert not {"directory", "snapshots"} & set(brief)
    assert (whole["snapshots"], whole["snapshot file"]) == ([0.5, 1.0], "epoch_1.safetensors")
    assert (brief["image dimensions"], brief["dataset_id"], brief["job id"]) == ([10, 14, 3], dataset.id, trained.id)


def test_a_model_without_snapshots_says_so(service: Service, make: Make) -> None:
    assert model_dict(service, make()[0], verbose=True)["snapshot file"] == "no snapshots"


def test_loss_and_class_weights_reach_the_training(service: Service, make: Make) -> None:
    (job,) = make(loss="focal", class_weights="frequency")
    spec = spec_of(service, job)
    assert (spec.loss, spec.options) == ("focal", TaskOptions(class_weights="frequency"))


def test_a_network_or_a_loss_for_other_data_is_refused(refused: Any) -> None:
    errors = refused(standard_networks="detector", loss="mse")
    assert "is for object detection, the data set for classification. Choose lenet" in errors["standard_networks"][0]
    assert errors["loss"] == ["mse is no loss for classification. Choose cross_entropy, focal."]


def test_what_a_framework_cannot_do_is_told_by_field(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = replace(frameworks()["tensorflow"], augmentations=("flip",), solvers=("SGD",), precisions=("32-true",))
    monkeypatch.setattr("digits.service.models.frameworks.frameworks", lambda: {**frameworks(), "tensorflow": narrow})
    values = {
        "model_name": "m",
        "dataset": "x",
        "aug_flip": "fliplr",
        "aug_rot": "5",
        "aug_hsv_use": "y",
        "select_gpu_count": "2",
    }
    form = parse(ModelForm, {**values, "solver_type": "ADAM", "precision": "16-mixed"})
    wrong = missing_abilities(form, "tensorflow", "detection")
    assert set(wrong) == {"framework", "solver_type", "precision", "aug_rot", "aug_hsv_use", "select_gpu_count"}
    assert missing_abilities(form, "pytorch", "detection") == {}


def test_pages_and_commands_propose_the_same_network(service: Service, dataset: Job) -> None:
    """Pictures of 10×14 are too small for all but one."""
    found = proposed(service, dataset, "pytorch")
    assert found is not None
    assert found.name == "small_cnn"
    assert dataset_choices(service, "classification")[0][0]["proposed"]["pytorch"] == "small_cnn"


def test_of_many_data_sets_the_newest_are_offered_and_a_search_finds_the_others(service: Service) -> None:
    made = [make_job(service, Kind.DATASET, f"set {i}", status=Status.DONE) for i in range(5)]
    make_job(service, Kind.DATASET, "broken", status=Status.ERROR)
    make_job(service, Kind.DATASET, "gradients", status=Status.DONE, task="generic", extension="image-gradients")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choices, "MAX_OFFERED", 3)
        patch.setattr(choices, "ROWS_AT_ONCE", 2)
        newest, more = dataset_choices(service, "classification")
        assert ([one["name"] for one in newest], more) == (["set 4", "set 3", "set 2"], True)
        with_chosen, more = dataset_choices(service, "classification", also=made[0].id)
        assert ([one["name"] for one in with_chosen], more) == (["set 4", "set 3", "set 2", "set 0"], True)
        found, more = dataset_choices(service, "classification", text="set 1")
        assert ([one["name"] for one in found], more) == (["set 1"], False)
        assert dataset_choices(service, "classification", text="broken") == ([], False)
        assert [one["name"] for one in dataset_choices(service, "generic", "image-gradients")[0]] == ["gradients"]
        assert dataset_choices(service, "classification", "image-gradients", also=made[0].id) == ([], False)


@pytest.mark.parametrize(("task", "name", "side"), [("regression", "regressor", 1), ("processing", "denoiser", 2)])
def test_the_smallest_pictures_have_a_network_too(task: str, name: str, side: int) -> None:
    found = fitting(task, DatasetInfo(task, (), {}, (1, side, side)), "pytorch")
    assert found is not None
    assert (found.name, found.minimum_size) == (name, side)


@pytest.mark.parametrize("way", ["a sweep", "a repetition"])
def test_of_models_that_are_made_together_none_is_left_where_one_fails(
    service: Service, make: Make, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (first,) = make()
    known, create = set(service.store.ids()), JobFolder.create
    full = iter([False, False, True])

    def create_or_fail(folder: JobFolder, request: JobRequest, user: UserColumns) -> None:
        if next(full):
            raise DiskFull("The disk is full.")
        create(folder, request, user)

    monkeypatch.setattr(JobFolder, "create", create_or_fail)
    with pytest.raises(DiskFull):
        make(learning_rate="0.1, 0.01, 0.001") if way == "a sweep" else repeat(service, first, 3)
    found = [service.store.find(job_id, with_deleted=True) for job_id in set(service.store.ids()) - known]
    assert [(job.deleted is not None, job.requested_action) for job in found if job] == [(True, Action.PURGE)] * 2
    assert not known.isdisjoint({job.id for job in service.store.active()}), "what was there before waits as it did"
    assert {job.id for job in service.store.active()} <= known
