"""What is read from an inventory once is kept with it; a new inventory (another graph) starts afresh."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from guqin_kg.inventory import Inventory

T = TypeVar("T")


def remember(inventory: Inventory, key: str, make: Callable[[Inventory], T]) -> T:
    """``make(inventory)``, made at the first call and kept in the inventory under ``key``."""
    kept: dict[str, object] = inventory.__dict__.setdefault("_sound", {})
    if key not in kept:
        kept[key] = make(inventory)
    return kept[key]  # type: ignore[return-value]
