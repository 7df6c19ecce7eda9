"""The file that Netron draws: the steps of a network with their kinds, shapes and edges, read back by onnx."""

from __future__ import annotations

import base64

import onnx
import pytest

from digits.engines.base import NetworkContext, get_engine
from digits.frameworks import available_frameworks
from digits.networks import catalog

CONTEXT = NetworkContext("classification", (1, 28, 28), 10)
SUBCLASSED = """
import keras

class Own(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flat, self.scores = keras.layers.Flatten(), keras.layers.Dense(classes)

    def call(self, x):
        return self.scores(self.flat(x))

def build_network(context):
    return Own(context.num_classes)
"""


def graph_of(framework: str, text: str) -> onnx.GraphProto | None:
    if framework not in available_frameworks():
        pytest.skip(f"{framework} is not installed")
    graph = get_engine(framework).check(text, CONTEXT).graph
    return onnx.load_from_string(base64.b64decode(graph)).graph if graph else None


@pytest.mark.parametrize(
    ("framework", "first", "shape"), [("pytorch", "Conv", ["N", 20, 24, 24]), ("tensorflow", "Conv", ["N", 24, 24, 20])]
)
def test_the_steps_of_lenet(framework: str, first: str, shape: list[str | int]) -> None:
    graph = graph_of(framework, catalog.network_text("lenet", framework))
    assert graph is not None
    kinds = [node.op_type for node in graph.node]
    assert {"MaxPool", "Gemm", "Flatten"} <= set(kinds)
    step = next(node for node in graph.node if node.op_type == first)
    (value,) = [value for value in graph.value_info if value.name == step.output[0]]
    assert [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim] == shape
    made = {graph.input[0].name, *(tensor.name for tensor in graph.initializer)}
    for node in graph.node:  # in the order of their work, each reads what was made before
        assert set(node.input) <= made
        made |= set(node.output)


def test_a_network_whose_steps_are_unknown_has_none() -> None:
    assert graph_of("tensorflow", SUBCLASSED) is None


def test_parameters_have_shapes_and_no_numbers() -> None:
    graph = graph_of("pytorch", catalog.network_text("lenet"))
    assert graph is not None
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    assert [20, 1, 5, 5] in weights.values()
    assert not any(tensor.raw_data or tensor.float_data for tensor in graph.initializer)
