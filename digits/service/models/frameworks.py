"""Which framework a form means: the names of today, those of the original, or none."""

from __future__ import annotations

from digits.errors import FormErrors
from digits.frameworks import DEFAULT, frameworks
from digits.service.models.form import FOREIGN_FRAMEWORKS, ModelForm

AUGMENTATIONS = {  # field of the form → name in `Framework.augmentations`
    "aug_flip": "flip",
    "aug_quad_rot": "quad_rot",
    "aug_rot": "rot",
    "aug_scale": "scale",
    "aug_shift": "shift",
    "aug_noise": "noise",
    "aug_contrast": "contrast",
    "aug_whitening": "whitening",
    "aug_hsv_use": "hsv",
}
GPU_LISTS = ("select_gpus", "select_gpus_list")


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
    """What a framework cannot do of what a form requests, by field."""
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
    for field, name in AUGMENTATIONS.items():
        if name not in row.augmentations and getattr(form, field) != ModelForm.model_fields[field].default:
            errors[field] = [f"{row.title} cannot do this here. Leave it out, or choose another framework."]
    several = {"select_gpu_count": form.select_gpu_count or 0} | {f: len(getattr(form, f) or ()) for f in GPU_LISTS}
    one_gpu = f"{row.title} trains on one GPU here. Choose one, or PyTorch for several."
    errors |= {f: [one_gpu] for f, count in several.items() if count > 1 and not row.multi_gpu}
    if (form.cpu_processes or 1) > 1 and not row.cpu_processes:
        errors["cpu_processes"] = [f"{row.title} trains in one process here. Leave the field blank, or choose PyTorch."]
    return errors
