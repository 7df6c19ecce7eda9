"""Which framework a form means: the names of today, those of the original, or none."""

from __future__ import annotations

import importlib.util

from digits.errors import FormErrors
from digits.service.models.form import FOREIGN_FRAMEWORKS, FRAMEWORKS, ModelForm

DEFAULT = "pytorch"
PACKAGES = {"pytorch": "torch", "tensorflow": "tensorflow"}
MISSING_TASKS = {"pytorch": (), "tensorflow": ("detection",)}


def is_installed(framework: str) -> bool:
    """Whether the framework's package is there; looks without importing it."""
    return importlib.util.find_spec(PACKAGES[framework]) is not None


def install_command(framework: str) -> str:
    """The command that adds a framework."""
    return f"pip install 'digits[{framework}]'"


def choose_framework(form: ModelForm) -> tuple[str, list[str]]:
    """The framework and warnings for the answer. Raises FormErrors when it is unknown or not installed."""
    name = form.framework.lower()
    if name in FRAMEWORKS:
        if not is_installed(name):
            raise FormErrors({"framework": [f"{FRAMEWORKS[name]} is not installed. Add it with: {install_command(name)}"]})
        return name, []
    if not name:
        return DEFAULT, [f"No framework was named; {DEFAULT} is used."]
    if name in FOREIGN_FRAMEWORKS:
        return DEFAULT, [f"There is no {name} here; {DEFAULT} is used instead."]
    raise FormErrors({"framework": [f"{form.framework!r} is not one of {', '.join(FRAMEWORKS)}."]})


def missing_abilities(framework: str, task: str) -> dict[str, list[str]]:
    """What a framework cannot do of what a form asks for, by field."""
    if task not in MISSING_TASKS[framework]:
        return {}
    return {
        "framework": [f"{task.capitalize()} is not possible with {FRAMEWORKS[framework]} here. Choose {FRAMEWORKS[DEFAULT]}."]
    }
