"""The one resolver of packaged data: ontology, queries, templates, models.

In an installed wheel the folders lie in ``guqin_kg/_data/<name>``; in a checkout they lie beside the package.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from guqin_kg.errors import NotFoundError

FOLDERS = ("ontology", "sparql", "templates", "models")


@cache
def folder(name: str) -> Path:
    """The folder ``name`` (one of ``FOLDERS``) of the packaged data.

    Raises:
        NotFoundError: neither the wheel nor the checkout has it; both places are named.
    """
    package = Path(__file__).resolve().parent
    places = (package / "_data" / name, package.parent / name)
    for place in places:
        if place.is_dir():
            return place
    raise NotFoundError(
        f"the data folder {name!r} is missing (looked in {places[0]} and {places[1]})",
        hint="reinstall guqin-kg; its wheel carries these files",
    )


def files(name: str, pattern: str) -> list[Path]:
    """All files of folder ``name`` matching the glob ``pattern`` at any depth, in a stable order."""
    return sorted(folder(name).rglob(pattern), key=Path.as_posix)


def ontology_files() -> list[Path]:
    """The Turtle files that make up the released graph, without shapes, examples and alignments."""
    root = folder("ontology")
    skip = {"shapes", "examples", "alignments"}
    return [p for p in files("ontology", "*.ttl") if p.relative_to(root).parts[0] not in skip]


def digest(paths: list[Path]) -> str:
    """blake2b (16 bytes, hex) over names and contents of ``paths``."""
    h = hashlib.blake2b(digest_size=16)
    for path in paths:
        h.update(path.name.encode())
        h.update(b"\0")
        h.update(path.read_bytes())
        h.update(b"\0")
    return h.hexdigest()
