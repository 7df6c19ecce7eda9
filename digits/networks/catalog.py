"""What networks there are, without importing a framework: those with a text of ours, and by name all of the libraries that the
rows of `digits.frameworks` name.

The texts of a framework's standard networks lie in its folder of networks, beside the lists of its libraries: each `library.json`
is written by the `generate_library.py` beside it, `dense_library.json` by `generate_dense.py`. Networks that it alone has stand
in `networks.json`. Defaults are keyed by the fields of the model form.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from digits.errors import NotFound
from digits.frameworks import DEFAULT, attribute, framework, frameworks
from digits.networks import dense_texts
from digits.tasks import get, words_for

CLASSIFICATION = ("classification", "multi_label")  # with scores of the classes and no loss of their own
PICTURES = ("segmentation", "processing")
HEAVY = 100_000_000  # parameters beyond which a smaller batch is proposed


@dataclass(frozen=True)
class NetworkInfo:
    """One network as the form shows it.

    `input_size` is the side it is meant for (0: any), `minimum_size` the smallest it works with, `parameters` about how many it
    has at its own size with 1,000 classes (10 for LeNet). One that `keeps_channels` gives as many channels as it gets. `defaults`
    are the recommended values of the form's fields.
    """

    name: str
    title: str
    tasks: tuple[str, ...] = CLASSIFICATION
    authors: str = ""
    year: int = 0
    paper: str = ""
    input_size: int = 0
    minimum_size: int = 0
    channels: int = 3
    parameters: int = 0
    note: str = ""
    batch_size: int = 0
    pretrained: bool = False
    keeps_channels: bool = False
    defaults: dict[str, Any] = field(default_factory=dict)


def _values(epochs: int, solver: str, rate: float, batch: int, **others: Any) -> dict[str, Any]:
    return {"train_epochs": epochs, "solver_type": solver, "learning_rate": rate, "batch_size": batch} | others


# A cosine-like decay without its own parameters: the rate falls smoothly to 0, power 1 is linear.
_POLY = {"lr_policy": "poly", "lr_poly_power": 1}

STANDARD = (
    NetworkInfo(
        "lenet",
        "LeNet",
        authors="LeCun et al.",
        year=1998,
        paper="http://yann.lecun.com/exdb/publis/pdf/lecun-01a.pdf",
        input_size=28,
        minimum_size=14,
        channels=1,
        parameters=431_080,
        note="Small and quick; digits and other small pictures.",
        batch_size=64,
        # 0.02 with momentum 0.9 and a linear decay: 99 % on MNIST in 5 epochs
        defaults=_values(5, "SGD", 0.02, 64, **_POLY),
    ),
    NetworkInfo(
        "lenet_slim",
        "LeNet (slim)",
        authors="LeCun et al.",
        year=1998,
        paper="http://yann.lecun.com/exdb/publis/pdf/lecun-01a.pdf",
        input_size=28,
        minimum_size=16,
        channels=1,
        parameters=431_080,
        note="LeNet with ReLU behind each convolution, dropout and weight decay.",
        batch_size=64,
        defaults=_values(5, "SGD", 0.02, 64, weight_decay=0.0005, **_POLY),
    ),
    NetworkInfo(
        "siamese",
        "Siamese LeNet",
        tasks=("classification",),
        authors="Hadsell, Chopra and LeCun",
        year=2006,
        paper="http://yann.lecun.com/exdb/publis/pdf/hadsell-chopra-lecun-06.pdf",
        input_size=28,
        minimum_size=14,
        channels=2,
        parameters=431_102,
        note="Are two pictures of one class? The pair lies in the channels.",
        batch_size=64,
        defaults=_values(10, "SGD", 0.01, 64, **_POLY),
    ),
    NetworkInfo(
        "alexnet",
        "AlexNet",
        authors="Krizhevsky et al.",
        year=2012,
        paper="https://papers.nips.cc/paper/2012/hash/c399862d3b9d6b76c8436e924a68c45b-Abstract.html",
        input_size=227,
        minimum_size=63,
        parameters=60_965_224,
        note="Without normalisation: needs much data.",
        batch_size=128,
        defaults=_values(30, "SGD", 0.01, 128, lr_policy="step", lr_step_size=33, lr_step_gamma=0.1, aug_flip="fliplr"),
    ),
    NetworkInfo(
        "googlenet",
        "GoogLeNet",
        tasks=("classification",),
        authors="Szegedy et al.",
        year=2014,
        paper="https://arxiv.org/abs/1409.4842",
        input_size=224,
        minimum_size=32,
        parameters=13_385_816,
        note="Few parameters; two auxiliary losses while training.",
        batch_size=32,
        defaults=_values(30, "SGD", 0.02, 32, aug_flip="fliplr", **_POLY),
    ),
    NetworkInfo(
        "vgg16",
        "VGG-16",
        authors="Simonyan and Zisserman",
        year=2014,
        paper="https://arxiv.org/abs/1409.1556",
        input_size=224,
        minimum_size=32,
        parameters=138_361_768,
        note="Large: wants a GPU.",
        batch_size=32,
        defaults=_values(30, "SGD", 0.01, 32, aug_flip="fliplr", **_POLY),
    ),
    NetworkInfo(
        "small_cnn",
        "Small CNN (any size)",
        minimum_size=1,
        channels=1,
        parameters=226_392,
        note="For pictures that are too small for the others, or a single row; trains on a CPU.",
        batch_size=32,
        defaults=_values(30, "ADAMW", 0.002, 32, use_mean="pixel", **_POLY),
    ),
    NetworkInfo(
        "unet",
        "U-Net (small)",
        tasks=PICTURES,
        authors="after Ronneberger et al.",
        year=2015,
        paper="https://arxiv.org/abs/1505.04597",
        minimum_size=16,
        channels=1,
        parameters=482_466,
        note="A score per pixel, or a picture from a picture; trains on a CPU.",
        batch_size=8,
        defaults=_values(30, "ADAMW", 0.002, 8, **_POLY),
    ),
    NetworkInfo(
        "segmenter",
        "Segmenter (small, residual)",
        tasks=("segmentation",),
        authors="after Oršić et al.",
        year=2019,
        paper="https://arxiv.org/abs/1903.08469",
        minimum_size=64,
        parameters=2_126_923,
        note="Sees the whole picture; for scenes with many classes; trains on a CPU.",
        batch_size=8,
        defaults=_values(
            45,
            "ADAMW",
            0.003,
            8,
            lr_policy="cosine",
            lr_warmup=4,
            class_weights="root",
            use_mean="pixel",
            aug_flip="fliplr",
            aug_scale=0.25,
            aug_shift=0.1,
            aug_contrast=0.2,
        ),
    ),
    NetworkInfo(
        "detector",
        "Detector (small, anchor-free)",
        tasks=("detection",),
        authors="after Zhou et al. and Liu et al.",
        year=2019,
        paper="https://arxiv.org/abs/1904.07850",
        minimum_size=32,
        parameters=911_319,
        note="A peak for every object; many small and crowded ones; trains on a CPU.",
        batch_size=8,
        defaults=_values(60, "ADAMW", 0.003, 8, use_mean="pixel", aug_flip="fliplr", aug_scale=0.1, score_threshold=0.4, **_POLY),
    ),
    NetworkInfo(
        "denoiser",
        "Denoiser (small, residual)",
        tasks=("processing",),
        authors="after Zhang et al.",
        year=2017,
        paper="https://arxiv.org/abs/1608.03981",
        minimum_size=2,  # a single pixel is no picture
        channels=1,
        parameters=105_075,
        note="Learns what to take off a picture: noise, blur, a veil.",
        keeps_channels=True,
        batch_size=16,
        defaults=_values(30, "ADAM", 0.002, 16, use_mean="none", **_POLY),
    ),
    NetworkInfo(
        "regressor",
        "Small CNN for numbers",
        tasks=("regression",),
        minimum_size=1,
        channels=1,
        parameters=228_593,
        note="One output for each number of the label; trains on a CPU.",
        batch_size=32,
        defaults=_values(40, "ADAMW", 0.002, 32, use_mean="pixel", **_POLY),
    ),
    NetworkInfo(
        "autoencoder",
        "Autoencoder",
        tasks=("processing", "generic"),
        authors="after Hinton and Salakhutdinov",
        year=2006,
        paper="https://www.science.org/doi/10.1126/science.1127647",
        minimum_size=8,
        parameters=18_123,
        note="The picture through a narrow middle and back.",
        batch_size=32,
        defaults=_values(20, "ADAM", 0.002, 32, **_POLY),
    ),
)


def standard_networks(framework: str = DEFAULT, task: str = "") -> list[NetworkInfo]:
    """The networks with a text of ours for a framework, for one task or (empty) all. `generic` data may be of any task."""
    return [network for network in _with_text(framework) if not task or suits(network, task)]


@cache
def _with_text(framework: str) -> tuple[NetworkInfo, ...]:
    """Texts lie in installed packages: looked for once."""
    return tuple(network for network in (*STANDARD, *_own_networks(framework)) if _file(network.name, framework).is_file())


def suits(network: NetworkInfo, task: str) -> bool:
    """Whether a network is made for a task; `generic` is any but classification."""
    return get(task).takes_network(network.tasks)


@cache
def library_networks() -> tuple[NetworkInfo, ...]:
    """Every network of the libraries as `<package>/<name>`, in `smp` as `smp/<decoder>/<encoder>`."""
    return tuple(_library_network(row) for row in library_rows().values())


def search(text: str, limit: int = 50, framework: str = DEFAULT, task: str = "classification") -> list[NetworkInfo]:
    """Library networks of a framework for a task (`generic`: any but classification) whose name has every word of `text`; the
    shortest names first."""
    words = text.lower().split()
    suiting = [network for network in library_networks() if suits(network, task)]
    own = [network for network in suiting if _framework_of(network.name.partition("/")[0]) == framework]
    found = [network for network in own if all(word in network.name.lower() for word in words)]
    return sorted(found, key=lambda network: (len(network.name), network.name))[:limit]


def network_info(name: str) -> NetworkInfo:
    """What is known of a standard or library network. NotFound when there is none of that name."""
    own = [network for name in frameworks() for network in _own_networks(name)]
    for candidate in (*STANDARD, *own, *library_networks()):
        if candidate.name == name:
            return candidate
    raise NotFound(f"There is no network {name!r}.", advice="Choose a standard network, or search the library.")


def network_text(name: str, framework: str = DEFAULT) -> str:
    """The readable text of a standard or library network. NotFound when there is none for that framework."""
    found = network_info(name)
    if "/" not in name:
        file = _file(name, framework)
        if not file.is_file():
            raise NotFound(f"There is no text of {name} for {framework}.", advice="Choose another network or framework.")
        return file.read_text()
    package, _, model = name.partition("/")
    if (other := _framework_of(package)) != framework:
        raise NotFound(f"{name} is a network for {other}.", advice=f"Choose the {other} tab.")
    return _library_text(found, package, model)


def text_for(name: str, task: str = "classification", framework: str = DEFAULT) -> str:
    """`network_text`; NotFound too when the network is not made for the task."""
    found = network_info(name)
    if task not in found.tasks and task != "generic":
        raise NotFound(f"{found.title} is no network for {words_for(task)}.", advice=f"It is for {words_for(*found.tasks)}.")
    return network_text(name, framework)


def _file(name: str, framework_name: str) -> Path:
    return framework(framework_name).network_folder / f"{name}.py"


@cache
def _own_networks(framework_name: str) -> tuple[NetworkInfo, ...]:
    """What is known of the networks that only this framework has."""
    file = framework(framework_name).network_folder / "networks.json"
    rows = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    return tuple(NetworkInfo(**{**row, "tasks": tuple(row["tasks"])}) for row in rows)


def _framework_of(package: str) -> str:
    """The framework of a library's networks."""
    return next(name for name, row in frameworks().items() if package in row.libraries)


@cache
def library_rows() -> dict[str, dict[str, Any]]:
    """Name, parameters, input shape and more of every library network, by name."""
    files = [row.network_folder / name for row in frameworks().values() for name in row.library_rows]
    return {row["name"]: row for file in files for row in json.loads(file.read_text())}


def _library_text(found: NetworkInfo, package: str, model: str) -> str:
    row = library_rows()[found.name]
    if "text" in row:
        return _dense_text(found, row)
    template: str = attribute(framework(_framework_of(package)).libraries[package])
    return template.format(
        title=found.name,
        parameters=f"{found.parameters:,}",
        side=found.input_size,
        name=model,
        batch=found.batch_size,
        scale=row.get("scale"),
        offset=row.get("offset"),
        bgr=row.get("bgr"),
    )


def _dense_text(found: NetworkInfo, row: dict[str, Any]) -> str:
    family, module, about = _DENSE[row["text"]]
    template = getattr(dense_texts, row["text"].upper())
    return template.format(
        title=found.name,
        parameters=f"{found.parameters:,}",
        about=about,
        family=family,
        module=module,
        name=row["model"],
        backbone=row["backbone"],
        batch=found.batch_size,
    )


_ANCHORS = "Channels and classes follow the data set, the sizes of its anchors the smaller objects; pictures keep their size."
_DENSE = {
    # kind of text: (class, module of torchvision.models.detection, what to say)
    "faster_rcnn": ("FasterRCNN", "faster_rcnn", _ANCHORS),
    "retinanet": ("RetinaNet", "retinanet", _ANCHORS),
    "fcos": ("FCOS", "fcos", _ANCHORS),
    "ssdlite": ("", "", _ANCHORS),
    "torchvision_maps": ("", "", "A score per class and pixel. Batches of one picture cannot be trained with some of them."),
    "smp": ("", "", "A score per class and pixel, or a picture from a picture, at any size."),
}


def _dense_network(row: dict[str, Any]) -> NetworkInfo:
    count = int(row["parameters"])
    is_detector = row["tasks"] == ["detection"]
    flip = {"aug_flip": "fliplr"}
    package, _, name = row["name"].partition("/")
    return NetworkInfo(
        name=row["name"],
        title=f"{name.replace('/', ' with ')} ({package})",
        tasks=tuple(row["tasks"]),
        minimum_size=64,
        parameters=count,
        batch_size=4 if is_detector else 8,
        pretrained=bool(row["pretrained"]),
        defaults=_values(
            40, "ADAMW", 0.0003 if is_detector else 0.0005, 4 if is_detector else 8, use_mean="pixel", **flip, **_POLY
        ),
    )


def _library_network(row: dict[str, Any]) -> NetworkInfo:
    if "text" in row:
        return _dense_network(row)
    size = int(row["input_shape"][-1])
    count = int(row["parameters"])
    batch = 16 if count > HEAVY or size > 320 else 32
    defaults = _values(30, "ADAMW", 0.0005, batch, aug_flip="fliplr", **_POLY)
    package, _, name = row["name"].partition("/")
    return NetworkInfo(
        name=row["name"],
        title=f"{name} ({package})",
        input_size=size,
        minimum_size=32,
        channels=int(row["input_shape"][0]),
        parameters=count,
        batch_size=batch,
        pretrained=bool(row["pretrained"]),
        defaults=defaults,
    )
