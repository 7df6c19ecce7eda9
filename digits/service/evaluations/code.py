"""The question that the page of a model asks, as code that works when it is pasted: Python, curl, and the command on the server.

A token stands nowhere in it: it is read from the environment variable DIGITS_TOKEN, where the server wants one.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

from digits.service.evaluations.answer import TOP
from digits.tasks import Task
from digits.tasks.base import BOXES, MAP, NUMBERS, PICTURES

FORM, OWN_FORM = "data_extension_id", "all-default"
OF_FORMS = (FORM, "snapshot_epoch")  # fields of a question about a form that are not the form's
FILE = "picture.png"  # where none was chosen yet
TOKEN = "DIGITS_TOKEN"
HOW = "digits token add NAME --scope run"
ON = frozenset({"y", "1", "true", "on"})
# Fields of a question, and the options of `digits predict` that mean the same.
OPTIONS = {"tile_overlap": "--tile-overlap", "tta": "--tta"}
FLAGS = {"dont_resize": "--dont-resize", "tiling": "--tiling"}
KNOWN_TO_THE_COMMAND = {*OPTIONS, *FLAGS, "snapshot_epoch", "image_path", "record", "second", "second_epoch"}
SHOWN = {
    BOXES: 'for box in sample["boxes"]:\n    print(answer["class_labels"][box["class"]], box["score"], box["box"])',
    NUMBERS: 'print(sample["values"])',
    MAP: 'print(sample["map"])  # the class of each pixel, a grey PNG as a data: address',
    PICTURES: 'print(sample["picture"])  # as a data: address',
}
OF_CLASSES = 'for label, percent in sample["top"]:\n    print(label, percent)'


@dataclass(frozen=True)
class Question:
    """What is asked of the server at `address`: `fields` as a form has them, but that `image_file` is the name of a file."""

    address: str
    model_id: str
    task: Task
    fields: Mapping[str, str]
    needs_token: bool
    jobs_dir: str

    @property
    def file(self) -> str:
        """The file that is sent; empty for a record or a path of the server."""
        chosen = any(self.fields.get(name) for name in ("image_path", "record", FORM))
        return self.fields.get("image_file") or ("" if chosen else FILE)

    @property
    def others(self) -> dict[str, str]:
        known = {name: value for name, value in self.fields.items() if name != "image_file" and value}
        return known if self.is_form else {name: value for name, value in known.items() if name.isidentifier()}

    @property
    def is_form(self) -> bool:
        """Whether the inference form of a plugin is asked about, and no picture."""
        return bool(self.fields.get(FORM))


def code_of(question: Question) -> dict[str, Any]:
    """`python`, `curl` and `command`, each a text, and the `notes` on them."""
    notes = []
    if question.needs_token:
        notes.append(f"This server wants a token: `{HOW}` on the server prints one; put it into the variable {TOKEN}.")
    if question.file:
        notes.append(f"{question.file} is looked for where the code runs.")
    notes.append("The command works on the machine of the server.")
    if question.is_form:
        notes.append("Files that are sent with the form are not in it: name one that lies on the server instead.")
        if question.fields[FORM] != OWN_FORM:
            notes.append("It takes the form of the data set's own plugin alone.")
    elif left := sorted(question.others.keys() - KNOWN_TO_THE_COMMAND):
        notes.append(f"It has no option for {', '.join(left)}.")
    return {"python": _python(question), "curl": _curl(question), "command": _command(question), "notes": notes}


def _python(question: Question) -> str:
    picture = [repr(question.file)] if question.file else []
    fields = [f"{name}={value!r}" for name, value in question.others.items()]
    if any(not name.isidentifier() or iskeyword(name) for name in question.others):
        fields = [f"**{question.others!r}"]
    shown = SHOWN.get(question.task.output_kind, OF_CLASSES)
    lines = ["from digits.client import Client", ""]
    if question.needs_token:
        lines.append(f"# the token is read from the environment: export {TOKEN}=...")
    lines.append(f"client = Client({question.address!r})")
    lines.append(f"answer = client.predict({', '.join([repr(question.model_id), *picture, *fields])})")
    lines += ['sample = answer["samples"][0]', shown]
    if question.others.get("second"):
        lines.append('print(answer["difference"]["words"])')
    return "\n".join(lines) + "\n"


def _curl(question: Question) -> str:
    parts = ["curl -sS"]
    if question.needs_token:
        parts.append(f'-H "Authorization: Bearer ${{{TOKEN}:?set it to a token, see {HOW}}}"')
    if question.file:
        name = question.file.replace("\\", "\\\\").replace('"', '\\"')
        parts.append("-F " + shlex.quote(f'image_file=@"{name}"'))
    parts += [f"--form-string {shlex.quote(f'{name}={value}')}" for name, value in question.others.items()]
    parts.append(shlex.quote(f"{question.address}/models/{question.model_id}/answer.json"))
    return " \\\n  ".join(parts) + "\n"


def _command(question: Question) -> str:
    if question.is_form:
        return _command_of_form(question)
    models = [(question.model_id, question.others.get("snapshot_epoch", ""))]
    if second := question.others.get("second"):
        models.append((second, question.others.get("second_epoch", "")))
    return "".join(_command_of(question, model, epoch) for model, epoch in models)


def _command_of_form(question: Question) -> str:
    words = ["digits", "predict", question.model_id]
    words += [word for name, value in question.others.items() if name not in OF_FORMS for word in ("--form", f"{name}={value}")]
    epoch = question.others.get("snapshot_epoch", "")
    words += ["--epoch", epoch] if epoch and epoch not in ("0", "-1") else []
    return shlex.join([*words, "--top", str(TOP), "--jobs-dir", question.jobs_dir]) + "\n"


def _command_of(question: Question, model: str, epoch: str) -> str:
    words = ["digits", "predict", model]
    if record := question.others.get("record"):
        words += ["--record", record]
    else:
        name = question.file or question.others.get("image_path", "")
        words.append(f"./{name}" if name.startswith("-") else name)
    if epoch and epoch not in ("0", "-1"):
        words += ["--epoch", epoch]
    words += [option for name, option in FLAGS.items() if question.others.get(name, "").lower() in ON]
    words += [word for name, option in OPTIONS.items() if (value := question.others.get(name)) for word in (option, value)]
    return shlex.join([*words, "--top", str(TOP), "--jobs-dir", question.jobs_dir]) + "\n"
