"""The recogniser's decoder as an ONNX graph, for programs that run the network without this package.

It reads all tokens so far at once, without a cache: simple to call, and a reading is short.
"""

from __future__ import annotations

import numpy as np

from guqin_kg.recognise.network import Network
from guqin_kg.recognise.onnx_graph import Graph, attended, layer_norm, linear, mlp

_FAR = np.float32(-1e9)


def model_of(network: Network) -> bytes:
    """The decoder as a serialised ONNX model.

    Inputs: ``tokens`` (int64, ``(batch, length)``, the first of them the begin sign; at most ``max_tokens``) and
    ``features`` of the encoder, as many pictures as there are rows of tokens. Outputs: ``logits`` of the token after
    each, ``(batch, length, tokens)``, and ``boxes`` of each token, ``(batch, length, 4)``: x0, y0, x1, y1 in 0..1 of
    the window.
    """
    from onnx import TensorProto, helper

    graph, weights = Graph(), network.weights
    config = network.config
    hidden, heads, longest = config["hidden"], network.heads, config["max_tokens"]
    size = hidden // heads
    cells = weights["cell_position"].shape[0]
    first, zero = np.array([1], np.int64), np.array([0], np.int64)
    length = graph("Slice", graph("Shape", "tokens"), first, np.array([2], np.int64))
    x = graph("Gather", weights["token_embedding.weight"], "tokens", axis=0)
    x = graph("Add", x, graph("Slice", weights["token_position"], zero, length, zero))
    later = np.triu(np.full((longest, longest), _FAR), 1)  # what comes later is not seen
    hidden_ones = graph("Slice", graph("Slice", later, zero, length, zero), zero, length, first)
    for layer in range(config["decoder_layers"]):
        at = f"decoder.{layer}"
        y = linear(graph, network, f"{at}.attention.qkv", layer_norm(graph, network, f"{at}.attention_norm", x))
        y = graph("Transpose", graph("Reshape", y, np.array([0, 0, 3, heads, size], np.int64)), perm=[2, 0, 3, 1, 4])
        query, key, value = (graph("Gather", y, np.int64(which), axis=0) for which in range(3))
        scores = graph("Add", graph("MatMul", query, graph("Transpose", key, perm=[0, 1, 3, 2])), hidden_ones)
        x = graph("Add", x, linear(graph, network, f"{at}.attention.output", attended(graph, scores, value, hidden)))
        scale = np.float32(size**-0.5)
        query = linear(graph, network, f"{at}.cross.query", layer_norm(graph, network, f"{at}.cross_norm", x))
        query = _by_head(graph, query, 0, heads, size, [0, 2, 1, 3])
        key = graph("Mul", linear(graph, network, f"{at}.cross.key", "features"), scale)
        key = _by_head(graph, key, cells, heads, size, [0, 2, 3, 1])
        value = linear(graph, network, f"{at}.cross.value", "features")
        value = _by_head(graph, value, cells, heads, size, [0, 2, 1, 3])
        mixed = attended(graph, graph("MatMul", query, key), value, hidden)
        x = graph("Add", x, linear(graph, network, f"{at}.cross.output", mixed))
        x = mlp(graph, network, at, x)
    x = layer_norm(graph, network, "output_norm", x)
    logits = linear(graph, network, "token_head", x)
    boxes = graph("Sigmoid", linear(graph, network, "box_head", x))
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", "length"])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", cells, hidden])
    count = weights["token_embedding.weight"].shape[0]
    outputs = [(logits, "logits", ["batch", "length", count]), (boxes, "boxes", ["batch", "length", 4])]
    return graph.model("decoder", [tokens, features], outputs)


def _by_head(graph: Graph, x: str, rows: int, heads: int, size: int, order: list[int]) -> str:
    return graph("Transpose", graph("Reshape", x, np.array([0, rows, heads, size], np.int64)), perm=order)
