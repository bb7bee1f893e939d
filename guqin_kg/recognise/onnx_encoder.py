"""The recogniser's encoder as an ONNX graph, for onnxruntime: the extra ``fast``, for long lists of pictures.

The graph is made from the weights that :class:`guqin_kg.recognise.network.Network` has read (batch norm folded in,
an adapter added), so adapters need no file of their own, and neither torch nor an export step is needed. Making it and
loading onnxruntime takes about a second, so a few pictures are read by numpy.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from guqin_kg.recognise.network import Encoder, Network
from guqin_kg.recognise.onnx_graph import Graph, attended, layer_norm, linear, mlp

_CHUNK = 8
"""Windows at a time: their features stay in the processor's cache."""


def installed() -> bool:
    """Whether the extra ``fast`` is there."""
    return find_spec("onnx") is not None and find_spec("onnxruntime") is not None


def hasten(network: Network) -> bool:
    """Let onnxruntime encode for ``network`` from now on, where the extra ``fast`` is installed; whether it does."""
    if network.encoder is None and installed():
        network.encoder = encoder_of(network)
    return network.encoder is not None


def encoder_of(network: Network, threads: int = 1) -> Encoder:
    """The encoder of ``network``, run by onnxruntime on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model_of(network), options, providers=["CPUExecutionProvider"])

    def encode(pixels: np.ndarray) -> np.ndarray:
        parts = [session.run(None, {"pixels": pixels[at : at + _CHUNK]})[0] for at in range(0, len(pixels), _CHUNK)]
        return np.concatenate(parts)

    return encode


def model_of(network: Network) -> bytes:
    """The encoder as a serialised ONNX model: input ``pixels`` (uint8), output ``features`` (float32)."""
    from onnx import TensorProto, helper

    graph = Graph()
    config = network.config
    height, width, hidden = config["height"], config["width"], config["hidden"]
    x = graph("Cast", "pixels", to=TensorProto.FLOAT)
    x = graph("Div", x, np.float32(255))
    x = graph("Unsqueeze", x, np.array([1], np.int64))
    for kernel, bias, residual in network.stem:
        x = graph("Relu", _convolve(graph, x, kernel, bias, 2))
        for first, first_bias, second, second_bias in residual:
            y = graph("Relu", _convolve(graph, x, first, first_bias, 1))
            x = graph("Relu", graph("Add", _convolve(graph, y, second, second_bias, 1), x))
    cells = network.weights["cell_position"].shape[0]
    x = graph("Reshape", x, np.array([0, config["channels"][-1], cells], np.int64))
    x = linear(graph, network, "stem.project", graph("Transpose", x, perm=[0, 2, 1]))
    x = graph("Add", x, network.weights["cell_position"])
    for layer in range(config["encoder_layers"]):
        at = f"encoder.{layer}"
        y = linear(graph, network, f"{at}.attention.qkv", layer_norm(graph, network, f"{at}.attention_norm", x))
        heads = np.array([0, cells, 3, network.heads, hidden // network.heads], np.int64)
        y = graph("Transpose", graph("Reshape", y, heads), perm=[2, 0, 3, 1, 4])
        query, key, value = (graph("Gather", y, np.int64(which), axis=0) for which in range(3))
        scores = graph("MatMul", query, graph("Transpose", key, perm=[0, 1, 3, 2]))
        mixed = attended(graph, scores, value, hidden)
        x = graph("Add", x, linear(graph, network, f"{at}.attention.output", mixed))
        x = mlp(graph, network, at, x)
    x = layer_norm(graph, network, "memory_norm", x)
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", height, width])
    return graph.model("encoder", [pixels], [(x, "features", ["batch", cells, hidden])])


def _convolve(graph: Graph, x: str, kernel: np.ndarray, bias: np.ndarray, stride: int) -> str:
    inputs = len(kernel) // 9
    shaped = np.ascontiguousarray(kernel.reshape(3, 3, inputs, -1).transpose(3, 2, 0, 1))
    return graph("Conv", x, shaped, bias, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[stride, stride])
