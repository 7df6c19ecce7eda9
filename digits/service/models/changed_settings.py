"""Which settings of a model are not what its form proposed: each with its value and the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from digits.domain.settings import taken_for_blank
from digits.service.models.choices import recommended_values
from digits.service.models.form import LR_PARAMETERS, ModelForm

# What a model is made of, and where it ran, is no deviation from a default.
NOT_COMPARED = frozenset(
    {
        "model_name",
        "group_name",
        "dataset",
        "method",
        "framework",
        "standard_networks",
        "previous_networks",
        "pretrained_networks",
        "custom_network",
        "python_layer_from_client",
        "python_layer_client_file",
        "select_gpu",
        "select_gpus",
        "select_gpus_list",
        "select_gpu_count",
    }
)
# In the order of the form; its own list has the fields of the last part first.
FIELDS = {name: field for part in ModelForm.__mro__[1:] for name, field in getattr(part, "model_fields", {}).items()}
RATES = frozenset(name for names in LR_PARAMETERS.values() for name in names)


@dataclass(frozen=True)
class Change:
    """A field of the form by its `title`: its `value` in the model, and the `default`, as text."""

    name: str
    title: str
    value: str
    default: str


def changed_settings(form: Mapping[str, Any], spec: Mapping[str, Any]) -> list[Change]:
    """The fields of a stored form that hold something else than the page proposes for the network that was chosen; of a network
    that is none of the list, than the form's own defaults. What the training took for a blank field is what counts. Parameters of
    a learning rate's policy count for that policy alone."""
    blank = taken_for_blank(spec)
    proposed = recommended_values(str(form.get("standard_networks", ""))) if form.get("method", "standard") == "standard" else {}
    used = LR_PARAMETERS.get(str(form.get("lr_policy", "")), ())
    found = []
    for name, field in FIELDS.items():
        if name in NOT_COMPARED or name not in form or (name in RATES and name not in used):
            continue
        default = proposed.get(name, field.get_default(call_default_factory=True))
        here, usual = (blank.get(name) if value in (None, "", []) else value for value in (form[name], default))
        if _comparable(here) != _comparable(usual):
            found.append(Change(name, str(field.title or name), _text(field, here), _text(field, usual)))
    return found


def _comparable(value: Any) -> Any:
    """One rate is the same in a list and alone, 1 the same as 1.0, and blank is blank."""
    if isinstance(value, list | tuple):
        return _comparable(value[0]) if len(value) == 1 else [_comparable(one) for one in value]
    if isinstance(value, bool):
        return value
    return float(value) if isinstance(value, int | float) else value or None


def _text(field: Any, value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_text(field, one) for one in value)
    if value is None or value == "":
        return str(_choices(field).get("") or "blank")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return str(_choices(field).get(str(value), value))


def _choices(field: Any) -> Mapping[str, Any]:
    extra = field.json_schema_extra
    return extra.get("choices", {}) if isinstance(extra, dict) else {}
