"""Pictures to notations.

``Recogniser.open(adapter=…, lexicon=…).recognise(files, top=…, sequence=…)`` gives one JSON-able object per picture;
``load_grey`` and ``fit`` turn a file into the network's window. Runs on numpy alone: no torch. Training lives in
``training``; models and adapters are found by ``guqin_kg.recognise.shelf``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guqin_kg.recognise.recogniser import Candidate, Recogniser

__all__ = ["Candidate", "Recogniser"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from guqin_kg.recognise import recogniser

        return getattr(recogniser, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
