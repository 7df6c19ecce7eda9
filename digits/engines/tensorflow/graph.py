"""The steps of a Keras model: its layers, what each reads, and the shape of what it gives."""

from __future__ import annotations

from typing import Any

from digits.engines.network.graph_file import INPUT, PARAMETER
from digits.engines.tensorflow.start import keras
from digits.engines.training.tensorboard import GraphNode


def graph_of(model: Any) -> list[GraphNode]:
    """The nodes of a model of the functional kind (or a Sequential), in the order of their work; none of a subclassed one.

    Shapes are Keras' own, (N, H, W, C); a model within the model is one node.
    """
    functional = getattr(model, "_functional", None) or model
    nodes: list[GraphNode] = []
    for layer in getattr(functional, "operations", ()):
        weights = [GraphNode(weight.path, PARAMETER, (), [tuple(weight.shape)]) for weight in getattr(layer, "weights", ())]
        inputs = [parent.operation.name for call in layer._inbound_nodes[:1] for parent in call.parent_nodes]
        kind = INPUT if isinstance(layer, keras.layers.InputLayer) else type(layer).__name__
        outputs = keras.tree.flatten(layer.output)
        nodes += [*weights, GraphNode(layer.name, kind, (*inputs, *(w.name for w in weights)), [tuple(outputs[0].shape)])]
    return nodes
