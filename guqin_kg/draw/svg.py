"""The same glyph as vectors: SVG with one group for each component, and polygons for pages."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import numpy as np

from guqin_kg.draw.engine import Engine, Geometry, default_engine
from guqin_kg.draw.layout import ids
from guqin_kg.draw.spec import Spec, check_size


def _path(points: np.ndarray) -> str:
    pairs = [f"{x:.2f} {y:.2f}" for x, y in points.tolist()]
    return "M" + "L".join(pairs) + "Z"


def shapes(geometry: Geometry) -> list[tuple[int, list[list[np.ndarray]]]]:
    """For each leaf its component and its shapes; a shape is a list of polygons filled together (outer, then holes)."""
    out = []
    for part, polygons in geometry.leaves():
        if any(hole for _, hole in polygons) or geometry.prepared.any_contour:
            found = [[p for p, _ in polygons]] if polygons else []
        else:
            found = [[p] for p, _ in polygons]
        out.append((part, found))
    return out


def svg(spec: Spec, engine: Engine | None = None) -> str:
    """A notation as an SVG document; paper, blur and noise of the specification do not apply.

    Raises:
        UsageError: size out of range, unknown style.
        MissingFormError, MissingOutlineError: a component cannot be drawn; named.
        NotFoundError: the style's font is not installed.
    """
    check_size(spec.size)
    geometry = (engine or default_engine()).geometry(spec)
    layout = geometry.prepared.layout
    scale = geometry.scale
    width, height = round(geometry.width * scale, 2), round(geometry.height * scale, 2)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" fill="#000">',
        f"<title>{_text(spec.reading or ids(layout.tree))}</title>",
    ]
    groups: dict[int, list[str]] = {}
    for part, found in shapes(geometry):
        for shape in found:
            groups.setdefault(part, []).append(f'<path d="{"".join(_path(p * scale) for p in shape)}"/>')
    for number in sorted(groups):
        shown = layout.parts[number]
        lines.append(
            f'<g id="c{number}" data-name={quoteattr(shown.name)} data-role={quoteattr(shown.role)}>'
            + "".join(groups[number])
            + "</g>"
        )
    return "\n".join([*lines, "</svg>", ""])


def _text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
