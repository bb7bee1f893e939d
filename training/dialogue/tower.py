"""The vision tower of the bundled model: the encoder of the bundled recogniser, and the picture it looks at.

Importing this module registers configuration, model and image processor with transformers' Auto classes, so that
``AutoModelForImageTextToText`` and ``AutoProcessor`` load the bundled model as any other, without remote code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoImageProcessor, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature
from transformers.modeling_outputs import BaseModelOutput

from guqin_kg.errors import DataError
from guqin_kg.recognise.images import fit, to_grey
from training.recogniser.model import EncoderLayer, RecogniserConfig, Stem

WINDOW = (64, 48)
"""Height and width of the window that the recogniser looks at."""


class GlyphTowerConfig(PretrainedConfig):
    """Shape of the tower; the fields are those of ``RecogniserConfig`` that its encoder needs."""

    model_type = "guqin-glyph-tower"

    def __init__(
        self,
        height: int = WINDOW[0],
        width: int = WINDOW[1],
        channels: tuple[int, ...] = (32, 64, 128),
        blocks: tuple[int, ...] = (1, 1, 1),
        hidden: int = 192,
        heads: int = 6,
        feed_forward: int = 384,
        encoder_layers: int = 3,
        merge: int = 1,
        **kwargs: Any,
    ) -> None:
        self.height = height
        self.width = width
        self.channels = list(channels)
        self.blocks = list(blocks)
        self.hidden = hidden
        self.heads = heads
        self.feed_forward = feed_forward
        self.encoder_layers = encoder_layers
        self.merge = merge
        self.hidden_size = hidden * merge**2
        kwargs.pop("hidden_size", None)
        super().__init__(**kwargs)

    @property
    def patch(self) -> int:
        """Pixels of the window to one token, each way."""
        return int(2 ** len(self.channels)) * self.merge

    @property
    def tokens(self) -> int:
        """How many tokens a picture is to the language model."""
        return (self.height // self.patch) * (self.width // self.patch)

    def network(self) -> RecogniserConfig:
        """The recogniser's configuration with this encoder."""
        return RecogniserConfig(
            height=self.height, width=self.width, channels=tuple(self.channels), blocks=tuple(self.blocks),
            hidden=self.hidden, heads=self.heads, feed_forward=self.feed_forward,
            encoder_layers=self.encoder_layers,
        )  # fmt: skip


class GlyphTower(PreTrainedModel):
    """Picture to a grid of features.

    Takes pixels ``(batch, 1, height, width)``, ink 1 and paper 0, or features ``(batch, tokens, hidden_size)`` that it
    gave before: those go through unchanged, so that a frozen tower need look at each picture only once.

    A token is a square of ``merge`` x ``merge`` cells of the recogniser's grid, their features side by side: fewer
    tokens for the language model, nothing left out.
    """

    config_class = GlyphTowerConfig
    base_model_prefix = "tower"
    main_input_name = "pixel_values"

    def __init__(self, config: GlyphTowerConfig) -> None:
        super().__init__(config)
        network = config.network()
        self.stem = Stem(network)
        self.cell_position = nn.Parameter(torch.zeros(network.cells, network.hidden))
        self.encoder = nn.ModuleList(EncoderLayer(network) for _ in range(config.encoder_layers))
        self.memory_norm = nn.LayerNorm(network.hidden)
        self.post_init()

    def train(self, mode: bool = True) -> GlyphTower:
        """Batch norms keep what they learnt from hundreds of thousands of pictures, also when the rest is trained."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutput:
        """``last_hidden_state`` is ``(batch, tokens, hidden_size)``; ``hidden_states`` holds it alone."""
        x = pixel_values
        if x.ndim == 4:
            x = self.stem(x.to(self.cell_position.dtype)) + self.cell_position
            for layer in self.encoder:
                x = layer(x)
            x = self._merged(self.memory_norm(x))
        return BaseModelOutput(last_hidden_state=x, hidden_states=(x,))

    def _merged(self, cells: Tensor) -> Tensor:
        side = self.config.merge
        stride = self.config.patch // side
        grid = cells.unflatten(1, (self.config.height // stride, self.config.width // stride))
        grid = grid.unflatten(2, (-1, side)).unflatten(1, (-1, side))  # rows, side, columns, side, hidden
        return grid.transpose(2, 3).flatten(3).flatten(1, 2)


class GlyphImageProcessor(BaseImageProcessor):
    """Any picture to the recogniser's window: cut to its ink, proportions kept, ink 1 on paper 0."""

    model_input_names = ["pixel_values"]  # noqa: RUF012 — transformers reads it from the class

    def __init__(self, height: int = WINDOW[0], width: int = WINDOW[1], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height, self.width = height, width
        self.crop_size = {"height": height, "width": width}

    def preprocess(self, images: Any, return_tensors: Any = None, **_: Any) -> BatchFeature:
        """Pillow pictures (one or a list) to ``pixel_values`` ``(rows, 1, height, width)``, float32 0..1."""
        rows = images if isinstance(images, list | tuple) else [images]
        windows = [fit(to_grey(image), self.height, self.width).pixels for image in rows]
        values = np.stack(windows).astype(np.float32)[:, None] / 255
        return BatchFeature({"pixel_values": values}, tensor_type=return_tensors)


def from_recogniser(folder: Path, merge: int = 1) -> tuple[GlyphTowerConfig, dict[str, Tensor]]:
    """Shape and weights of a recogniser's encoder; ``merge`` as in :class:`GlyphTower`.

    Raises:
        DataError: the folder holds no recogniser, or an incomplete one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        shape = RecogniserConfig.from_pretrained(folder, local_files_only=True)
        weights = load_file(folder / "model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise DataError(f"no recogniser to take the tower from: {error}", file=folder) from None
    config = GlyphTowerConfig(
        height=shape.height, width=shape.width, channels=tuple(shape.channels), blocks=tuple(shape.blocks),
        hidden=shape.hidden,
        heads=shape.heads, feed_forward=shape.feed_forward, encoder_layers=shape.encoder_layers, merge=merge,
    )  # fmt: skip
    parts = ("stem.", "cell_position", "encoder.", "memory_norm.")
    return config, {name: value.float() for name, value in weights.items() if name.startswith(parts)}


AutoConfig.register(GlyphTowerConfig.model_type, GlyphTowerConfig, exist_ok=True)
AutoModel.register(GlyphTowerConfig, GlyphTower, exist_ok=True)
AutoImageProcessor.register(GlyphTowerConfig, image_processor_classes={"pil": GlyphImageProcessor}, exist_ok=True)
