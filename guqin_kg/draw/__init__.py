"""Pictures of notations with exact labels, drawn from the outlines and layout templates of the graph.

    from guqin_kg.draw import sample_spec, draw_spec
    from guqin_kg.notation.parse import parse

    spec = sample_spec(parse("…"), preset="print", seed=7, size=64)   # every choice, JSON-able
    drawing = draw_spec(spec)                                          # pure: same spec, same bytes
    draw_specs([spec, …])                                              # the same for many, in a third of the time
    drawing.pixels   # uint8 (height, width), dark ink on light paper
    drawing.boxes    # float (components, 4): x, y, width, height in pixels, in reading order
    drawing.names, drawing.roles    # component names and part roles, in the same order

``sample_spec(notation, preset, seed, *, size, frame, styles, form_counts)``: presets ``clean print handwritten photo``;
``frame="square"`` gives size x size, ``frame="crop"`` the shape of the glyph with its longer side = size. ``styles``
chooses among names of :data:`guqin_kg.draw.styles.STYLES` (default: a mix of bundled styles that need no font).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guqin_kg.draw.engine import Engine, default_engine
    from guqin_kg.draw.layout import ids, layout_tree
    from guqin_kg.draw.raster import Drawing, draw_spec, draw_specs
    from guqin_kg.draw.sampling import PRESETS, sample_spec
    from guqin_kg.draw.spec import Spec
    from guqin_kg.draw.styles import STYLES, available

_HOME = {
    "Drawing": "raster", "Engine": "engine", "PRESETS": "sampling", "STYLES": "styles", "Spec": "spec",
    "available": "styles", "default_engine": "engine", "draw_spec": "raster", "draw_specs": "raster", "ids": "layout",
    "layout_tree": "layout", "sample_spec": "sampling",
}  # fmt: skip

__all__ = [
    "PRESETS", "STYLES", "Drawing", "Engine", "Spec", "available", "default_engine", "draw_spec", "draw_specs", "ids",
    "layout_tree", "sample_spec",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load the module of a name when it is first asked for."""
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
