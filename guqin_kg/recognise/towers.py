"""The contrastive towers in numpy: pictures, readings and sounds as vectors of one space, without torch.

The weights are those of ``training.contrastive.model``; ``tests/recognise/test_towers.py`` holds the two together. An
adapter for a book (LoRA) is added to the weights when they are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg import resources
from guqin_kg.errors import DataError, NotFoundError, UsageError
from guqin_kg.recognise import adapter_folders
from guqin_kg.recognise.network import Network
from guqin_kg.recognise.weights import file_hash, merge, read_adapter, read_json, read_safetensors

Array = np.ndarray
BASE = "contrastive"
KIND = "guqin-contrastive"
OVER = "over.json"
"""In the folder of a model trained over a base of other people (``training.contrastive.over``), which needs torch."""
PAD, UNKNOWN = 0, 1
MODALITIES = ("image", "text", "audio")

_EPSILON = 1e-5
_ROWS = 512
"""Texts or sounds at a time."""


class Towers:
    """Image, text and audio encoders of one model.

    Args:
        weights: state dict as arrays.
        config: ``config.json``.
        name: what answers call the model.
        key: names weights and adapter: vectors of another key cannot be compared.
    """

    def __init__(
        self, weights: Mapping[str, Array], config: Mapping[str, Any], name: str = BASE, key: str = ""
    ) -> None:
        self.config, self.name, self.key = dict(config), name, key
        self.modalities: tuple[str, ...] = tuple(m for m in MODALITIES if m in config["modalities"])
        self.height, self.width = int(config["height"]), int(config["width"])
        self.heads = int(config["heads"])
        self._weights = {k: np.asarray(v, np.float32) for k, v in weights.items()}
        self._index = {c: at + 2 for at, c in enumerate(config["characters"])}
        self._image: Network | None = None

    @classmethod
    def open(cls, folder: Path | None = None, adapter: str | None = None, workspace: Path | None = None) -> Towers:
        """Read a model folder (default: the bundled one) and, when asked for, an adapter over it.

        Raises:
            NotFoundError: no such model or adapter.
            DataError: the folder holds something else, damaged weights, or files that do not belong together.
            UsageError: the adapter was trained on another base, or the model over a base of other people.
        """
        try:
            place = folder or resources.folder("models") / BASE
        except NotFoundError:
            place = Path(BASE)
        if (place / OVER).is_file():
            raise UsageError(
                "this model was trained over a base of other people, and searching knows only towers trained here",
                code="bad-model",
                file=place,
                hint=f"guqin evaluate contrastive --model {place} measures it",
            )
        if not (place / "model.safetensors").is_file():
            raise NotFoundError(
                f"no contrastive model in {place}", hint="train one: guqin train contrastive --config ours --out DIR"
            )
        config = read_json(place / "config.json")
        if config.get("model_type") != KIND:
            raise DataError(
                f"this folder holds no contrastive model of guqin-kg but {config.get('model_type')!r}",
                code="bad-model",
                file=place,
                hint="bases of other people are measured where they are trained: guqin train contrastive --base …",
            )
        weights = read_safetensors(place / "model.safetensors")
        key = file_hash(place / "model.safetensors")
        name = BASE if folder is None else place.name
        if adapter is None:
            return cls._whole(place, weights, config, name, key)
        where = find_adapter(adapter, place, workspace)
        about = read_adapter(where)
        trunk = trunk_hash(weights)
        if about.get("base") != trunk:
            raise UsageError(
                f"the adapter {about.get('name', adapter)!r} was trained on another contrastive model than this",
                code="adapter-mismatch",
                file=where,
                hint="train it again: guqin train contrastive --config adapt --data CROPS --name NAME",
                expected=about.get("base"),
                found=trunk,
            )
        tensors = read_safetensors(where / "adapter_model.safetensors")
        weights = merge(weights, tensors, read_json(where / "adapter_config.json"), where)
        full = key + file_hash(where / "adapter_model.safetensors")
        return cls._whole(place, weights, config, str(about.get("name", adapter)), full)

    @classmethod
    def _whole(
        cls, place: Path, weights: Mapping[str, Array], config: Mapping[str, Any], name: str, key: str
    ) -> Towers:
        """The towers of the folder ``place``, each tried once.

        Raises:
            DataError: weights and ``config.json`` do not belong together.
        """
        try:
            towers = cls(weights, config, name, key)
            towers._try()
        except (KeyError, ValueError, TypeError, IndexError, ArithmeticError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise DataError(
                f"config.json and model.safetensors are not of one whole contrastive model: {what}",
                code="bad-model",
                file=place,
                hint="copy the folder again, or train it anew: guqin train contrastive --config ours --out DIR",
            ) from None
        return towers

    def _try(self) -> None:
        """Encode a blank picture, a text of the greatest length and silence.

        Raises:
            ValueError, KeyError, TypeError, IndexError, ArithmeticError: the weights are of another shape than said.
        """
        inputs: dict[str, Callable[[], Array]] = {
            "image": lambda: self.images(np.zeros((1, self.height, self.width), np.uint8)),
            "text": lambda: self.texts(["\0" * self._longest()]),
            "audio": lambda: self.sounds(np.zeros((1, self._said("frames"), self._said("bands")), np.float32)),
        }
        for tower in self.modalities:
            told, there = self._said(f"{tower}_layers"), self._depth(tower)
            if told != there:
                raise ValueError(f"{told} {tower} layers are told of, {there} are there")
            size, space = inputs[tower]().shape[1], self._said("space")
            if size != space:
                raise ValueError(f"{space} numbers a vector are told of, the {tower} tower gives {size}")

    def _said(self, key: str) -> int:
        return int(self.config[key])

    def _depth(self, tower: str) -> int:
        """How many layers the weights of a tower have."""
        start = f"towers.{tower}.encoder."
        return len({name.removeprefix(start).partition(".")[0] for name in self._weights if name.startswith(start)})

    def _longest(self) -> int:
        """The greatest length of a text.

        Raises:
            ValueError: the weights are of another length, or of another alphabet.
            KeyError: there are none.
        """
        told, there = self._said("max_characters"), len(self._weights["towers.text.position"])
        if not 0 < told <= there:
            raise ValueError(f"texts of {told} characters are told of, the text tower reads up to {there}")
        known, rows = len(self.config["characters"]) + 2, len(self._weights["towers.text.embedding.weight"])
        if known != rows:  # each character would be taken for another
            raise ValueError(f"{known - 2} characters are told of, the text tower knows {rows - 2}")
        return told

    def images(self, windows: Array) -> Array:
        """Unit vectors ``(n, space)`` of windows: uint8 ``(n, height, width)``, ink 255 (see ``images.fit``)."""
        if self._image is None:
            self._image = self._image_encoder()
        parts = [self._pool("image", self._image.features(windows[at : at + 64])) for at in range(0, len(windows), 64)]
        return np.concatenate(parts) if parts else self._none()

    def texts(self, texts: Sequence[str]) -> Array:
        """Unit vectors ``(n, space)`` of readings; characters the model was never shown count as one and the same."""
        self._need("text")
        limit = int(self.config["max_characters"])
        rows = [[self._index.get(c, UNKNOWN) for c in text[:limit]] or [UNKNOWN] for text in texts]
        out = np.empty((len(rows), int(self.config["space"])), np.float32)
        by_length: dict[int, list[int]] = {}
        for at, row in enumerate(rows):
            by_length.setdefault(len(row), []).append(at)
        w = self._weights
        for length, members in by_length.items():
            for start in range(0, len(members), _ROWS):
                some = members[start : start + _ROWS]
                x = w["towers.text.embedding.weight"][np.array([rows[at] for at in some])]
                x = x + w["towers.text.position"][:length]
                out[some] = self._pool("text", self._normed("text", self._layers("text", x)))
        return out

    def sounds(self, frames: Array) -> Array:
        """Unit vectors ``(n, space)`` of spectra ``(n, frames, bands)`` (see ``hear.spectrum``)."""
        self._need("audio")
        w = self._weights
        kernel = w["towers.audio.step.weight"]  # (hidden, bands, 4)
        size = kernel.shape[2]
        flat = np.ascontiguousarray(kernel.transpose(2, 1, 0).reshape(-1, kernel.shape[0]))
        parts = []
        for at in range(0, len(frames), _ROWS):
            some = frames[at : at + _ROWS]
            count = some.shape[1] // size
            x = some[:, : count * size].reshape(len(some), count, -1) @ flat + w["towers.audio.step.bias"]
            x = x + w["towers.audio.position"][:count]
            parts.append(self._pool("audio", self._normed("audio", self._layers("audio", x))))
        return np.concatenate(parts) if parts else self._none()

    def unknown(self, texts: Sequence[str]) -> list[str]:
        """Characters of these texts that the model was never shown, sorted."""
        return sorted(set("".join(texts)) - set(self._index))

    def _none(self) -> Array:
        return np.zeros((0, int(self.config["space"])), np.float32)

    def _need(self, modality: str) -> None:
        if modality not in self.modalities:
            raise UsageError(
                f"the model {self.name!r} has no tower for {modality}",
                code="no-tower",
                hint=f"it has: {', '.join(self.modalities)}; another model: --model DIR",
            )

    def _image_encoder(self) -> Network:
        self._need("image")
        at = "towers.image."
        own = {k.removeprefix(at): v for k, v in self._weights.items() if k.startswith(at) and ".pool." not in k}
        # the recogniser's encoder ends with a norm of this name; here it is the pool's
        own |= {f"memory_norm.{k}": self._weights[f"{at}pool.norm.{k}"] for k in ("weight", "bias")}
        return Network(own, self.config | {"encoder_layers": self.config["image_layers"], "decoder_layers": 0})

    def _apply(self, name: str, x: Array) -> Array:
        w = self._weights
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def _norm(self, name: str, x: Array) -> Array:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + _EPSILON)
        return x * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]

    def _normed(self, tower: str, x: Array) -> Array:
        return self._norm(f"towers.{tower}.pool.norm", x)

    def _layers(self, tower: str, x: Array) -> Array:
        rows, length, hidden = x.shape
        size = hidden // self.heads

        def split(y: Array) -> Array:
            return y.reshape(rows, length, self.heads, size).transpose(0, 2, 1, 3)

        for layer in range(int(self.config[f"{tower}_layers"])):
            at = f"towers.{tower}.encoder.{layer}"
            y = self._norm(f"{at}.attention_norm", x)
            query, key, value = (split(self._apply(f"{at}.attention.{n}", y)) for n in ("query", "key", "value"))
            mixed = _softmax(query @ key.transpose(0, 1, 3, 2) * np.float32(size**-0.5)) @ value
            x = x + self._apply(f"{at}.attention.output", mixed.transpose(0, 2, 1, 3).reshape(rows, length, hidden))
            y = np.maximum(self._apply(f"{at}.mlp.up", self._norm(f"{at}.mlp_norm", x)), 0)
            x = x + self._apply(f"{at}.mlp.down", y)
        return x

    def _pool(self, tower: str, x: Array) -> Array:
        """``x`` (rows, length, hidden), normed already, to unit vectors."""
        queries = self._weights[f"towers.{tower}.pool.queries"]
        scale = np.float32(x.shape[-1] ** -0.5 * 4)
        weight = _softmax((x @ queries.T).transpose(0, 2, 1) * scale)
        seen = weight @ x
        y = self._apply(f"towers.{tower}.pool.project", seen.reshape(len(x), -1))
        return y / np.maximum(np.linalg.norm(y, axis=1, keepdims=True), 1e-12)


def _softmax(x: Array) -> Array:
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def trunk_hash(weights: Mapping[str, Array]) -> str:
    """blake2b (16 bytes, hex) of the image and text towers: what an adapter for a book belongs to.

    A tower for sounds put beside them later does not count.
    """
    h = hashlib.blake2b(digest_size=16)
    for name in sorted(weights):
        if name.startswith(("towers.image.", "towers.text.")):
            h.update(name.encode())
            h.update(np.ascontiguousarray(weights[name]).tobytes())
    return h.hexdigest()


def adapter_places(model: Path, workspace: Path | None = None) -> list[Path]:
    """Folders searched for adapters of contrastive models, nearest first."""
    out = [workspace / "adapters" / BASE] if workspace else []
    return [*out, adapter_folders.per_user() / BASE, model / "adapters"]


def adapters(model: Path | None = None, workspace: Path | None = None) -> list[dict[str, Any]]:
    """``adapter.json`` of each adapter of contrastive models, with its ``folder``; nearer ones hide farther ones."""
    found = adapter_folders.rows_of(adapter_places(model or resources.folder("models") / BASE, workspace))
    return [{"model": BASE, **row} for row in found]


def find_adapter(name: str, model: Path, workspace: Path | None = None) -> Path:
    """The folder of an adapter by its name, or ``name`` itself when it is such a folder.

    Raises:
        NotFoundError: names what there is.
    """
    if (Path(name) / "adapter.json").is_file():
        return Path(name)
    there = {str(row["name"]): Path(row["folder"]) for row in adapters(model, workspace)}
    if name in there:
        return there[name]
    listed = ", ".join(sorted(there)) or "none yet"
    raise NotFoundError(
        f"no contrastive adapter {name!r}",
        hint=f"there are: {listed}; guqin train contrastive --config adapt --data CROPS --name {name}",
    )
