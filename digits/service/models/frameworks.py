"""Which framework a form means: the names of today, those of the original, or none."""

from __future__ import annotations

from digits.errors import FormErrors
from digits.frameworks import DEFAULT, frameworks
from digits.service.models.form import FOREIGN_FRAMEWORKS, ModelForm


def choose_framework(form: ModelForm) -> tuple[str, list[str]]:
    """The framework and warnings for the answer. Raises FormErrors when it is unknown or not installed."""
    name = form.framework.lower()
    row = frameworks().get(name)
    if row is not None and not row.is_installed:
        raise FormErrors({"framework": [f"{row.title} is not installed. Add it with: {row.install}"]})
    if row is not None:
        return name, []
    if not name:
        return DEFAULT, [f"No framework was named; {DEFAULT} is used."]
    if name in FOREIGN_FRAMEWORKS:
        return DEFAULT, [f"There is no {name} here; {DEFAULT} is used instead."]
    raise FormErrors({"framework": [f"{form.framework!r} is not one of {', '.join(frameworks())}."]})


def missing_abilities(form: ModelForm, framework: str, task: str) -> dict[str, list[str]]:
    """What a framework cannot do of what a form asks for, by field."""
    row, errors = frameworks()[framework], {}
    if task in row.missing_tasks:
        able = [other.title for other in frameworks().values() if task not in other.missing_tasks]
        errors["framework"] = [f"{task.capitalize()} is not possible with {row.title} here. Choose {' or '.join(able)}."]
    for field, value, possible in (
        ("solver_type", form.solver_type, row.solvers),
        ("precision", form.precision, row.precisions),
    ):
        if value not in possible:
            errors[field] = [f"{row.title} has no {value} here. Choose {' or '.join(possible)}."]
    return errors
