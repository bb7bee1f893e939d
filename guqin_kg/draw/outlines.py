"""Where the outlines of a character come from: centre lines of the graph, contours of a font, paths of a form.

All become :class:`~guqin_kg.draw.character.Ink`.
"""

from __future__ import annotations

from dataclasses import replace

from guqin_kg.draw.character import Ink, path_ink, stroke_ink
from guqin_kg.draw.fonts import FontFile
from guqin_kg.draw.layout import MissingFormError, Node, parse_ids
from guqin_kg.draw.strokes import Brush
from guqin_kg.inventory import GQ, Inventory


class MissingOutlineError(MissingFormError):
    """Neither the font of the style nor the graph has an outline for a character."""

    default_code = "missing-outline"


class Outlines:
    """Outlines of characters from the graph, and from a font where a style has one."""

    def __init__(self, inventory: Inventory) -> None:
        view = inventory.view
        self.strokes: dict[str, str] = {}
        self.composed: dict[str, Node] = {}
        for iri in view.instances(GQ + "CharacterOutline"):
            char = view.value(iri, GQ + "character")
            path = view.value(iri, GQ + "strokePath")
            parts = view.value(iri, GQ + "ids")
            if char and path:
                self.strokes[char] = path
            elif char and parts:
                self.composed[char] = parse_ids(parts)

    def expand(self, tree: Node, font: FontFile | None = None) -> Node:
        """Replace leaves without an outline by the characters they are put together from."""
        if not tree.op:
            if tree.path or tree.char in self.strokes or (font and font.has(tree.char)):
                return tree
            found = self.composed.get(tree.char)
            if found is None:
                return tree
            return _own(self.expand(found, font), tree)
        return replace(tree, children=tuple(self.expand(c, font) for c in tree.children))

    def ink(self, leaf: Node, brush: Brush, font: FontFile | None, component: str) -> Ink:
        """Ink of a leaf: its own path, else the font's contours, else the centre lines of the graph.

        Raises:
            MissingOutlineError: names the component, the character and the font.
        """
        if leaf.path:
            kind, path = leaf.path
            return stroke_ink(path, brush) if kind == "stroke" else path_ink(path)
        if font is not None and font.has(leaf.char):
            return font.ink(leaf.char)
        path_text = self.strokes.get(leaf.char)
        if path_text is None:
            where = f"the font {font.name} and the graph have" if font else "the graph has"
            code = f"U+{ord(leaf.char):04X}" if len(leaf.char) == 1 else leaf.char
            raise MissingOutlineError(
                f"component {component}: {where} no outline for {leaf.char} ({code})",
                hint="give the form a gq:strokePath or gq:svgPath, or install a font that has the character "
                "(guqin fonts lists them)",
                component=component,
            )
        return stroke_ink(path_text, brush)


def _own(tree: Node, leaf: Node) -> Node:
    kids = tuple(_own(c, leaf) for c in tree.children)
    return replace(tree, children=kids, part=leaf.part, role=leaf.role)
