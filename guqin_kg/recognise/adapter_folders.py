"""Adapters in folders: what the shelves of the recogniser and of the contrastive model have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guqin_kg import resources
from guqin_kg.errors import DataError, NotFoundError, UsageError
from guqin_kg.recognise.weights import read_adapter


def per_user() -> Path:
    """The folder of adapters of the per-user workspace (it need not exist)."""
    from guqin_kg.graph.workspace import per_user_root

    return per_user_root() / "adapters"


def of_new(name: str, place: Path, bundled: str) -> Path:
    """The folder of a new adapter ``name`` of one's own.

    Args:
        name: of the adapter.
        place: where one's own adapters lie.
        bundled: folder of those that come with the software, within ``models``.

    Raises:
        UsageError: one of these has the name; it could then be named no more.
    """
    with contextlib.suppress(NotFoundError):
        if (resources.folder("models") / bundled / name / "adapter.json").is_file():
            raise UsageError(
                f"{name!r} is an adapter that comes with this software; one of yours would hide it",
                code="name-taken",
                hint="give another --name, or --out FOLDER to keep it off the shelf",
            )
    return place / name


def rows_of(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """``adapter.json`` of each adapter in these folders with its ``folder``; nearer ones hide farther ones.

    One that is damaged does not hide the others: its row has its folder's name and, under ``damaged``, what is wrong.
    """
    seen: dict[str, dict[str, Any]] = {}
    for place in folders:
        for path in sorted(place.glob("[!.]*/adapter.json")):
            try:
                row = read_adapter(path.parent)
            except DataError as error:
                row = {"damaged": error.message}
            row.setdefault("name", path.parent.name)
            seen.setdefault(str(row["name"]), {**row, "folder": str(path.parent)})
    return [seen[name] for name in sorted(seen)]
