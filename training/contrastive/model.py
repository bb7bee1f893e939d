"""The encoders: bundled towers from config, or a CLIP-like base of one's own, behind one interface.

``embed_images``, ``embed_texts`` and ``embed_audio`` give unit vectors of shape ``(rows, space)``. The bundled image
tower has the shape of the recogniser's encoder, so that it can start from a trained recogniser; texts are read as
characters; audio as frames of a log-frequency spectrum.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PretrainedConfig, PreTrainedModel

from guqin_kg.errors import NotFoundError
from training import hub
from training.recogniser.model import EncoderLayer, Recogniser, RecogniserConfig, Stem

if TYPE_CHECKING:
    from PIL.Image import Image

PAD, UNKNOWN = 0, 1


class TowersConfig(PretrainedConfig):
    """Shape of the bundled towers; ``characters`` is the alphabet of the texts, index = position + 2."""

    model_type = "guqin-contrastive"

    def __init__(
        self,
        characters: str = "",
        modalities: Sequence[str] = ("image", "text"),
        height: int = 64,
        width: int = 48,
        channels: Sequence[int] = (32, 64, 128),
        blocks: Sequence[int] = (1, 1, 1),
        hidden: int = 192,
        heads: int = 6,
        feed_forward: int = 384,
        image_layers: int = 3,
        text_layers: int = 2,
        audio_layers: int = 2,
        bands: int = 128,
        frames: int = 48,
        max_characters: int = 24,
        queries: int = 8,
        space: int = 256,
        dropout: float = 0.0,
        initial_temperature: float = 0.07,
        **kwargs: Any,
    ) -> None:
        self.characters = characters
        self.modalities = list(modalities)
        self.height, self.width = height, width
        self.channels, self.blocks = list(channels), list(blocks)
        self.hidden, self.heads, self.feed_forward = hidden, heads, feed_forward
        self.image_layers, self.text_layers, self.audio_layers = image_layers, text_layers, audio_layers
        self.bands, self.frames, self.max_characters, self.queries = bands, frames, max_characters, queries
        self.space, self.dropout, self.initial_temperature = space, dropout, initial_temperature
        super().__init__(**kwargs)

    def layer(self) -> RecogniserConfig:
        """The same numbers as the recogniser's layers expect them."""
        return RecogniserConfig(
            height=self.height,
            width=self.width,
            channels=tuple(self.channels),
            blocks=tuple(self.blocks),
            hidden=self.hidden,
            heads=self.heads,
            feed_forward=self.feed_forward,
            encoder_layers=self.image_layers,
            dropout=self.dropout,
        )


SHAPE = tuple(inspect.signature(TowersConfig.__init__).parameters)[1:-1]


class Pool(nn.Module):
    """Several learned queries look at a sequence; what they see, joined, is projected into the common space.

    One averaged vector loses which component stood where; several queries keep it apart.
    """

    def __init__(self, hidden: int, space: int, queries: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, hidden) * hidden**-0.5)
        self.norm = nn.LayerNorm(hidden)
        self.project = nn.Linear(hidden * queries, space)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """``x`` (rows, length, hidden), ``keep`` (rows, length) bool: to unit vectors (rows, space)."""
        x = self.norm(x)
        scores = torch.einsum("qh,blh->bql", self.queries, x) * x.shape[-1] ** -0.5 * 4
        if keep is not None:
            scores = scores.masked_fill(~keep[:, None, :], float("-inf"))
        seen = torch.einsum("bql,blh->bqh", scores.softmax(-1), x)
        return F.normalize(self.project(seen.flatten(1)), dim=-1)


class ImageTower(nn.Module):
    """Grey images, ink 1, ``(rows, 1, height, width)``."""

    def __init__(self, config: TowersConfig) -> None:
        super().__init__()
        shape = config.layer()
        self.stem = Stem(shape)
        self.cell_position = nn.Parameter(torch.zeros(shape.cells, config.hidden))
        self.encoder = nn.ModuleList(EncoderLayer(shape) for _ in range(config.image_layers))
        self.pool = Pool(config.hidden, config.space, config.queries)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.pool(self.features(pixels))

    def features(self, pixels: Tensor) -> Tensor:
        """What the pool looks at: ``(rows, cells, hidden)``."""
        x = self.stem(pixels) + self.cell_position
        for layer in self.encoder:
            x = layer(x)
        return x

    def start_from(self, recogniser: Recogniser) -> None:
        """Take over stem and encoder of a trained recogniser of the same shape."""
        self.stem.load_state_dict(recogniser.stem.state_dict())
        self.encoder.load_state_dict(recogniser.encoder.state_dict())
        with torch.no_grad():
            self.cell_position.copy_(recogniser.cell_position)
        self.pool.norm.load_state_dict(recogniser.memory_norm.state_dict())


class _MaskedLayer(EncoderLayer):
    """An encoder layer that does not look at padding."""

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        if keep is None or bool(keep.all()):
            return super().forward(x)
        y = self.attention_norm(x)
        attention = self.attention
        query, key = attention._split(attention.query(y)), attention._split(attention.key(y))
        scores = (query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5
        scores = scores.masked_fill(~keep[:, None, None, :], float("-inf"))
        mixed = scores.softmax(-1).to(x.dtype) @ attention._split(attention.value(y))
        x = x + self.dropout(attention.output(mixed.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


class TextTower(nn.Module):
    """Character indices ``(rows, length)``, 0 = padding."""

    def __init__(self, config: TowersConfig) -> None:
        super().__init__()
        shape = config.layer()
        self.embedding = nn.Embedding(len(config.characters) + 2, config.hidden, padding_idx=PAD)
        self.position = nn.Parameter(torch.randn(config.max_characters, config.hidden) * 0.05)
        self.encoder = nn.ModuleList(_MaskedLayer(shape) for _ in range(config.text_layers))
        self.pool = Pool(config.hidden, config.space, config.queries)

    def forward(self, characters: Tensor) -> Tensor:
        keep = characters != PAD
        x = self.embedding(characters) + self.position[: characters.shape[1]]
        for layer in self.encoder:
            x = layer(x, keep)
        return self.pool(x, keep)


class AudioTower(nn.Module):
    """Log-frequency frames ``(rows, frames, bands)``, mean 0 and variance about 1."""

    def __init__(self, config: TowersConfig) -> None:
        super().__init__()
        shape = config.layer()
        self.step = nn.Conv1d(config.bands, config.hidden, 4, stride=4)
        self.position = nn.Parameter(torch.randn(math.ceil(config.frames / 4), config.hidden) * 0.05)
        self.encoder = nn.ModuleList(_MaskedLayer(shape) for _ in range(config.audio_layers))
        self.pool = Pool(config.hidden, config.space, config.queries)

    def forward(self, frames: Tensor) -> Tensor:
        x = self.step(frames.transpose(1, 2)).transpose(1, 2)
        x = x + self.position[: x.shape[1]]
        for layer in self.encoder:
            x = layer(x)
        return self.pool(x)


class Towers(PreTrainedModel):
    """The bundled encoders; which of them exist follows ``config.modalities``."""

    config_class = TowersConfig
    base_model_prefix = "towers"
    main_input_name = "pixels"

    def __init__(self, config: TowersConfig) -> None:
        super().__init__(config)
        self.pretrained_modalities: list[str] = list(config.modalities)
        """What a run that adapts these towers need not learn anew."""
        makers = {"image": ImageTower, "text": TextTower, "audio": AudioTower}
        self.towers = nn.ModuleDict({name: makers[name](config) for name in config.modalities})
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / config.initial_temperature)))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=module.in_features**-0.5 * 0.8)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d | nn.Conv1d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """``image``, ``text``, ``audio`` tensors, any of them, to unit vectors under the same names.

        ``features`` stands for images whose encoder output is known already; ``negative`` are more texts; names that
        end in ``_vectors`` are vectors already.
        """
        out: dict[str, Tensor] = {}
        where = self.log_scale.device
        for name, given in inputs.items():
            value = given.to(where)
            if name == "features":
                out["image"] = self.towers["image"].pool(value)  # type: ignore[operator]
            elif name.endswith("_vectors"):
                out[name.removesuffix("_vectors")] = value
            elif name == "negative":
                out["negative"] = self.towers["text"](value)
            else:
                out[name] = self.towers[name](value)
        return out

    def scale(self) -> Tensor:
        """Inverse temperature, at most 100."""
        return self.log_scale.exp().clamp(max=100)

    def with_modalities(self, wanted: Sequence[str]) -> Towers:
        """The same towers, and new ones for what ``wanted`` has besides."""
        if set(wanted) <= set(self.config.modalities):
            return self
        settings = {k: v for k, v in self.config.to_dict().items() if k in SHAPE}
        settings["modalities"] = [*self.config.modalities, *(m for m in wanted if m not in self.config.modalities)]
        new = Towers(TowersConfig(**settings))
        new.load_state_dict(self.state_dict(), strict=False)
        new.pretrained_modalities = list(self.config.modalities)
        return new

    def text_tensor(self, texts: Sequence[str]) -> Tensor:
        """Texts as character indices; characters never met are one and the same unknown."""
        index = {c: at + 2 for at, c in enumerate(self.config.characters)}
        limit = self.config.max_characters
        rows = [[index.get(c, UNKNOWN) for c in text[:limit]] or [UNKNOWN] for text in texts]
        longest = max(map(len, rows))
        return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


def pictures(windows: np.ndarray) -> list[Image]:
    """Windows ``(n, height, width)`` uint8, ink 255, as other people's bases see them: black on white, RGB."""
    from PIL.Image import fromarray

    return [fromarray(255 - window).convert("RGB") for window in windows]


class HubTowers(nn.Module):
    """A CLIP-like base (CLIP, Chinese-CLIP, SigLIP, …) from a folder or the hub, behind the same interface.

    Args:
        base: folder or hub id. A hub id is fetched by transformers, which is the only network use.
        trust_remote_code: only when the user asks.
    """

    def __init__(self, base: str, trust_remote_code: bool = False) -> None:
        super().__init__()
        from transformers import AutoModel, AutoProcessor

        hub.prepare(base)
        settings = {"local_files_only": Path(base).exists(), "trust_remote_code": trust_remote_code}
        try:
            self.model = AutoModel.from_pretrained(base, **settings)
            self.processor = AutoProcessor.from_pretrained(base, **settings)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
            reason = str(error).strip().splitlines()
            raise NotFoundError(
                f"no base model {base!r}: {reason[0] if reason else type(error).__name__}",
                code="no-base",
                hint="`bundled`, a folder with config.json, weights and processor, or a hub id with network access",
            ) from None
        if not hasattr(self.model, "get_image_features") or not hasattr(self.model, "get_text_features"):
            raise NotFoundError(
                f"the base {base!r} ({type(self.model).__name__}) has no image and text encoders",
                code="no-base",
                hint="a CLIP-like model: CLIP, Chinese-CLIP, SigLIP, …",
            )

    def forward(self, **inputs: Any) -> dict[str, Tensor]:
        """``image``: list of PIL images; ``text``: list of str. Unit vectors."""
        out: dict[str, Tensor] = {}
        where = next(self.model.parameters()).device
        if "image" in inputs:
            batch = self.processor(images=inputs["image"], return_tensors="pt")
            out["image"] = self._unit(self.model.get_image_features(pixel_values=batch["pixel_values"].to(where)))
        if "text" in inputs:
            batch = self.processor(text=list(inputs["text"]), return_tensors="pt", padding=True, truncation=True)
            batch = {k: v.to(where) for k, v in batch.items() if k in ("input_ids", "attention_mask", "token_type_ids")}
            out["text"] = self._unit(self.model.get_text_features(**batch))
        return out

    @staticmethod
    def _unit(features: Any) -> Tensor:
        rows = features if isinstance(features, Tensor) else features.pooler_output
        return F.normalize(rows, dim=-1)

    def scale(self) -> Tensor:
        """Inverse temperature of the base."""
        found = getattr(self.model, "logit_scale", None)
        return torch.tensor(1 / 0.07) if found is None else found.exp().clamp(max=100)
