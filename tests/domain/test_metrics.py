"""What a metric is says one module, and nothing is concluded from how a name looks."""

from __future__ import annotations

import math

import pytest

from digits.domain.metrics import DECIDING, METRICS, beats, can_decide, deciding_metric, facts, is_lower_better, kind_of

OWN = {"top1_error": {"better": "lower", "unit": "%"}, "speed": {"better": "higher", "unit": "m/s"}}


def test_better_is_lower_of_losses_and_errors_and_never_what_is_no_number() -> None:
    assert beats(0.1, 0.2, is_lower_better("loss"))
    assert not beats(0.1, 0.2, is_lower_better("accuracy"))
    assert beats(1.0, None, is_lower_better("mae"))
    assert not beats(math.nan, None, True)
    assert not beats(None, None, True)


def test_every_task_has_a_metric_of_known_direction() -> None:
    for task, name in DECIDING.items():
        assert METRICS[name].better
        assert deciding_metric(task, [name, "loss"]) == name
        assert deciding_metric(task, ["loss", "something"]) == "loss"
    assert deciding_metric("generic", ["loss", "accuracy"]) == "accuracy"
    assert deciding_metric("generic", ["mine"]) == ""


@pytest.mark.parametrize("name", ["top1_error", "topology", "dice_like", "priority", "ious", "loss_of_height", "mean_error"])
def test_a_name_alone_says_nothing(name: str) -> None:
    assert kind_of(name) == "other"
    assert not can_decide(name)
    assert deciding_metric("classification", [name, "accuracy"], wished=name) == "accuracy"


def test_what_a_network_text_declares_counts() -> None:
    assert deciding_metric("classification", ["accuracy", "top1_error"], "top1_error", OWN) == "top1_error"
    assert is_lower_better("top1_error", "", OWN)
    assert (kind_of("top1_error", OWN), kind_of("speed", OWN)) == ("accuracy", "other")
    assert facts("speed", "", OWN).unit == facts("epoch_speed", "", OWN).unit == "m/s"
    assert is_lower_better("epoch_time", "", {"epoch_time": {"better": "lower"}})


def test_parts_of_a_loss_are_losses_and_values_of_a_class_are_those_of_their_metric() -> None:
    assert kind_of("part_of_mine", None, "loss") == "loss"
    assert is_lower_better("part_of_mine", "loss")
    assert all(is_lower_better(name, "loss") for name in ("dice", "ssim"))
    assert not is_lower_better("ssim")
    assert is_lower_better("iou", "", {"iou": {"better": "lower"}})
    assert not is_lower_better("dice/left ventricle", "", {"dice": {"better": "lower"}})
    assert facts("dice/left ventricle").column == "Dice (pooled)"
    assert facts("epoch_accuracy") == facts("accuracy")
