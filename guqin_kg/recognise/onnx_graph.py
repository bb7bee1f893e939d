"""Nodes of an ONNX graph in the making, and the layers of the recogniser's network as such nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from guqin_kg.recognise.network import Network

_OPSET = 17
_IR_VERSION = 8


class Graph:
    """Nodes and constants in the making; calling it adds a node and gives the name of what it computes."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, kind: str, *inputs: str | np.ndarray | np.generic, **attributes: Any) -> str:
        from onnx import helper, numpy_helper

        names = []
        for value in inputs:
            if isinstance(value, str):
                names.append(value)
                continue
            names.append(f"constant{len(self.constants)}")
            self.constants.append(numpy_helper.from_array(np.asarray(value), names[-1]))
        out = f"node{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [out], **attributes))
        return out

    def model(self, name: str, inputs: Sequence[Any], outputs: Sequence[tuple[str, str, list[str | int]]]) -> bytes:
        """The graph as a serialised model.

        Args:
            name: of the graph.
            inputs: descriptions of the inputs (``onnx.ValueInfoProto``).
            outputs: of each float output: the node it is, its name, its shape.
        """
        import onnx
        from onnx import TensorProto, helper

        for node, called, _ in outputs:
            self.nodes.append(helper.make_node("Identity", [node], [called]))
        infos = [helper.make_tensor_value_info(called, TensorProto.FLOAT, shape) for _, called, shape in outputs]
        made = helper.make_graph(self.nodes, name, inputs, infos, self.constants)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        onnx.checker.check_model(model)
        data: bytes = model.SerializeToString()
        return data


def linear(graph: Graph, network: Network, name: str, x: str) -> str:
    """The layer ``name`` of a network, applied to the last axis."""
    weight, bias = network.linear[name]
    return graph("Add", graph("MatMul", x, weight), bias)


def layer_norm(graph: Graph, network: Network, name: str, x: str) -> str:
    """The normalisation ``name`` of a network, of the last axis."""
    weight, bias = network.weights[f"{name}.weight"], network.weights[f"{name}.bias"]
    return graph("LayerNormalization", x, weight, bias, axis=-1, epsilon=network.epsilon)


def attended(graph: Graph, scores: str, value: str, hidden: int) -> str:
    """What attention gives, ``(batch, n, hidden)``, of scores ``(batch, heads, n, m)`` and values ``(…, m, size)``."""
    mixed = graph("Transpose", graph("MatMul", graph("Softmax", scores, axis=-1), value), perm=[0, 2, 1, 3])
    return graph("Reshape", mixed, np.array([0, 0, hidden], np.int64))


def mlp(graph: Graph, network: Network, at: str, x: str) -> str:
    """The two layers ``at`` with their normalisation, added to ``x``."""
    y = graph("Relu", linear(graph, network, f"{at}.mlp.up", layer_norm(graph, network, f"{at}.mlp_norm", x)))
    return graph("Add", x, linear(graph, network, f"{at}.mlp.down", y))
