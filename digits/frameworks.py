"""The frameworks that train: one row each, with all that pages, commands and checks need to know, read without importing any.

A further engine is a folder of its own and a row here, or a package that names its row as an entry point of the group
`digits.engines`: `name = "package.module:ROW"`, where that module imports no framework.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from digits.domain.training import SOLVERS
from digits.errors import BadRequest

GROUP = "digits.engines"
DEFAULT = "pytorch"  # what is meant where nothing is said
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OldTexts:
    """Networks of an earlier generation of a framework: how to know them, what they are, what to write in their place.

    `texts` is searched in a text without `build_network`, `errors` in the message of what a text raised (regular expressions).
    """

    texts: str
    errors: str
    found: str
    reason: str
    advice: str


@dataclass(frozen=True)
class Format:
    """A format that models can be written in. `home` is `module:Class` of its exporter; `frameworks` are those whose models it
    writes, empty where only the exporter's `check` knows. It is offered where the module `needs` can be found; else `install` is
    the command that brings it."""

    name: str
    title: str
    home: str
    frameworks: tuple[str, ...] = ()
    note: str = ""
    needs: str = ""
    install: str = ""

    @property
    def is_installed(self) -> bool:
        """Looks without importing."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


@dataclass(frozen=True)
class Framework:
    """One framework. What is named as `module:attribute` or as a module is imported only where it is used."""

    name: str  # in forms, job.json and commands
    title: str
    module: str  # it is installed when this can be found
    engine: str  # `module:class` of the engine
    snapshot_suffix: str  # of the engine's snapshots, with the dot
    snapshot_metadata: str  # `module:function`, path → what digits wrote into the file; imports no framework
    weights: tuple[str, ...]  # suffixes of files that a training may start from
    network_class: str  # what `build_network` returns
    imports: tuple[str, ...]  # packages whose import in a text shows that it is written for this framework
    networks: str  # package with the standard networks' texts, with `networks.json` where it has networks of its own
    archive: str  # package whose folder has the README.md and predict.py of an archive
    install: str  # the command that adds it
    libraries: Mapping[str, str] = field(default_factory=dict)  # package of library networks → `module:TEMPLATE` of their texts
    library_rows: tuple[str, ...] = ()  # JSON files of library networks beside the texts
    library_title: str = ""
    packages: tuple[str, ...] = ()  # distributions whose versions a training notes
    import_first: tuple[str, ...] = ()  # modules that crash the process when they are imported after `module`
    solvers: tuple[str, ...] = tuple(SOLVERS)
    precisions: tuple[str, ...] = ("32-true", "16-mixed", "bf16-mixed")
    augmentations: tuple[str, ...] = ("flip", "quad_rot", "rot", "scale", "shift", "noise", "contrast", "whitening", "hsv")
    exports: tuple[Format, ...] = ()
    missing_tasks: tuple[str, ...] = ()
    multi_gpu: bool = True
    cpu_processes: bool = False  # several processes on the CPU can share a training
    old_texts: OldTexts | None = None
    error_frame: str = ""  # a regular expression whose group is the message inside what the framework draws around it

    @property
    def is_installed(self) -> bool:
        """Looks without importing."""
        return importlib.util.find_spec(self.module) is not None

    @property
    def network_folder(self) -> Path:
        """Where the texts of its standard networks lie."""
        return folder_of(self.networks)

    def is_written_in(self, text: str) -> bool:
        """Whether a network text imports this framework."""
        return re.search(rf"^\s*(import|from)\s+({'|'.join(self.imports)})\b", text, re.MULTILINE) is not None


OPENVINO = "pip install 'digits[openvino]'"
PYTORCH = Framework(
    name="pytorch",
    title="PyTorch",
    module="torch",
    engine="digits.engines.pytorch.engine:TorchEngine",
    snapshot_suffix=".safetensors",
    snapshot_metadata="digits.engines.pytorch.snapshot_file:metadata",
    weights=(".safetensors", ".pt", ".pth"),
    network_class="torch.nn.Module",
    imports=("torch", "torchvision", "timm"),
    networks="digits.networks",
    archive="digits.engines.pytorch.archive",
    install="pip install torch torchvision",
    libraries={
        "torchvision": "digits.networks.library_texts:TORCHVISION",
        "timm": "digits.networks.library_texts:TIMM",
        "smp": "",  # each row names its own text
    },
    library_rows=("library.json", "dense_library.json"),
    library_title="torchvision, timm and smp",
    packages=("torch", "torchvision", "timm", "lightning-fabric"),
    cpu_processes=True,
    exports=(
        Format("onnx", "ONNX", "digits.engines.pytorch.export_onnx:OnnxExporter", ("pytorch",), "For ONNX Runtime and its like."),
        Format(
            "onnx_int8",
            "ONNX, 8 bits",
            "digits.engines.pytorch.export_int8:Int8OnnxExporter",
            ("pytorch",),
            "A quarter of the size; ranges measured on pictures of the validation.",
        ),
        Format(
            "openvino",
            "OpenVINO",
            "digits.engines.pytorch.export_openvino:OpenVinoExporter",
            ("pytorch",),
            "For processors and graphics of Intel.",
            "openvino",
            OPENVINO,
        ),
        Format(
            "openvino_int8",
            "OpenVINO, 8 bits",
            "digits.engines.pytorch.export_openvino:Int8OpenVinoExporter",
            ("pytorch",),
            "A quarter of the size; ranges measured on pictures of the validation.",
            "openvino",
            OPENVINO,
        ),
        Format(
            "torch_export",
            "PyTorch program",
            "digits.engines.pytorch.export_program:ProgramExporter",
            ("pytorch",),
            "For torch.export.load, without the network's text.",
        ),
        Format(
            "torchscript",
            "TorchScript",
            "digits.engines.pytorch.export_torchscript:TorchScriptExporter",
            ("pytorch",),
            "For torch.jit.load and libtorch, while PyTorch has it.",
        ),
        Format(
            "safetensors",
            "Weights (safetensors)",
            "digits.engines.pytorch.export_safetensors:SafetensorsExporter",
            ("pytorch",),
            "For programs that have the network themselves.",
        ),
    ),
)
TENSORFLOW = Framework(
    name="tensorflow",
    title="TensorFlow",
    module="tensorflow",
    engine="digits.engines.tensorflow.engine:TensorflowEngine",
    snapshot_suffix=".keras",
    snapshot_metadata="digits.engines.tensorflow.snapshot_file:metadata",
    weights=(".keras", ".h5"),
    network_class="keras.Model",
    imports=("tensorflow", "keras"),
    networks="digits.networks.tensorflow",
    archive="digits.engines.tensorflow.archive",
    install="pip install 'digits[tensorflow]'",
    libraries={"keras": "digits.networks.tensorflow.library_text:KERAS"},
    library_rows=("library.json",),
    library_title="keras.applications",
    packages=("tensorflow", "tensorflow-cpu", "keras"),
    import_first=("torchvision",),
    exports=(
        Format(
            "saved_model",
            "SavedModel",
            "digits.engines.tensorflow.export_saved_model:SavedModelExporter",
            ("tensorflow",),
            "For TensorFlow Serving and tf.saved_model.load.",
        ),
        Format(
            "onnx",
            "ONNX",
            "digits.engines.tensorflow.export_onnx:OnnxExporter",
            ("tensorflow",),
            "For ONNX Runtime and its like.",
            "tf2onnx",
            "pip install tf2onnx",
        ),
        Format(
            "tflite",
            "TensorFlow Lite",
            "digits.engines.tensorflow.export_tflite:TfliteExporter",
            ("tensorflow",),
            "For phones and small devices.",
        ),
        Format(
            "tflite_int8",
            "TensorFlow Lite, 8 bits",
            "digits.engines.tensorflow.export_tflite:Int8TfliteExporter",
            ("tensorflow",),
            "A quarter of the size; ranges measured on pictures of the validation.",
        ),
        Format(
            "openvino",
            "OpenVINO",
            "digits.engines.tensorflow.export_openvino:OpenVinoExporter",
            ("tensorflow",),
            "For processors and graphics of Intel.",
            "openvino",
            OPENVINO,
        ),
    ),
    missing_tasks=("detection",),
    multi_gpu=False,
    old_texts=OldTexts(
        texts=r"class\s+\w+\s*\(\s*Tower\s*\)|import\s+tensorflow\.contrib|tf\.contrib|\bslim\.",
        errors=r"tensorflow\.contrib|tf_slim|name 'Tower'|name 'slim'|"
        r"'tensorflow' has no attribute '(placeholder|layers|contrib|Session|get_variable|variable_scope|app|flags"
        r"|truncated_normal|reset_default_graph|global_variables_initializer|ConfigProto)'",
        found="This is a network of TensorFlow 1 (UserModel(Tower) or slim).",
        reason="That is TensorFlow 1, whose ways TensorFlow 2 does not have any more.",
        advice="Write build_network(context) that returns a keras.Model: what `inference` built of self.x goes there, beginning "
        "with keras.Input((height, width, channels)); self.nclasses is context.num_classes, slim.conv2d is keras.layers.Conv2D, "
        "slim.fully_connected is keras.layers.Dense; `loss` becomes loss(outputs, targets), and may "
        "give a list of losses with their vars as it did. docs/networks.md shows how.",
    ),
    error_frame=r"^Exception encountered when calling .*?\x1b\[1m(.*?)\x1b\[0m",
)
BUILT_IN = (PYTORCH, TENSORFLOW)


@cache
def frameworks() -> dict[str, Framework]:
    """Every framework by name: ours, then those of installed packages. A row that cannot be read is told in the log."""
    found = {row.name: row for row in BUILT_IN}
    for point in metadata.entry_points(group=GROUP):
        try:
            row = point.load()
        except Exception:  # whatever the module of another package does when it is imported
            log.exception("The engine %s (%s) cannot be used.", point.name, point.value)
            continue
        if isinstance(row, Framework) and row.name not in found:
            found[row.name] = row
        else:
            log.error("The engine %s (%s) is no Framework, or its name is taken.", point.name, point.value)
    return found


def framework(name: str) -> Framework:
    """The row of a framework. BadRequest when there is none of that name."""
    if name not in frameworks():
        raise BadRequest(f"There is no framework {name!r}.", advice=f"Choose one of {', '.join(frameworks())}.")
    return frameworks()[name]


def available_frameworks() -> tuple[str, ...]:
    """Names of those that are installed; looks without importing."""
    return tuple(name for name, row in frameworks().items() if row.is_installed)


def snapshot_suffixes() -> tuple[str, ...]:
    """Of every engine's snapshots, with the dot."""
    return tuple(row.snapshot_suffix for row in frameworks().values())


def attribute(address: str) -> Any:
    """What `module:attribute` names, imported now."""
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)


def folder_of(package: str) -> Path:
    """The folder of a package, which is found but not imported itself (its parents are)."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"There is no package {package}.")
    return Path(next(iter(spec.submodule_search_locations)))
