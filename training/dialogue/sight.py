"""Each picture is looked at once: features of a frozen tower, kept by sample."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from training.dialogue import vlm
from training.dialogue.tower import GlyphTower

_LIMIT = 2_000_000_000
"""Bytes of features that are kept; pictures beyond are looked at again each time."""

_AT_ONCE = 64


class Sight:
    """Features of pictures by key, in half precision (also those just made, so that nothing depends on what was kept).

    Args:
        tower: frozen.
        prepare: the model's image processor.
    """

    def __init__(self, tower: GlyphTower, prepare: Any) -> None:
        self.tower, self.prepare = tower, prepare
        self._kept: dict[Hashable, np.ndarray] = {}
        self._bytes = 0

    def of(self, keys: Sequence[Hashable], picture: Callable[[int], Image.Image]) -> list[Tensor]:
        """Features ``(1, tokens, hidden)`` for each key; ``picture(n)`` gives the n-th where it is not known."""
        new = {key: at for at, key in enumerate(keys) if key not in self._kept}
        made: dict[Hashable, np.ndarray] = {}
        order = list(new.items())
        for start in range(0, len(order), _AT_ONCE):
            part = order[start : start + _AT_ONCE]
            given = self.prepare(images=[picture(at) for _, at in part], return_tensors="pt")["pixel_values"]
            with torch.no_grad():
                seen = self.tower(given.to(self.tower.device)).last_hidden_state.half().cpu().numpy()
            made.update({key: row[None] for (key, _), row in zip(part, seen, strict=True)})
        for key, row in made.items():
            if self._bytes < _LIMIT:
                self._kept[key] = row.copy()
                self._bytes += row.nbytes
        return [torch.from_numpy(self._kept[k] if k in self._kept else made[k]).float() for k in keys]


def sight_of(model: Any, processor: Any, frozen: bool) -> Sight | None:
    """The sight of a model with our tower, when it is frozen; None for others (they look at every picture anew)."""
    if not frozen:
        return None
    tower = vlm.vision_tower(model)
    return Sight(tower, processor.image_processor) if isinstance(tower, GlyphTower) else None
