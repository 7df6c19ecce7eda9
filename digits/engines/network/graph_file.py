"""The steps of a network as a file that Netron draws: an ONNX model of names, kinds, shapes and edges, without weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import NodeProto, TensorProto, ValueInfoProto, helper

from digits.engines.training.tensorboard import GraphNode

PARAMETER, INPUT = "Parameter", "Input"
WORDS: Mapping[str, str] = {  # functions of torch and layers of Keras that ONNX has an operator for: Netron colours those
    "conv2d": "Conv",
    "conv_transpose2d": "ConvTranspose",
    "linear": "Gemm",
    "relu": "Relu",
    "relu_": "Relu",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "batch_norm": "BatchNormalization",
    "max_pool2d": "MaxPool",
    "avg_pool2d": "AveragePool",
    "adaptive_avg_pool2d": "GlobalAveragePool",
    "dropout": "Dropout",
    "flatten": "Flatten",
    "cat": "Concat",
    "add": "Add",
    "mul": "Mul",
    "interpolate": "Resize",
    "Conv2D": "Conv",
    "Conv2DTranspose": "ConvTranspose",
    "Dense": "Gemm",
    "ReLU": "Relu",
    "Softmax": "Softmax",
    "BatchNormalization": "BatchNormalization",
    "MaxPooling2D": "MaxPool",
    "AveragePooling2D": "AveragePool",
    "GlobalAveragePooling2D": "GlobalAveragePool",
    "Dropout": "Dropout",
    "Flatten": "Flatten",
    "Concatenate": "Concat",
    "Add": "Add",
    "UpSampling2D": "Resize",
}
BATCH = "N"  # first axis of what flows


def graph_file(nodes: Sequence[GraphNode], title: str) -> bytes:
    """A serialized ModelProto of nodes in the order of their work; shapes with the batch as first axis, parameters without."""
    steps = [node for node in nodes if node.kind not in (PARAMETER, INPUT)]
    read = {name for node in steps for name in node.inputs}
    graph = helper.make_graph(
        [_step(node) for node in steps],
        title,
        [_value(node) for node in nodes if node.kind == INPUT],
        [_value(node) for node in steps if node.name not in read],
        [TensorProto(name=n.name, dims=n.shapes[0], data_type=TensorProto.FLOAT) for n in nodes if n.kind == PARAMETER],
        value_info=[_value(node) for node in steps if node.name in read],
    )
    return helper.make_model(graph, producer_name="digits").SerializeToString()


def _step(node: GraphNode) -> NodeProto:
    return helper.make_node(WORDS.get(node.kind, node.kind), list(node.inputs), [node.name], name=node.name)


def _value(node: GraphNode) -> ValueInfoProto:
    shape: list[str | int | None] = [BATCH, *node.shapes[0][1:]] if node.shapes and node.shapes[0] else []
    return helper.make_tensor_value_info(node.name, TensorProto.FLOAT, shape)
