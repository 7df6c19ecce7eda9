"""The one way from a posted form to the job of a data set, and what every source of data brings for it.

Holds: `check` looks at everything and writes nothing; only then a job id is claimed, and when `freeze` fails the folder is gone
again. The form that is stored makes the same data set when it is sent once more. No code of a plugin runs here: a source whose
form is a plugin's asks the plugin host.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from digits import tasks
from digits.domain.datasets import DatasetSpec
from digits.domain.jobs import Kind, Resources
from digits.errors import DigitsError, FormErrors
from digits.service import Service
from digits.service.files.confine import allowed_roots
from digits.service.forms import BoundForm, FormModel
from digits.service.jobs import claimed_job_id, create_job, stored_form
from digits.service.plugins import host as plugins
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job

FOUND = ("counts", "class_labels", "colours", "problems", "problem_count", "samples", "tried", "failed")  # of a preview
Errors = Mapping[str, list[str]]
LEFT_OUT_TITLE = "Left out at most (%)"
LEFT_OUT_HELP = "Entries that cannot be used are left out and listed; more of them end the job. Blank: as the server says."


@dataclass(frozen=True)
class PluginForm:
    """A plugin's form as the page shows it; `failure` stands in its place when the plugin failed."""

    title: str = ""
    category: str = ""
    html: str = ""
    fields: list[dict[str, Any]] = field(default_factory=list)
    failure: DigitsError | None = None

    @property
    def trace(self) -> str:
        return str(getattr(self.failure, "trace", ""))


@dataclass(frozen=True)
class FormPage:
    """What the page of a new data set shows: our own fields, and above them a plugin's where the source is one."""

    title: str
    lead: str
    form: BoundForm
    plugin: PluginForm | None = None


@dataclass(frozen=True)
class Made:
    """What `freeze` leaves for the job: what its worker gets, and the form to store."""

    spec: DatasetSpec
    form: dict[str, Any]
    resources: Resources
    summary: dict[str, Any] = field(default_factory=dict)


def max_left_out(service: Service, percent: int | None) -> float:
    """The share of the entries that may be unusable: what a form says in percent, else the server."""
    return (service.settings.max_left_out_percent if percent is None else percent) / 100


class Source(ABC):
    """Where a data set comes from. `model` is its form, as far as it is ours; `name` names the template of its fields."""

    name: str
    type_name: str  # R's words in JSON
    model: type[FormModel]
    clone_words: str  # what another data set must be to be cloned by this form

    @abstractmethod
    def made(self, job: Job) -> bool:
        """Whether a data set came from this source, so that its form can be sent to it again."""

    @abstractmethod
    def check(self, service: Service, values: Mapping[str, Any]) -> Any:
        """The form as it was understood, with `dataset_name` and `group_name`. Raises FormErrors with all that is wrong."""

    @abstractmethod
    def freeze(self, service: Service, form: Any, values: Mapping[str, Any], folder: JobFolder) -> Made:
        """Put into the job's folder what must not change any more: uploads, a plugin's instance."""

    @abstractmethod
    def page(self, service: Service, values: Mapping[str, Any], errors: Errors, mode: str, nonce: str) -> FormPage:
        """The form to show: `new`, `fill` with a few values, `refill` with stored ones, `check` with what was posted."""

    @abstractmethod
    def look(self, service: Service, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Whose preview it is and what the plugin host gets for it. Raises FormErrors."""

    def stored(self, service: Service, job: Job) -> dict[str, Any]:
        """The stored form of a data set, ready to be sent again."""
        return stored_form(service, job)


def create_dataset(service: Service, source: Source, values: Mapping[str, Any], owner: str = "") -> Job:
    """Make the job of a data set from form values. Raises FormErrors; PluginFailure when a plugin fails.

    `values["clone"]` may name a data set of the same source: its stored form is taken as it is, whatever else was sent (R 1.0).
    """
    values = cloned(service, source, values) or values
    form = source.check(service, values)
    with claimed_job_id(service) as job_id:
        made = source.freeze(service, form, values, service.folder(job_id))
        return create_job(
            service,
            job_id=job_id,
            kind=Kind.DATASET,
            task=made.spec.task,
            type_name=source.type_name,
            name=form.dataset_name,
            group=form.group_name,
            owner=owner,
            form=made.form,
            spec=made.spec.to_json(),
            resources=made.resources,
            extension=made.spec.extension,
            summary=made.summary,
        )


def cloned(service: Service, source: Source, values: Mapping[str, Any]) -> dict[str, Any]:
    """The stored form of the data set that `clone` names; empty without one. Raises FormErrors."""
    requested = values.get("clone")
    if not requested:
        return {}
    job = service.store.find(str(requested))
    if job is None or job.kind != Kind.DATASET or not source.made(job):
        raise FormErrors({"clone": [f"{requested!r} is not {source.clone_words} that could be cloned."]})
    return source.stored(service, job)


def preview(service: Service, source: Source, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a posted form would make: `counts`, `class_labels` and their `colours`, `problems`, ten random `samples` (`picture`:
    bytes of a PNG), how many were `tried` and how many of those `failed` to be read.

    Nothing is kept. Raises FormErrors; PluginFailure with the source's message when it can make no data set of the files.
    """
    extension, header = source.look(service, values)
    answer = plugins.request(service, "preview", extension, header, timeout=service.settings.request_seconds)
    found = {name: answer.header[name] for name in FOUND}
    for number, sample in enumerate(found["samples"]):
        picture = answer.arrays.get(f"{number}/picture")
        sample["picture"] = picture.tobytes() if picture is not None else b""
    return found


def roots(service: Service) -> list[str]:
    """The folders that a source may read, in the form it gets them."""
    return [str(root) for root in allowed_roots(service)]


def unknown_task() -> str:
    """The task of a data set whose source names none; the records settle it."""
    return tasks.GENERIC.name
