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

_SCRAP, _SCRAP_INK, _SCRAP_WIDE = 0.2, 0.06, 0.5
"""A scrap of a neighbour, cut by the edge of the picture: the same, and its share of the side that it is on."""


def without_rules(ink: np.ndarray, threshold: int) -> np.ndarray:
    """A picture (uint8, ink bright) with the rules beside its glyph wiped out; the same array where there is none.

    Args:
        ink: ``(height, width)``.
        threshold: what is brighter is ink.
    """
    width, band = ink.shape[1], round(_BAND * ink.shape[1]) + _LEAST
    upper, lower = (edge.max(0) > threshold for edge in (ink[:2], ink[-2:]))
    sides = [bool(upper[part].any() and lower[part].any()) for part in (slice(band), slice(-band, None))]
    if not any(sides):
        return ink
    dark = ink > threshold
    left = _line(dark) if sides[0] else 0
    right = width - (_line(dark[:, ::-1]) if sides[1] else 0)
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
    box, whole = [0, 0, dark.shape[1], dark.shape[0]], (dark.shape[1], dark.shape[0])
    cut = True
    while cut:
        cut = False
        for axis in (0, 1):
            inside = dark[box[1] : box[3], box[0] : box[2]]
            inked = np.flatnonzero(inside.any(axis))
            if not len(inked):
                return None
            at_edges = (box[axis] + inked[0] == 0, box[axis] + inked[-1] + 1 == whole[axis])
            first, last = _glyph_of(inside if axis else inside.T, inked, at_edges)
            cut |= (first, last) != (0, len(inked) - 1)
            box[axis], box[axis + 2] = box[axis] + int(inked[first]), box[axis] + int(inked[last]) + 1
    return box[0], box[1], box[2], box[3]


def _glyph_of(dark: np.ndarray, inked: np.ndarray, at_edges: tuple[bool, bool]) -> tuple[int, int]:
    """The first and last of the ``inked`` lines of ``dark`` that belong to the glyph, as places in ``inked``."""
    size = int(inked[-1] - inked[0]) + 1
    jumps = np.flatnonzero(np.diff(inked) > max(_APART, _GAP * size))
    first, last = 0, len(inked) - 1
    if len(jumps) and _is_foreign(dark, inked[: jumps[0] + 1], size, at_edges[0]):
        first = int(jumps[0]) + 1
    if len(jumps) and jumps[-1] >= first and _is_foreign(dark, inked[jumps[-1] + 1 :], size, at_edges[1]):
        last = int(jumps[-1])
    return first, last


def _is_foreign(dark: np.ndarray, lines: np.ndarray, size: int, at_edge: bool) -> bool:
    """Whether these lines of a picture, which stand apart at its side, are a speck or a scrap."""
    part = dark[lines[0] : lines[-1] + 1]
    thick, ink = len(part), part.sum() / dark.sum()
    if thick <= max(_APART, _SPECK * size) and ink < _SPECK_INK:
        return True
    if not at_edge or thick > _SCRAP * size or ink >= _SCRAP_INK:
        return False
    across = np.flatnonzero(dark.any(0))  # a stroke along the side may be the string number 一
    return bool(part.any(0).sum() < _SCRAP_WIDE * (across[-1] - across[0] + 1))
