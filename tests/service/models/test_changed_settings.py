"""What of a form is not what the page proposes."""

from __future__ import annotations

from typing import Any

from digits.service.models.changed_settings import changed_settings
from digits.service.models.choices import recommended_values
from digits.service.models.form import ModelForm, form_values


def stored(**values: Any) -> dict[str, Any]:
    form = {"model_name": "x", "dataset": "d", "standard_networks": "lenet", **recommended_values("lenet"), **values}
    return form_values(ModelForm.model_validate({k: [v] if k in ("learning_rate", "batch_size") else v for k, v in form.items()}))


def test_a_form_that_was_sent_as_it_was_proposed_differs_in_nothing() -> None:
    assert changed_settings(stored(), {}) == []


def test_each_change_has_its_title_and_both_values() -> None:
    found = changed_settings(stored(learning_rate=0.5, aug_flip="fliplr", lr_policy="fixed", lr_step_size=7.0, random_seed=3), {})
    assert [(change.title, change.value, change.default) for change in found] == [
        ("Learning rate", "0.5", "0.02"),
        ("Policy", "Fixed", "Polynomial decay"),
        ("Random seed", "3", "blank"),
        ("Flip", "Left and right", "None"),
    ]
    assert changed_settings({}, {}) == []
