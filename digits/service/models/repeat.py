"""The same training with other random seeds: how much of a result is chance."""

from __future__ import annotations

import secrets

from digits import tasks
from digits.domain.jobs import Kind
from digits.errors import BadRequest
from digits.service import Service
from digits.service.jobs import all_or_none
from digits.service.models.create import clone_values, create_models
from digits.service.models.form import MAX_NAME
from digits.storage.jobs.store import Job

MOST_SEEDS = 20


def repeat(service: Service, job: Job, seeds: int, owner: str = "") -> list[Job]:
    """Make a model like `job` for each of so many new seeds, or none; nothing else of the form changes but the
    name. BadRequest for what is no model or a number out of reason, FormErrors where the form does not hold any more (a data set
    that is gone)."""
    if job.kind != Kind.MODEL:
        raise BadRequest(f"{job.name} is no model.", advice="Only trainings have a seed.")
    if not 1 <= seeds <= MOST_SEEDS:
        raise BadRequest(f"seeds is {seeds}, expected 1 to {MOST_SEEDS}.")
    area, form = tasks.recorded(job.task).area, clone_values(service, job)
    used = {service.folder(job.id).request().spec.get("seed")}
    with all_or_none(service) as made:
        for _ in range(seeds):
            seed = secrets.randbelow(2**31)
            while seed in used:
                seed = secrets.randbelow(2**31)
            used.add(seed)
            suffix = f" seed:{seed}"
            name = job.name.split(" seed:")[0][: MAX_NAME - len(suffix)] + suffix
            values = {name: value for name, value in form.items() if value is not None}
            made += create_models(service, area, {**values, "model_name": name, "random_seed": seed}, owner)
    return made
