"""The recogniser's forward pass in numpy: no torch, so ``guqin recognize`` starts in a blink.

The weights are those of ``training.recogniser.model``; batch norm is folded into the convolutions when they are
read, and the parts of an adapter (LoRA) are added to them. ``tests/recognise/test_network.py`` compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray
Encoder = Callable[[Array], Array]
"""Grey windows ``(batch, height, width)`` uint8, ink 255, to features ``(batch, cells, hidden)``."""
_EPSILON = 1e-5
_CHUNK = 8
"""Images convolved at a time: their patches stay in the processor's cache (a quarter faster than 64 at once)."""


def _norm(x: Array, weight: Array, bias: Array) -> Array:
    x = x - x.mean(-1, keepdims=True)
    scale = np.einsum("...d,...d->...", x, x)[..., None] / x.shape[-1]
    x *= weight / np.sqrt(scale + _EPSILON)
    x += bias
    return x


def _softmax(x: Array) -> Array:
    x = np.exp(x - x.max(-1, keepdims=True))
    x /= x.sum(-1, keepdims=True)
    return x


@dataclass
class Memory:
    """An encoded batch: keys and values of every decoder layer's attention to the image.

    ``keys`` and ``values``: one ``(batch, heads, head size, cells)`` and ``(batch, heads, cells, head size)`` a layer.
    """

    keys: list[Array]
    values: list[Array]


class Network:
    """Encoder and step-wise decoder over a mapping of float32 arrays.

    Args:
        weights: state dict of the model, as numpy arrays.
        config: its ``config.json``.

    ``encoder``, when set, encodes in place of numpy (see ``guqin_kg.recognise.onnx_encoder``).
    """

    def __init__(self, weights: Mapping[str, Array], config: Mapping[str, Any]) -> None:
        self.config = dict(config)
        self.heads: int = config["heads"]
        self.epsilon = _EPSILON
        self.encoder: Encoder | None = None
        self.weights = {k: np.asarray(v, np.float32) for k, v in weights.items()}
        w = self.weights
        self.stem: list[tuple[Array, Array, list[tuple[Array, Array, Array, Array]]]] = []
        for stage, blocks in enumerate(config["blocks"]):
            down = self._folded(f"stem.downs.{stage}", f"stem.norms.{stage}")
            residual = []
            for block in range(blocks):
                at = f"stem.stages.{stage}.{block}"
                residual.append(
                    (*self._folded(f"{at}.conv1", f"{at}.norm1"), *self._folded(f"{at}.conv2", f"{at}.norm2"))
                )
            self.stem.append((*down, residual))
        self.linear = {
            k.removesuffix(".weight"): (np.ascontiguousarray(v.T), w[k.removesuffix("weight") + "bias"])
            for k, v in w.items()
            if k.endswith(".weight") and v.ndim == 2 and k.removesuffix("weight") + "bias" in w
        }
        self._join()

    def _join(self) -> None:
        """Query, key and value of one attention in one matrix: one multiplication for three."""
        for kind in ("encoder", "decoder"):
            for layer in range(self.config[f"{kind}_layers"]):
                at = f"{kind}.{layer}.attention"
                parts = [self.linear[f"{at}.{name}"] for name in ("query", "key", "value")]
                scale = np.float32((self.config["hidden"] // self.heads) ** -0.5)
                self.linear[f"{at}.qkv"] = (
                    np.concatenate([parts[0][0] * scale, parts[1][0], parts[2][0]], 1),
                    np.concatenate([parts[0][1] * scale, parts[1][1], parts[2][1]]),
                )

    def _folded(self, conv: str, norm: str) -> tuple[Array, Array]:
        """Kernel as ``(3 * 3 * in, out)`` and bias, batch norm folded in."""
        w = self.weights
        gain = w[f"{norm}.weight"] / np.sqrt(w[f"{norm}.running_var"] + _EPSILON)
        kernel = w[f"{conv}.weight"] * gain[:, None, None, None]
        bias = w[f"{norm}.bias"] - w[f"{norm}.running_mean"] * gain
        flat = kernel.transpose(2, 3, 1, 0).reshape(-1, kernel.shape[0])
        return np.ascontiguousarray(flat), bias

    def _apply(self, name: str, x: Array) -> Array:
        weight, bias = self.linear[name]
        y = x.reshape(-1, x.shape[-1]) @ weight
        y += bias
        return y.reshape(*x.shape[:-1], -1)

    def _layer_norm(self, name: str, x: Array) -> Array:
        return _norm(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _mlp(self, at: str, x: Array) -> Array:
        hidden = self._apply(f"{at}.up", x)
        np.maximum(hidden, 0, out=hidden)
        return self._apply(f"{at}.down", hidden)

    def features(self, pixels: Array) -> Array:
        """Grey windows ``(batch, height, width)`` uint8, ink 255, to features ``(batch, cells, hidden)``."""
        if self.encoder is not None:
            return self.encoder(pixels)
        return np.concatenate([self._features(pixels[at : at + _CHUNK]) for at in range(0, len(pixels), _CHUNK)])

    def _features(self, pixels: Array) -> Array:
        x = (pixels.astype(np.float32) / np.float32(255))[..., None]
        for kernel, bias, residual in self.stem:
            x = _convolve(x, kernel, bias, stride=2)
            np.maximum(x, 0, out=x)
            for first, first_bias, second, second_bias in residual:
                y = _convolve(x, first, first_bias)
                np.maximum(y, 0, out=y)
                y = _convolve(y, second, second_bias)
                y += x
                x = np.maximum(y, 0, out=y)
        x = self._apply("stem.project", x.reshape(x.shape[0], -1, x.shape[-1])) + self.weights["cell_position"]
        batch, cells, hidden = x.shape
        for layer in range(self.config["encoder_layers"]):
            at = f"encoder.{layer}"
            qkv = self._apply(f"{at}.attention.qkv", self._layer_norm(f"{at}.attention_norm", x))
            query, key, value = np.moveaxis(qkv.reshape(batch, cells, 3, self.heads, -1), 2, 0)
            mixed = _softmax(query.transpose(0, 2, 1, 3) @ key.transpose(0, 2, 3, 1)) @ value.transpose(0, 2, 1, 3)
            x = x + self._apply(f"{at}.attention.output", mixed.transpose(0, 2, 1, 3).reshape(batch, cells, hidden))
            x += self._mlp(f"{at}.mlp", self._layer_norm(f"{at}.mlp_norm", x))
        return self._layer_norm("memory_norm", x)

    def encode(self, pixels: Array) -> Memory:
        """Grey windows to what the decoder needs of them."""
        memory = self.features(pixels)
        batch, cells, _ = memory.shape
        keys, values = [], []
        for layer in range(self.config["decoder_layers"]):
            at = f"decoder.{layer}.cross"
            scale = np.float32((self.config["hidden"] // self.heads) ** -0.5)
            key = self._apply(f"{at}.key", memory) * scale
            value = self._apply(f"{at}.value", memory)
            keys.append(np.ascontiguousarray(key.reshape(batch, cells, self.heads, -1).transpose(0, 2, 3, 1)))
            values.append(np.ascontiguousarray(value.reshape(batch, cells, self.heads, -1).transpose(0, 2, 1, 3)))
        return Memory(keys, values)

    def start(self, rows: int) -> list[Array]:
        """Empty caches of the decoder's self-attention: per layer ``(2, rows, heads, 0, head size)``."""
        size = self.config["hidden"] // self.heads
        return [np.zeros((2, rows, self.heads, 0, size), np.float32) for _ in range(self.config["decoder_layers"])]

    def step(self, tokens: Array, image: Array, cache: list[Array], memory: Memory) -> tuple[Array, Array, list[Array]]:
        """Read one more token on every row; an image may have any number of rows.

        Args:
            tokens: int ``(rows,)``.
            image: the image in ``memory`` that each row reads ``(rows,)``, ascending.
            cache: as of ``start`` or the step before, rows already reordered.
            memory: of all images.

        Returns:
            Logits of the next token ``(rows, tokens)``, box of this token ``(rows, 4)``, new cache.
        """
        place = cache[0].shape[3]
        x = self.weights["token_embedding.weight"][tokens] + self.weights["token_position"][place]
        grown = []
        groups = _groups(image)
        for layer, old in enumerate(cache):
            at = f"decoder.{layer}"
            qkv = self._apply(f"{at}.attention.qkv", self._layer_norm(f"{at}.attention_norm", x))
            query, key, value = np.moveaxis(qkv.reshape(len(x), 3, self.heads, 1, -1), 1, 0)
            new = np.concatenate([old, np.stack([key, value])], axis=3)
            grown.append(new)
            # one query against few keys: sums are quicker than thousands of tiny matrix products
            weight = _softmax(np.einsum("nhtd,nhtd->nht", np.broadcast_to(query, new[0].shape), new[0]))
            mixed = np.einsum("nht,nhtd->nhd", weight, new[1]).reshape(len(x), -1)
            x = x + self._apply(f"{at}.attention.output", mixed)
            query = self._apply(f"{at}.cross.query", self._layer_norm(f"{at}.cross_norm", x))
            mixed = np.empty_like(query)
            for rows, images in groups:
                part = query[rows].reshape(len(images), -1, self.heads, query.shape[-1] // self.heads)
                part = _softmax(part.transpose(0, 2, 1, 3) @ memory.keys[layer][images]) @ memory.values[layer][images]
                mixed[rows] = part.transpose(0, 2, 1, 3).reshape(len(rows), -1)
            x = x + self._apply(f"{at}.cross.output", mixed)
            x += self._mlp(f"{at}.mlp", self._layer_norm(f"{at}.mlp_norm", x))
        x = self._layer_norm("output_norm", x)
        boxes = 1 / (1 + np.exp(-self._apply("box_head", x)))
        return self._apply("token_head", x), boxes, grown


def _groups(image: Array) -> list[tuple[Array, Array]]:
    """Rows and images of those images that have the same number of rows, for each such number."""
    images, first, counts = np.unique(image, return_index=True, return_counts=True)
    out = []
    for count in np.unique(counts):
        those = np.flatnonzero(counts == count)
        out.append(((first[those, None] + np.arange(count)).ravel(), images[those]))
    return out


def _convolve(x: Array, kernel: Array, bias: Array, stride: int = 1) -> Array:
    """3 x 3 convolution, padding 1, of ``(batch, height, width, channels)`` by one matrix product."""
    batch, height, width, channels = x.shape
    padded = np.zeros((batch, height + 2, width + 2, channels), np.float32)
    padded[:, 1:-1, 1:-1] = x
    rows, columns = -(-height // stride), -(-width // stride)
    patches = np.empty((batch, rows, columns, 9, channels), np.float32)
    for at in range(9):
        dy, dx = divmod(at, 3)
        patches[..., at, :] = padded[:, dy : dy + height : stride, dx : dx + width : stride]
    y = patches.reshape(-1, 9 * channels) @ kernel
    y += bias
    return y.reshape(batch, rows, columns, -1)
