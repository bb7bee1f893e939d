"""First stage: the vision tower learns which base notation fills which part of a glyph.

One question a part (first string, second string, hui, …), each looked up by a learned query over the patches that the
language model will see. Trained in the dialogue alone, small towers ended with fluent answers that ignored the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from guqin_kg.notation.components import parts
from guqin_kg.notation.grammar import Grammar
from guqin_kg.notation.parse import parse

NONE = 0


class Slots:
    """The parts that glyphs of ``readings`` have, and what may fill each; ``labels`` gives the right classes."""

    def __init__(self, readings: Sequence[str], grammar: Grammar) -> None:
        self.grammar = grammar
        found: dict[str, set[str]] = {}
        self._filled: dict[str, dict[str, str]] = {}
        for reading in readings:
            for slot, base in self.filled(reading).items():
                found.setdefault(slot, set()).add(base)
        self.names = sorted(found)
        self.classes = {slot: {base: at for at, base in enumerate(sorted(found[slot]), 1)} for slot in self.names}

    def filled(self, reading: str) -> dict[str, str]:
        """``{"1.string.0": "string-4", …}``: note, part role and how many of that role came before."""
        if reading not in self._filled:
            out: dict[str, str] = {}
            for part in parts(parse(reading, self.grammar), self.grammar):
                for base in part.bases:
                    number = sum(1 for slot in out if slot.startswith(f"{part.note}.{part.role}."))
                    out[f"{part.note}.{part.role}.{number}"] = base.id
            self._filled[reading] = out
        return self._filled[reading]

    def labels(self, readings: Sequence[str]) -> Tensor:
        """Classes ``(rows, slots)``; ``NONE`` where a glyph has no such part."""
        rows = [[self.classes[slot].get(self.filled(r).get(slot, ""), NONE) for slot in self.names] for r in readings]
        return torch.tensor(rows, dtype=torch.long)


class Head(nn.Module):
    """Reads the slots off the patches."""

    def __init__(self, slots: Slots, hidden: int) -> None:
        super().__init__()
        self.sizes = [len(slots.classes[name]) + 1 for name in slots.names]
        self.queries = nn.Parameter(torch.randn(len(self.sizes), hidden) * hidden**-0.5)
        self.norm = nn.LayerNorm(hidden)
        self.answers = nn.ModuleList(nn.Linear(hidden, size) for size in self.sizes)

    def forward(self, patches: Tensor) -> list[Tensor]:
        """``patches`` (rows, patches, hidden) to the scores of each slot (rows, classes)."""
        patches = self.norm(patches)
        looked = (torch.einsum("sh,bph->bsp", self.queries, patches) * patches.shape[-1] ** -0.5 * 4).softmax(-1)
        seen = torch.einsum("bsp,bph->bsh", looked, patches)
        return [answer(seen[:, at]) for at, answer in enumerate(self.answers)]


class VisionTask(nn.Module):
    """Tower and head together."""

    def __init__(self, tower: nn.Module, slots: Slots, hidden: int) -> None:
        super().__init__()
        self.tower, self.slots = tower, slots
        self.head = Head(slots, hidden)

    def scores(self, pixels: Tensor) -> list[Tensor]:
        """Scores of each slot for ``pixels`` as the processor makes them."""
        return list(self.head(self.tower(pixel_values=pixels).last_hidden_state[:, 1:]))

    def loss(self, pixels: Tensor, readings: Sequence[str]) -> Tensor:
        """Mean cross entropy over the slots."""
        labels = self.slots.labels(readings)
        scores = self.scores(pixels)
        return torch.stack([F.cross_entropy(s.float(), labels[:, at]) for at, s in enumerate(scores)]).mean()

    def right(self, pixels_of: Callable[[Sequence[str]], Tensor], readings: Sequence[str], batch: int = 64) -> float:
        """Share of glyphs whose slots are all right."""
        self.eval()
        good = 0
        with torch.no_grad():
            for start in range(0, len(readings), batch):
                some = readings[start : start + batch]
                guessed = torch.stack([s.argmax(-1) for s in self.scores(pixels_of(some))], 1)
                good += int((guessed == self.slots.labels(some)).all(1).sum())
        self.train()
        return good / max(1, len(readings))
