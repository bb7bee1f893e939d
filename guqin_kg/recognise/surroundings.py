"""What a crop has caught beside its glyph: rules, specks, scraps of the neighbours.

**Rules** are the lines that a printer sets between columns. A rule runs on beyond the glyph: it goes from the upper to
the lower edge of the picture, farther than the glyph does at both ends, and is thin. A stroke at the side of a glyph
(引 has one) fails one of these. Lines above and below are left: the string number 一 below a glyph may look the same.

**Specks and scraps** stand apart from the glyph at a side of the picture and hold little of its ink. A scrap is cut by
the edge of the picture and takes less than half of its side: again, a stroke along a side may be 一.
"""

from __future__ import annotations

import numpy as np

_BAND = 0.25
"""Share of the picture's width, on either side, where a rule may lie."""

_THICK = 0.07
"""Thickest rule, as a share of the picture's width (and never under ``_LEAST`` pixels)."""

_LEAST = 3

_SLANT = 0.05
"""What a rule may wander sideways, as a share of its length."""

_WHOLE = 0.85
"""Share of its length at which a rule shows ink at least."""

_TOUCHED = 0.4
"""Less than this share of the column beside a rule is ink of strokes that touch it."""

_BEYOND = 0.02
"""How much farther than the glyph it reaches at both ends, as a share of its length."""

_GLYPH = 0.4
"""Share of the picture's height that a glyph beside a rule takes at least (the dot of 卜 does not)."""

_GAP, _APART = 0.05, 2
"""What is to be cut off stands apart from the glyph: by this share of its size, and so many pixels."""

_SPECK, _SPECK_INK = 0.06, 0.01
"""A speck at a side: at most this share of the glyph's size and of its ink."""

_SCRAP, _SCRAP_INK, _SCRAP_WIDE = 0.2, 0.15, 0.5
"""A scrap of a neighbour, cut by the edge of the picture: the same, and its share of the side that it is on."""


def without_rules(ink: np.ndarray, threshold: int) -> np.ndarray:
    """A picture (uint8, ink bright) with the rules beside its glyph wiped out; the same array where there is none.

    Args:
        ink: ``(height, width)``.
        threshold: what is brighter is ink.
    """
    dark = ink > threshold
    width = dark.shape[1]
    left, right = _line(dark), width - _line(dark[:, ::-1])
    if (left, right) == (0, width) or left >= right:
        return ink
    glyph = np.flatnonzero(dark[:, left:right].any(1))
    beyond = max(2, round(_BEYOND * len(dark)))
    within = len(glyph) > 0 and glyph[0] >= beyond and glyph[-1] < len(dark) - beyond
    if not within or glyph[-1] - glyph[0] < _GLYPH * len(dark):
        return ink
    out = np.zeros_like(ink)
    out[:, left:right] = ink[:, left:right]
    return out


def _line(dark: np.ndarray) -> int:
    """How many columns from the left a thin line from edge to edge takes; 0 where there is none.

    It stands apart from what follows, or is a straight line that a stroke or two may touch.
    """
    height, width = dark.shape
    share = dark.mean(0)
    inked = np.flatnonzero(share)
    if not len(inked):
        return 0
    thickest = max(_LEAST, _THICK * width)
    for seen, most in ((share > 0, thickest + _SLANT * height), (share >= _WHOLE, thickest)):
        ends = np.flatnonzero(~seen[inked[0] :])
        end = int(inked[0] + ends[0]) if len(ends) else width
        line = dark[:, inked[0] : end]
        rows = np.flatnonzero(line.any(1))
        from_edge_to_edge = len(rows) >= _WHOLE * height and rows[0] <= 1 and rows[-1] >= height - 2
        thin = line.shape[1] <= most and line.sum() <= thickest * len(rows)
        clear = end < width and share[end] < _TOUCHED and end <= _BAND * width + _LEAST
        if from_edge_to_edge and thin and clear:
            return end
    return 0


def glyph_box(dark: np.ndarray) -> tuple[int, int, int, int] | None:
    """``x0, y0, x1, y1`` of what is dark but for specks and scraps around it; None where nothing is dark."""
    box = [0, 0, dark.shape[1], dark.shape[0]]
    before: list[int] = []
    while box != before:
        before = box.copy()
        for axis in (0, 1):
            inside = dark[box[1] : box[3], box[0] : box[2]]
            inside = inside if axis else inside.T  # lines run along the side that is looked at
            if not inside.any():
                return None
            start = _start(inside, at_edge=box[axis] == 0)
            end = len(inside) - _start(inside[::-1], at_edge=box[axis + 2] == dark.shape[1 - axis])
            box[axis], box[axis + 2] = box[axis] + start, box[axis] + end
    return box[0], box[1], box[2], box[3]


def _start(dark: np.ndarray, at_edge: bool) -> int:
    """The line at which the glyph begins: behind the first group of lines with ink, where that is no part of it."""
    seen = dark.sum(1)
    inked = np.flatnonzero(seen)
    start, size = int(inked[0]), int(inked[-1] - inked[0]) + 1
    jumps = np.flatnonzero(np.diff(inked) > max(_APART, _GAP * size))
    if not len(jumps):
        return start
    first, then = int(inked[jumps[0]]) + 1, int(inked[jumps[0] + 1])
    thick, ink = first - start, seen[start:first].sum() / seen.sum()
    speck = thick <= max(_APART, _SPECK * size) and ink < _SPECK_INK
    scrap = at_edge and start == 0 and thick <= _SCRAP * size and ink < _SCRAP_INK
    if scrap:  # a stroke along the side may be the string number 一
        across = np.flatnonzero(dark.any(0))
        scrap = dark[start:first].any(0).sum() < _SCRAP_WIDE * (across[-1] - across[0] + 1)
    return then if speck or scrap else start
