"""A notation in one style, ready to be drawn by any specification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from guqin_kg.draw.compose import Program
from guqin_kg.draw.layout import Layout
from guqin_kg.draw.styles import Style


@dataclass(slots=True, eq=False)
class Prepared:
    """A notation in one style, ready for any specification: all leaves' points in one array."""

    layout: Layout
    program: Program
    style: Style
    points: np.ndarray
    """``(4, P)``: x and y in the leaf's box, weight factor, whether on a contour."""
    index: np.ndarray
    """``(4, P)``: leaf and stroke of each point, the point before and the one after."""
    leaves: np.ndarray
    """``(3, L)``: strokes met downwards and across, natural stroke width of a contour."""
    ends: np.ndarray
    """``(2, S)``: first and last point of each stroke or contour."""
    walk: np.ndarray
    """``(2, W)``: what visits all polygons: side (0 one, 1 the other, 2 head, 3 tail) and point or stroke."""
    leaf_first: np.ndarray
    """``(1, L)``: where each leaf begins in the walk."""
    polygons: list[tuple[int, int, int, bool]]
    """``(first, last + 1, leaf, hole)`` in the walk."""
    part: tuple[int, ...]

    @property
    def any_contour(self) -> bool:
        """Whether some leaf is drawn from contours."""
        return bool(self.points[3].any())
