"""Texts checked in a process of their own."""

from __future__ import annotations

from digits.engines.check import check_apart
from digits.networks.catalog import network_text

CONTEXT = {"task": "classification", "input_shape": [1, 28, 28], "num_classes": 10}


def test_a_report_comes_back_whatever_the_text_prints() -> None:
    text = "print('x' * 5_000_000)\n" + network_text("lenet")
    report = check_apart("pytorch", text, CONTEXT)["report"]
    assert report["parameters"] == 431_080
    assert report["output_shapes"] == {"output": [10]}


def test_a_problem_comes_back() -> None:
    assert (
        "BogusCode"
        in check_apart("pytorch", "import torch\ndef build_network(c):\n    torch.nn.BogusCode()\n", CONTEXT)["problem"]
    )


def test_a_text_that_swallows_every_interruption_is_killed() -> None:
    text = "while True:\n    try:\n        while True: pass\n    except BaseException: pass\n"
    assert "stopped" in check_apart("pytorch", text, CONTEXT, seconds=12)["problem"]


def test_a_text_that_ends_its_process_is_told() -> None:
    assert "exit code 3" in check_apart("pytorch", "import os\nos._exit(3)\n", CONTEXT)["problem"]
