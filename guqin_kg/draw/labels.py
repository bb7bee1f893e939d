"""What a picture shows, exactly: the record written beside it and into data sets."""

from __future__ import annotations

import json
from typing import Any

from guqin_kg.draw.layout import ids
from guqin_kg.draw.raster import Drawing
from guqin_kg.notation.grammar import Grammar, default_grammar


def _unchanging(drawing: Drawing, grammar: Grammar) -> dict[str, Any]:
    """What all pictures of one layout share, worked out once."""
    found = drawing.layout.notes.get("record")
    if found is None:
        from guqin_kg.notation.format import full_reading, short_reading
        from guqin_kg.notation.iri import notation_iri

        notation = drawing.spec.notation
        found = drawing.layout.notes["record"] = {
            "reading": short_reading(notation, grammar),
            "reading_full": full_reading(notation, grammar),
            "iri": notation_iri(notation, grammar),
            "form": notation.form,
            "structure": notation.to_json(),
            "ids": ids(drawing.layout.tree),
            "tree": drawing.layout.tree.to_json(),
        }
    return found


def components(drawing: Drawing, digits: int = 2) -> list[dict[str, Any]]:
    """Each component in reading order: name, role code, IRIs of its base notations, box ``[x, y, w, h]`` in pixels."""
    return [
        {"name": part.name, "role": part.role, "base": [base.iri for base in part.bases], "box": box}
        for part, box in zip(drawing.layout.parts, drawing.boxes.round(digits).tolist(), strict=True)
    ]


def record(drawing: Drawing, grammar: Grammar | None = None, *, spec: bool = True) -> dict[str, Any]:
    """Everything known about a picture, as JSON-able data.

    Args:
        drawing: the picture.
        grammar: its graph's grammar (default: of the released graph).
        spec: whether the drawing specification is included.

    Returns:
        ``reading``, ``reading_full``, ``iri``, ``form``, ``structure`` (the parse), ``ids``, ``tree`` (nested lists
        whose leaves name their component), ``width``, ``height``, ``components``,
        ``spec`` (without the notation, which is ``structure``).
    """
    grammar = grammar or default_grammar()
    height, width = drawing.pixels.shape
    out: dict[str, Any] = {
        **_unchanging(drawing, grammar),
        "width": width,
        "height": height,
        "components": components(drawing),
    }
    if spec:
        out["spec"] = drawing.spec.to_json(notation=False)
    return out


_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def record_json(drawing: Drawing, grammar: Grammar | None = None, **more: Any) -> bytes:
    """:func:`record` with ``more`` at its end, as compact JSON; what the pictures of a layout share is encoded once.

    Args:
        drawing: the picture.
        grammar: its graph's grammar (default: of the released graph).
        more: further fields.
    """
    notes = drawing.layout.notes
    found = notes.get("json")
    if found is None:
        whole = _ENCODE(_unchanging(drawing, grammar or default_grammar()))
        parts = [_ENCODE({key: part[key] for key in ("name", "role", "base")}) for part in components(drawing)]
        found = notes["json"] = (whole[:-1], [text[:-1] for text in parts])
    head, parts = found
    height, width = drawing.pixels.shape
    boxes = drawing.boxes.round(2).tolist()
    tail = _ENCODE({"spec": drawing.spec.to_json(notation=False), **more})
    shown = ",".join([f'{part},"box":[{x},{y},{w},{h}]}}' for part, (x, y, w, h) in zip(parts, boxes, strict=True)])
    return f'{head},"width":{width},"height":{height},"components":[{shown}],{tail[1:]}'.encode()
