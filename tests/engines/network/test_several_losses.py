"""What a network text's list of losses may say, and which error names what is wrong with it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from digits.domain.metrics import NOTHING, deciding_beside_losses
from digits.domain.training import Solver
from digits.engines.network.checks import export_shape_of
from digits.engines.network.several_losses import (
    LossOptimizer,
    check_same,
    gives_several,
    gradient_hook,
    left_out,
    optimizers_of,
    read_entries,
    takes_network,
    with_network,
)
from digits.errors import NetworkError

NAMES = ("generator.0.weight", "generator.0.bias", "discriminator.weight", "scale")
VARIABLES = {name: SimpleNamespace(name=name) for name in NAMES}
PART = SimpleNamespace(part=[VARIABLES["discriminator.weight"], SimpleNamespace(name="frozen")])


def inside(value: Any) -> Any:
    return getattr(value, "part", None)


def moved(*said: Any) -> list[tuple[str, ...]]:
    """What entries with these `vars` move."""
    entries = read_entries([{"loss": 1.0, "vars": one, "name": f"n{i}"} for i, one in enumerate(said)])
    return [one.variables for one in optimizers_of(entries, VARIABLES, inside, ".")]


def test_a_list_of_dictionaries_is_several_losses_and_a_pair_is_none() -> None:
    assert [gives_several(value) for value in ([], [{"loss": 1.0}], ({"loss": 1.0},))] == [True] * 3
    assert [gives_several(value) for value in ((1.0, 2.0), {"loss": 1.0}, 1.0, ())] == [False] * 4


def test_entries_have_names_and_settings() -> None:
    first, second, third = read_entries(
        [
            {"loss": 1.0, "vars": "generator"},
            {"loss": (2.0, 4.0), "vars": ["scale"]},
            {"loss": 1.0, "vars": "d", "name": "judge", "learning_rate": 2, "solver": "RMSPROP", "every": 3},
        ]
    )
    assert (first.name, first.rate, first.solver, first.every) == ("generator", 1.0, "", 1)
    assert (second.name, second.loss) == ("loss_2", (2.0, 4.0))
    assert (third.name, third.rate, third.solver, third.every) == ("judge", 2.0, "RMSPROP", 3)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([], "empty list"),
        ([1.0], "Entry 1 .* is float, expected a dictionary"),
        ([{"loss": 1.0, "vars": "a"}, {"vars": "b"}], "Entry 2 .* has no loss"),
        ([{"loss": 1.0}], "Entry 1 .* has no vars"),
        ([{"loss": 1.0, "vars": "a", "lr": 2}], "says lr; known are loss, vars, name, learning_rate, solver, every"),
        ([{"loss": {"a": 1.0}, "vars": "a"}], "has dict as its loss"),
        ([{"loss": 1.0, "vars": "a", "name": "loss"}], "that is the sum of all"),
        ([{"loss": 1.0, "vars": "a", "name": 3}], "a name is a text"),
        ([{"loss": 1.0, "vars": "a"}, {"loss": 1.0, "vars": "a"}], "Two losses are called a"),
        ([{"loss": 1.0, "vars": "a", "learning_rate": 0}], "has the learning rate 0"),
        ([{"loss": 1.0, "vars": "a", "learning_rate": "fast"}], "has the learning rate 'fast'"),
        ([{"loss": 1.0, "vars": "a", "learning_rate": float("nan")}], "has the learning rate nan"),
        ([{"loss": 1.0, "vars": "a", "solver": "LION"}], "has the solver 'LION'; there are SGD"),
        ([{"loss": 1.0, "vars": "a", "every": 0}], "has every = 0"),
    ],
)
def test_a_wrong_entry_is_named(entries: Any, words: str) -> None:
    with pytest.raises(NetworkError, match=words) as error:
        read_entries(entries)
    assert error.value.advice


def test_variables_are_paths_parts_and_variables_themselves() -> None:
    generator, judge = NAMES[:2], (NAMES[2],)
    assert moved("generator", "discriminator") == [generator, judge]
    assert moved("generator.0.weight", PART) == [generator[:1], judge]
    assert moved(["generator", VARIABLES["scale"]], [PART]) == [(*generator, "scale"), judge]
    assert moved(iter([VARIABLES["scale"]]), "gen") == [("scale",), generator]  # the beginning of names, as in the original
    assert moved(["generator", "generator.0"]) == [generator]  # each once


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (["judge"], "is to move 'judge', but no trainable variable"),
        ([""], "is to move '', but no"),
        ([[]], "n0 moves nothing"),
        ([SimpleNamespace(part=[])], "n0 moves nothing"),
        (["generator", "generator.0.bias"], "generator.0.bias is among the variables of two losses, n0 and n1"),
        ([3], "n0 names a int among its vars"),
        ([np.zeros(2)], "n0 names a ndarray among its vars"),
        ([[SimpleNamespace(name="other")]], "n0 names a SimpleNamespace among its vars"),
    ],
)
def test_wrong_variables_are_named(said: list[Any], words: str) -> None:
    with pytest.raises(NetworkError, match=words):
        moved(*said)


def test_what_no_loss_moves_is_known() -> None:
    found = optimizers_of(read_entries([{"loss": 1.0, "vars": "generator"}]), VARIABLES, inside, ".")
    assert left_out(found, VARIABLES) == ["discriminator.weight", "scale"]


def test_a_training_that_goes_on_has_the_same_losses() -> None:
    one = LossOptimizer("a", ("w",))
    check_same([one], [one])
    with pytest.raises(NetworkError, match=r"others than before: b \(before: a\)"):
        check_same([LossOptimizer("b", ("w",))], [one])


def test_another_solver_has_its_own_settings() -> None:
    form = Solver("SGD", momentum=0.5, weight_decay=0.1)
    assert LossOptimizer("a", ("w",)).settled(form) is form
    assert LossOptimizer("a", ("w",), solver="SGD").settled(form) is form
    assert LossOptimizer("a", ("w",), solver="ADAM").settled(form) == Solver("ADAM")
    assert [LossOptimizer("a", ("w",), every=3).is_due(step) for step in range(6)] == [False, False, True] * 2


def test_a_loss_may_ask_for_the_network() -> None:
    def loss(outputs: Any, targets: Any, network: Any) -> Any:
        return outputs, targets, network

    assert takes_network(loss)
    assert not takes_network(lambda outputs, targets, weight=1: None)
    bound = with_network(loss, "net")
    assert bound is not None
    assert bound(1, 2) == (1, 2, "net")


def test_a_hook_changes_gradients() -> None:
    weight, gradient = SimpleNamespace(), np.ones(3)
    for names in (
        {"update_gradients": lambda gradients, name: [(g * len(name), v) for g, v in gradients]},
        {"gradientUpdate": lambda grad: [(g * 4, v) for g, v in grad]},
    ):
        hook = gradient_hook(names)
        assert hook is not None
        assert hook([(gradient, weight)], "four")[0].tolist() == [4, 4, 4]
    assert gradient_hook({}) is None


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (3, "update_gradients is 3"),
        (lambda: None, "expected a function of the gradients"),
        (lambda gradients: None, "gave NoneType for 1 gradients"),
        (lambda gradients: [], "gave 0 entries for 1 gradients"),
        (lambda gradients: [gradients[0][0]], "something else than pairs"),
        (lambda gradients: [(gradients[0][0], None)], "something else than pairs"),
        (lambda gradients: [(np.ones(2), gradients[0][1])], "another shape"),
    ],
)
def test_a_wrong_hook_is_named(function: Any, words: str) -> None:
    def change() -> None:
        hook = gradient_hook({"update_gradients": function})
        assert hook is not None
        hook([(np.ones(3), SimpleNamespace())], "loss")

    with pytest.raises(NetworkError, match=words):
        change()


@pytest.mark.parametrize("shape", [3, (1, 2), (0, 1, 1), ("a", 1, 1), "abc"])
def test_a_wrong_shape_of_exports_is_named(shape: Any) -> None:
    with pytest.raises(NetworkError, match="EXPORT_SHAPE is"):
        export_shape_of({"EXPORT_SHAPE": shape})


def test_only_what_ranks_decides_beside_losses() -> None:
    values = {"loss": 1.0, "judge": 0.5, "psnr": 20.0, "score": 0.1}
    kinds = {"loss": "loss", "judge": "loss"}
    declared = {"score": {"better": "higher"}}
    assert deciding_beside_losses("processing", values, "", {}, kinds, labelled=False) == NOTHING
    assert deciding_beside_losses("processing", values, "", {}, kinds, labelled=True) == "psnr"
    assert deciding_beside_losses("processing", values, "", declared, kinds, labelled=True) == "score"
    assert deciding_beside_losses("generic", values, "judge", declared, kinds, labelled=False) == "judge"
