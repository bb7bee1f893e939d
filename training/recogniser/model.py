"""The recogniser network: convolutions, a small transformer encoder, an autoregressive decoder.

Input is a batch of grey images, ink 1 and paper 0, shape ``(batch, 1, height, width)``. The
encoder turns it into a grid of features (one per 8 x 8 pixels); the decoder emits the base
notations of the glyph in reading order. Beside the next token it predicts the tight box of the
token it has just read, and during training every grid cell also names the components over it,
which is what makes the network lock on to the right place within minutes.

Only operations that numpy does well are used (convolution, batch norm that folds away, layer
norm, ReLU), because :mod:`guqin_kg.recognise.network` runs the same weights without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput


class RecogniserConfig(PretrainedConfig):
    """Shape of the network. ``tokens`` is the vocabulary size, special tokens included."""

    model_type = "guqin-recogniser"

    def __init__(
        self,
        tokens: int = 64,
        height: int = 64,
        width: int = 48,
        channels: tuple[int, ...] = (32, 64, 128),
        blocks: tuple[int, ...] = (1, 1, 1),
        hidden: int = 192,
        heads: int = 6,
        feed_forward: int = 384,
        encoder_layers: int = 3,
        decoder_layers: int = 2,
        max_tokens: int = 24,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.tokens = tokens
        self.height = height
        self.width = width
        self.channels = list(channels)
        self.blocks = list(blocks)
        self.hidden = hidden
        self.heads = heads
        self.feed_forward = feed_forward
        self.encoder_layers = encoder_layers
        self.decoder_layers = decoder_layers
        self.max_tokens = max_tokens
        self.dropout = dropout
        super().__init__(**kwargs)

    @property
    def cells(self) -> int:
        """Number of grid cells the decoder looks at."""
        stride = 2 ** len(self.channels)
        return (self.height // stride) * (self.width // stride)


class Residual(nn.Module):
    """Two 3 x 3 convolutions with batch norm around a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(y)))


class Stem(nn.Module):
    """Strided convolutions: each stage halves the image, then refines it by residual blocks."""

    def __init__(self, config: RecogniserConfig) -> None:
        super().__init__()
        self.downs = nn.ModuleList()
        self.norms = nn.ModuleList()
        self.stages = nn.ModuleList()
        before = 1
        for channels, blocks in zip(config.channels, config.blocks, strict=True):
            self.downs.append(nn.Conv2d(before, channels, 3, stride=2, padding=1, bias=False))
            self.norms.append(nn.BatchNorm2d(channels))
            self.stages.append(nn.ModuleList(Residual(channels) for _ in range(blocks)))
            before = channels
        self.project = nn.Linear(before, config.hidden)

    def forward(self, pixels: Tensor) -> Tensor:
        """``(batch, 1, height, width)`` to ``(batch, cells, hidden)``."""
        x = pixels
        for down, norm, stage in zip(self.downs, self.norms, self.stages, strict=True):
            x = F.relu(norm(down(x)))
            for block in cast(nn.ModuleList, stage):
                x = block(x)
        return self.project(x.flatten(2).transpose(1, 2))


class Attention(nn.Module):
    """Multi-head attention with separate projections, so that LoRA can address each.

    Written out: on a CPU the backward pass of torch's fused attention took 40 % of a training step.
    """

    def __init__(self, config: RecogniserConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.hidden, config.hidden)
        self.key = nn.Linear(config.hidden, config.hidden)
        self.value = nn.Linear(config.hidden, config.hidden)
        self.output = nn.Linear(config.hidden, config.hidden)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, memory: Tensor, causal: bool = False) -> Tensor:
        query, key = self._split(self.query(x)), self._split(self.key(memory))
        scores = (query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5
        if causal:
            ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(ahead, float("-inf"))
        mixed = scores.softmax(-1).to(x.dtype) @ self._split(self.value(memory))
        return self.output(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """The MLP of a layer, with ReLU."""

    def __init__(self, config: RecogniserConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.hidden, config.feed_forward)
        self.down = nn.Linear(config.feed_forward, config.hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.relu(self.up(x)))


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and MLP over the grid cells."""

    def __init__(self, config: RecogniserConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden)
        self.attention = Attention(config)
        self.mlp_norm = nn.LayerNorm(config.hidden)
        self.mlp = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.attention_norm(x)
        x = x + self.dropout(self.attention(y, y))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the image, MLP."""

    def __init__(self, config: RecogniserConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.hidden)
        self.attention = Attention(config)
        self.cross_norm = nn.LayerNorm(config.hidden)
        self.cross = Attention(config)
        self.mlp_norm = nn.LayerNorm(config.hidden)
        self.mlp = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        y = self.attention_norm(x)
        x = x + self.dropout(self.attention(y, y, causal=True))
        x = x + self.dropout(self.cross(self.cross_norm(x), memory))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


@dataclass
class RecogniserOutput(ModelOutput):
    """What a forward pass gives.

    ``logits`` (batch, length, tokens): next token after each position. ``boxes`` (batch, length, 4):
    box of the token *at* each position as x0, y0, x1, y1 in 0..1 of the input image. ``cells``
    (batch, cells, tokens): logits of "this component is drawn over this cell". Loss parts follow.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    boxes: Tensor | None = None
    cells: Tensor | None = None
    token_loss: Tensor | None = None
    box_loss: Tensor | None = None
    cell_loss: Tensor | None = None


class Recogniser(PreTrainedModel):
    """Image to a sequence of base notations. See the module docstring."""

    config_class = RecogniserConfig
    base_model_prefix = "recogniser"
    main_input_name = "pixels"

    def __init__(self, config: RecogniserConfig) -> None:
        super().__init__(config)
        self.stem = Stem(config)
        self.cell_position = nn.Parameter(torch.zeros(config.cells, config.hidden))
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.memory_norm = nn.LayerNorm(config.hidden)
        self.token_embedding = nn.Embedding(config.tokens, config.hidden)
        self.token_position = nn.Parameter(torch.zeros(config.max_tokens, config.hidden))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.output_norm = nn.LayerNorm(config.hidden)
        self.token_head = nn.Linear(config.hidden, config.tokens)
        self.box_head = nn.Linear(config.hidden, 4)
        self.cell_head = nn.Linear(config.hidden, config.tokens)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=module.in_features**-0.5 * 0.8)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.05)
        elif isinstance(module, nn.LayerNorm | nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
        if module is self:
            nn.init.normal_(self.cell_position, std=0.05)
            nn.init.normal_(self.token_position, std=0.05)
            nn.init.constant_(self.cell_head.bias, -4.0)  # a cell has one or two components of the vocabulary

    def encode(self, pixels: Tensor) -> Tensor:
        """Images ``(batch, 1, height, width)`` to memory ``(batch, cells, hidden)``."""
        x = self.stem(pixels) + self.cell_position
        for layer in self.encoder:
            x = layer(x)
        return self.memory_norm(x)

    def decode(self, tokens: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher-forced decoding: token logits and boxes for every position of ``tokens``."""
        x = self.token_embedding(tokens) + self.token_position[: tokens.shape[1]]
        for layer in self.decoder:
            x = layer(x, memory)
        x = self.output_norm(x)
        return self.token_head(x), self.box_head(x).sigmoid()

    def forward(
        self,
        pixels: Tensor,
        tokens: Tensor,
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        label_smoothing: float = 0.0,
        box_weight: float = 2.0,
        cell_weight: float = 1.0,
        cell_mask: Tensor | None = None,
    ) -> RecogniserOutput:
        """Run the network; with ``labels`` also its losses.

        ``tokens`` (batch, length) starts with the begin token. ``labels`` is the same sequence one
        step ahead, -100 where there is nothing to learn. ``boxes`` (batch, length, 4) are the true
        boxes of ``tokens``, NaN where unknown. ``cell_mask`` (batch,) is 1 for images whose boxes are
        exact (drawn ones).
        """
        memory = self.encode(pixels)
        logits, predicted = self.decode(tokens, memory)
        cells = self.cell_head(memory)
        out = RecogniserOutput(logits=logits, boxes=predicted, cells=cells)
        if labels is None:
            return out
        out.token_loss = F.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100, label_smoothing=label_smoothing
        )
        out.loss = out.token_loss
        if boxes is not None:
            known = ~boxes[..., 0].isnan()
            if known.any():
                out.box_loss = F.smooth_l1_loss(predicted.float()[known], boxes[known], beta=0.05)
                out.loss = out.loss + box_weight * out.box_loss
                target = self._cell_targets(tokens, boxes, known)
                loss = F.binary_cross_entropy_with_logits(cells.float(), target, reduction="none").sum(-1).mean(-1)
                weight = known.any(1).float() if cell_mask is None else cell_mask
                out.cell_loss = (loss * weight).sum() / weight.sum().clamp(min=1)
                out.loss = out.loss + cell_weight * out.cell_loss
        return out

    def _cell_targets(self, tokens: Tensor, boxes: Tensor, known: Tensor) -> Tensor:
        """Multi-hot ``(batch, cells, tokens)``: 1 where a component's box covers the cell's centre."""
        stride = 2 ** len(self.config.channels)
        rows, columns = self.config.height // stride, self.config.width // stride
        y = (torch.arange(rows, device=boxes.device) + 0.5) / rows
        x = (torch.arange(columns, device=boxes.device) + 0.5) / columns
        x0, y0, x1, y1 = boxes.nan_to_num(-1).unbind(-1)
        # a thin stroke must still own the cell it runs through
        grow_x, grow_y = 0.5 / columns, 0.5 / rows
        in_x = (x >= (x0 - grow_x)[..., None]) & (x <= (x1 + grow_x)[..., None])
        in_y = (y >= (y0 - grow_y)[..., None]) & (y <= (y1 + grow_y)[..., None])
        inside = (in_y[..., :, None] & in_x[..., None, :]).flatten(2) & known[..., None]
        target = torch.zeros(tokens.shape[0], rows * columns, self.config.tokens, device=boxes.device)
        index = tokens[:, None, :].expand(-1, rows * columns, -1)
        return target.scatter_reduce_(2, index, inside.transpose(1, 2).float(), reduce="amax")
