"""A specification says everything about one picture; drawing it is then a pure function.

What has no name here (the shake of single points, grain) comes from ``seed``. A specification goes to JSON and back
without loss.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from guqin_kg.errors import DataError, UsageError
from guqin_kg.model import Notation

MIN_SIZE, MAX_SIZE = 8, 4096
MOST_ROWS = 4
"""Most words of an aside in one column."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Everything about one picture. Lengths are pixels of the picture or shares, as said.

    Attributes:
        notation: what is drawn.
        reading: how it was asked for (kept for labels).
        style: name of a style.
        size: longer side of the picture.
        seed: for what has no name here (shake of points, grain).
        frame: ``square`` (size x size) or ``crop`` (the shape of the glyph, longer side = size).
        forms: other written forms: base id to index.
        columns: 1 = asides of several steps in columns, 0 = stacked, more = their words set apart, so many to a column.
        prints: 0 = proportions of type, 1 = of woodblock prints; beyond 1 they are exaggerated.
        looseness: multiplies gaps between components; jitter: multiplies the spread of the templates.
        aspect: multiplies the natural width / height.
        weight: multiplies the stroke weight of the style; uneven: how much it varies from stroke to stroke.
        wobble: shake of the hand, share of the glyph's size; shift: shift of whole strokes, same unit.
        slant: shear (x per y); turn: degrees.
        margins: left, top, right, bottom as shares of the longer side; below 0 the crop cuts the glyph.
        breaks: share of ink lost in patches; rough: roughness of edges, share of the stroke width.
        resolution: pixels the longer side really had (scaled up to ``size``); blur: Gaussian sigma in those pixels.
        ink, paper: grey levels; shade: change of the paper across the picture; grain: noise (grey levels).
        bleed: strength of the glyph on the other side of the leaf (0..1).
        neighbours: sides (``l t r b``) where ink of other glyphs reaches in; dot: a small circle beside the glyph.
        seal: strength of a seal's impression over the paper; rule: a column line at the left or right (``l``/``r``).
        jpeg: quality, or 0.
    """

    notation: Notation
    reading: str = ""
    style: str = "kai"
    size: int = 64
    seed: int = 0
    frame: str = "square"
    forms: tuple[tuple[str, int], ...] = ()
    columns: int = 1
    prints: float = 0.0
    looseness: float = 1.0
    jitter: float = 0.0
    aspect: float = 1.0
    weight: float = 1.0
    uneven: float = 0.0
    wobble: float = 0.0
    shift: float = 0.0
    slant: float = 0.0
    turn: float = 0.0
    margins: tuple[float, float, float, float] = (0.06, 0.06, 0.06, 0.06)
    breaks: float = 0.0
    rough: float = 0.0
    resolution: int = 0
    blur: float = 0.0
    ink: int = 0
    paper: int = 255
    shade: float = 0.0
    grain: float = 0.0
    bleed: float = 0.0
    neighbours: str = ""
    dot: bool = False
    seal: float = 0.0
    rule: str = ""
    jpeg: int = 0

    def to_json(self, *, notation: bool = True) -> dict[str, Any]:
        """A JSON-able object; :meth:`from_json` gives the same specification back (``notation`` may be left out)."""
        out = {name: getattr(self, name) for name in _FIELDS}
        if notation:
            out["notation"] = self.notation.model_dump(exclude_defaults=True)
        out["forms"] = [list(pair) for pair in self.forms]
        out["margins"] = list(self.margins)
        return out

    @classmethod
    def from_json(cls, body: dict[str, Any] | str) -> Spec:
        """The specification of :meth:`to_json`.

        Raises:
            DataError: ``bad-spec`` for unknown fields or a notation that is none.
        """
        data = dict(json.loads(body) if isinstance(body, str) else body)
        unknown = sorted(set(data) - {f.name for f in dataclasses.fields(cls)})
        if unknown or "notation" not in data:
            raise DataError(f"not a drawing specification: {unknown or 'no notation'}", code="bad-spec")
        data["notation"] = Notation.model_validate(data["notation"])
        data["forms"] = tuple((str(a), int(b)) for a, b in data.get("forms", ()))
        if "margins" in data:
            data["margins"] = tuple(data["margins"])
        return cls(**data)


_FIELDS = tuple(f.name for f in dataclasses.fields(Spec) if f.name != "notation")


def check_size(size: int) -> int:
    """``size`` when it can be drawn.

    Raises:
        UsageError: ``bad-size``.
    """
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise UsageError(
            f"the size {size} is not between {MIN_SIZE} and {MAX_SIZE}", code="bad-size", hint="--size 256"
        )
    return size
