"""guqin-kg: a knowledge graph of guqin tablature (减字谱) and what can be made from it.

Only the names listed in ``__all__`` are stable. Importing this package reads no file and loads no heavy library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guqin_kg.errors import GuqinKGError
    from guqin_kg.kg import KnowledgeGraph
    from guqin_kg.model import Notation, Note, Position

__all__ = ["GuqinKGError", "KnowledgeGraph", "Notation", "Note", "Position", "__version__"]

_HOMES = {
    "GuqinKGError": "guqin_kg.errors",
    "KnowledgeGraph": "guqin_kg.kg",
    "Notation": "guqin_kg.model",
    "Note": "guqin_kg.model",
    "Position": "guqin_kg.model",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("guqin-kg")
        except PackageNotFoundError:
            return "0+unknown"
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'guqin_kg' has no attribute {name!r}")
