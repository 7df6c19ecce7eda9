"""The Python layer file of a new model: which one is meant, a look at it without running it, its copy in the model's folder.

Holds: the file is opened once and judged by what was opened; what was looked at is what is checked, kept and run.
"""

from __future__ import annotations

import ast
import base64
import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any, Protocol

from digits.domain.jobs import Kind
from digits.engines.network.python_layers import MODULE, SUFFIXES, LayerFile, layer_file_of
from digits.errors import DigitsError, Forbidden, FormErrors
from digits.service import Service
from digits.service.files.confine import confinement, readable_file
from digits.storage.jobs.store import Job

CLIENT, SERVER = "python_layer_client_file", "python_layer_server_file"
FROM_CLIENT = "python_layer_from_client"
LARGEST = 4 * 2**20
CAFFE = (
    "it has layers of Caffe, which is not among the frameworks. Write them as classes of torch.nn.Module or keras.layers.Layer."
)


class Fields(Protocol):
    """The three fields of a form."""

    python_layer_from_client: bool
    python_layer_client_file: str
    python_layer_server_file: str


def chosen(service: Service, form: Fields) -> LayerFile | None:
    """The file that a form names, None where it names none: of two the one that `python_layer_from_client` says.

    FormErrors where it is not there, cannot be read, or is not Python.
    """
    first, second = (CLIENT, SERVER) if form.python_layer_from_client else (SERVER, CLIENT)
    field = first if getattr(form, first) else second
    text = str(getattr(form, field))
    if not text:
        return None
    path = readable_file(service, text, field)
    data = _read(service, path, field)
    if found := problem(path.suffix.lower(), data):
        raise FormErrors({field: [f"{path.name}: {found}"]})
    return LayerFile(path, _name(service, path), data)


def of_model(service: Service, job: Job, field: str) -> LayerFile | None:
    """The file of an earlier model, which its network text needs. FormErrors at `field` where it is gone."""
    try:
        return layer_file_of(service.folder(job.id))
    except DigitsError as error:
        raise FormErrors({field: [str(error)]}) from error


def _read(service: Service, path: Path, field: str) -> bytes:
    """The file, or a byte more of it than one may have. FormErrors where a link leads elsewhere by now, or it cannot be read."""
    try:
        with confinement(service).open(path) as file:
            return file.read(LARGEST + 1)
    except (Forbidden, OSError) as error:
        raise FormErrors({field: [f"{path.name} cannot be read: {error}"]}) from error


def problem(suffix: str, data: bytes) -> str:
    """What keeps a file from being one of Python layers, in words; empty where nothing is seen."""
    if suffix not in SUFFIXES:
        return f"this is no Python file; expected one of {', '.join(SUFFIXES)}."
    if len(data) > LARGEST:
        return f"it has more than {LARGEST >> 20} MiB."
    if suffix == ".pyc":
        other = data[:4] != importlib.util.MAGIC_NUMBER
        return "another version of Python compiled it. Give the .py file." if other else ""
    try:
        tree = ast.parse(importlib.util.decode_source(data))
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}." if error.lineno else f"{error.msg}."
    except (ValueError, RecursionError, MemoryError) as error:
        return f"it cannot be read as Python: {error or type(error).__name__}."
    return CAFFE if "caffe" in _imported(tree) else ""


def check_text(file: LayerFile | None, text: str) -> None:
    """FormErrors for a network text that imports a layer file where none is given."""
    if file is None and MODULE in _imports_of(text):
        message = f"The network text imports {MODULE}, but no Python layer file is given."
        raise FormErrors({SERVER: [message]})


def notes(file: LayerFile | None, text: str) -> list[str]:
    """What a user should know of a layer file beside a network text; empty where it is used as it is meant to be."""
    if file is None:
        return []
    if not re.search(rf"\b({MODULE}{'|' + file.own_module if file.own_module else ''})\b", text):
        advice = f"write `from {MODULE} import …` into a custom network."
        return [f"{file.name} goes with the model, but its network does not import it, so it has no effect: {advice}"]
    if file.own_module in _imports_of(text) and _is_installed(file.own_module):
        return [f"{file.own_module} is also the name of an installed module, which is taken: import the file as {MODULE}."]
    return []


def keep(file: LayerFile, folder: Path) -> Path:
    """The copy of a layer file in a model's folder."""
    copy = folder / file.copy_name
    if file.data is None:
        shutil.copyfile(file.path, copy)
    else:
        copy.write_bytes(file.data)
    return copy


def request_of(file: LayerFile | None) -> dict[str, str]:
    """A file as it is sent to the process that checks a network text; empty for none."""
    if file is None:
        return {}
    data = {} if file.data is None else {"data": base64.b64encode(file.data).decode()}
    return {"path": str(file.path), "name": file.name, **data}


def form_values(service: Service, file: LayerFile | None, folder: Path) -> dict[str, Any]:
    """The three fields of a stored form: a file that was sent along lies in the model's folder from now on."""
    if file is None:
        return {}
    passing = service.jobs_dir.uploads.resolve() in file.path.resolve().parents
    return {FROM_CLIENT: False, SERVER: str(folder / file.copy_name if passing else file.path)}


def cloned_values(service: Service, job: Job, values: dict[str, Any]) -> dict[str, Any]:
    """The stored form of a model, with its own copy of the layer file where the file is not where it was any more."""
    path = values.get(SERVER)
    if not path or Path(path).is_file():
        return values
    try:
        own = layer_file_of(service.folder(job.id))
    except DigitsError:
        own = None
    return {**values, SERVER: str(own.path) if own else path}


def _name(service: Service, path: Path) -> str:
    """What a user calls the file: of a copy in a model's folder, the name that it had."""
    if path.stem != MODULE or path.parent.parent != service.jobs_dir.path.resolve():
        return path.name
    job = service.store.find(path.parent.name)
    own = of_model(service, job, SERVER) if job is not None and job.kind == Kind.MODEL else None
    return own.name if own else path.name


def _imports_of(text: str) -> set[str]:
    try:
        return _imported(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()  # said where the text is looked at


def _imported(tree: ast.Module) -> set[str]:
    """The packages and modules that a text imports, anywhere in it, without what lies in them."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def _is_installed(module: str) -> bool:
    try:
        return bool(module) and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
