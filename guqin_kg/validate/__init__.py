"""Validation of the graph: SHACL shapes, a reference engine (pySHACL) and a fast one that gives the same results.

The public functions load their engines only when called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guqin_kg.validate.additions import validate_additions
    from guqin_kg.validate.fast import validate_store
    from guqin_kg.validate.report import Report, Result

__all__ = ["Report", "Result", "validate_additions", "validate_store"]

_HOMES = {
    "Report": "guqin_kg.validate.report",
    "Result": "guqin_kg.validate.report",
    "validate_additions": "guqin_kg.validate.additions",
    "validate_store": "guqin_kg.validate.fast",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'guqin_kg.validate' has no attribute {name!r}")
