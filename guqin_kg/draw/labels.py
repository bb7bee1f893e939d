"""What a picture shows, exactly: the record written beside it and into data sets."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from guqin_kg.draw.layout import ids
from guqin_kg.draw.raster import Drawing
from guqin_kg.model import Notation
from guqin_kg.notation.grammar import Grammar, default_grammar


@lru_cache(maxsize=8192)
def _names(notation: Notation, grammar: Grammar) -> tuple[str, str, str]:
    from guqin_kg.notation.format import full_reading, short_reading
    from guqin_kg.notation.iri import notation_iri

    return short_reading(notation, grammar), full_reading(notation, grammar), notation_iri(notation, grammar)


def components(drawing: Drawing, digits: int = 2) -> list[dict[str, Any]]:
    """Each component in reading order: name, role code, IRIs of its base notations, box ``[x, y, w, h]`` in pixels."""
    return [
        {
            "name": part.name,
            "role": part.role,
            "base": [base.iri for base in part.bases],
            "box": [round(float(v), digits) for v in box],
        }
        for part, box in zip(drawing.layout.parts, drawing.boxes, strict=True)
    ]


def record(drawing: Drawing, grammar: Grammar | None = None, *, spec: bool = True) -> dict[str, Any]:
    """Everything known about a picture, as JSON-able data.

    Args:
        drawing: the picture.
        grammar: its graph's grammar (default: of the released graph).
        spec: whether the drawing specification is included.

    Returns:
        ``reading``, ``reading_full``, ``iri``, ``form``, ``structure`` (the parse), ``ids``, ``tree`` (nested lists
        whose leaves name their component), ``width``, ``height``, ``components``, ``spec``.
    """
    grammar = grammar or default_grammar()
    notation = drawing.spec.notation
    short, full, iri = _names(notation, grammar)
    height, width = drawing.pixels.shape
    out: dict[str, Any] = {
        "reading": short,
        "reading_full": full,
        "iri": iri,
        "form": notation.form,
        "structure": notation.to_json(),
        "ids": ids(drawing.layout.tree),
        "tree": drawing.layout.tree.to_json(),
        "width": width,
        "height": height,
        "components": components(drawing),
    }
    if spec:
        out["spec"] = drawing.spec.to_json()
    return out
