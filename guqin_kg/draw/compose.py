"""Boxes for the leaves of a layout tree, by the layout templates of the graph.

A *program* is a tree prepared once for each notation: templates chosen, stroke densities known. Running it with
random numbers gives boxes; without, the plain proportions. Templates carry two sets of proportions, those of type
and those of woodblock prints; ``prints`` (0..1) mixes them. Programs of many notations run together (``placing.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from guqin_kg.draw.layout import GRID, Node, columns_of
from guqin_kg.draw.placing import Table, TableMaker, run_tables
from guqin_kg.errors import DataError
from guqin_kg.inventory import GQ, Inventory

Box = tuple[float, float, float, float]
Density = Callable[[Node], tuple[float, float, float]]
"""Leaf to ``(rows, columns, height)``: strokes met downwards and across, natural height over width."""


@dataclass(frozen=True, slots=True)
class Template:
    """One layout template of the graph (``gq:LayoutTemplate``); see ``ontology/modules/layout.ttl``."""

    id: str
    operator: str
    outer: frozenset[str]
    middle: frozenset[str]
    lower: frozenset[str]
    roles: frozenset[str]
    boxes: tuple[Box, ...]
    boxes_in_prints: tuple[Box, ...]
    gap: float = 0.03
    gap_in_prints: float = 0.03
    first: float | None = None
    first_in_prints: float | None = None
    height_factor: float = 0.9
    aspect: float | None = None
    inset: float = 0.0
    extra_rows: float = 0.0
    spread: float = 0.03


_ROOMY, _NARROWEST = 4.6, 0.6
"""Strokes met across for which parts abreast have room enough; the least height over width beyond."""


@dataclass(slots=True)
class Step:
    """A node of a program."""

    template: Template | None
    leaf: int
    kids: tuple[Step, ...]
    rows: float
    columns: float
    height: float
    shares: tuple[float, ...] = ()
    inset: float = 0.0


@dataclass(slots=True)
class Program:
    """A notation ready to be laid out: ``leaves`` in drawing order and the steps that place them."""

    root: Step
    leaves: tuple[Node, ...]
    table: Table


def _box(text: str, iri: str) -> Box:
    try:
        a, b, c, d = (float(v) for v in text.split())
    except ValueError:
        raise DataError(f"{iri}: the box {text!r} is not four numbers", code="bad-box") from None
    return a, b, c, d


def load_templates(inventory: Inventory) -> list[Template]:
    """All layout templates of the graph.

    Raises:
        DataError: ``bad-box`` for a box that is not four numbers.
    """
    view = inventory.view

    def number(iri: str, term: str) -> float | None:
        value = view.value(iri, GQ + term)
        return None if value is None else float(value)

    out = []
    for iri in view.instances(GQ + "LayoutTemplate"):
        slots = sorted(view.values(iri, GQ + "slot"), key=lambda s: int(view.value(s, GQ + "slotIndex") or 0))
        plain = [view.value(s, GQ + "box") or "0 0 1 1" for s in slots]
        carved = [view.value(s, GQ + "boxInPrints") or p for s, p in zip(slots, plain, strict=True)]
        roles = [view.value(r, GQ + "code") or "" for r in view.values(iri, GQ + "forLayoutRole")]
        first = number(iri, "firstShare")
        in_prints = number(iri, "firstShareInPrints")
        gap, factor = number(iri, "gap"), number(iri, "heightFactor")
        gap = 0.03 if gap is None else gap
        gap_in_prints = number(iri, "gapInPrints")
        spread = number(iri, "spread")
        out.append(
            Template(
                id=iri,
                operator=view.value(iri, GQ + "operator") or "",
                outer=frozenset("".join(view.values(iri, GQ + "outerCharacter"))),
                middle=frozenset("".join(view.values(iri, GQ + "middleCharacter"))),
                lower=frozenset("".join(view.values(iri, GQ + "lowerCharacter"))),
                roles=frozenset(roles),
                boxes=tuple(_box(p, iri) for p in plain),
                boxes_in_prints=tuple(_box(p, iri) for p in carved),
                gap=gap,
                gap_in_prints=gap if gap_in_prints is None else gap_in_prints,
                first=first,
                first_in_prints=first if in_prints is None else in_prints,
                height_factor=0.9 if factor is None else factor,
                aspect=number(iri, "aspect"),
                inset=number(iri, "inset") or 0.0,
                extra_rows=number(iri, "extraRows") or 0.0,
                spread=0.03 if spread is None else spread,
            )
        )
    return out


class Composer:
    """Turns layout trees into programs, and programs into boxes."""

    def __init__(self, inventory: Inventory, density: Density) -> None:
        self.templates = load_templates(inventory)
        self.density = density

    def template(self, node: Node) -> Template | None:
        """The most special template for a node: by character, by role of the first part, by operator."""
        first, last = _first_leaf(node.children[0]), _first_leaf(node.children[-1])
        middle = node.children[1].char if len(node.children) == 3 else ""
        best: tuple[int, Template] | None = None
        for t in self.templates:
            if t.operator != node.op:
                continue
            if t.outer and first.char not in t.outer:
                continue
            if t.middle and middle not in t.middle:
                continue
            if t.lower and last.char not in t.lower:
                continue
            role = node.children[0].role or first.role
            if t.roles and role not in t.roles:
                continue
            # a template for the inside of one component does not apply to its neighbours
            if t.roles and node.part >= 0 and node.children[0].part == node.children[-1].part:
                continue
            rank = 4 * bool(t.outer) + 3 * (bool(t.middle) + bool(t.lower)) + 2 * bool(t.roles)
            if best is None or rank > best[0]:
                best = (rank, t)
        return best[1] if best else None

    def program(self, tree: Node) -> Program:
        """Prepare ``tree``."""
        leaves: list[Node] = []
        root = self._step(_flatten(tree), leaves)
        return Program(root, tuple(leaves), _table(root, len(leaves)))

    def _step(self, node: Node, leaves: list[Node]) -> Step:
        if not node.op:
            leaves.append(node)
            rows, columns, height = self.density(node)
            return Step(None, len(leaves) - 1, (), rows, columns, height)
        if node.op == GRID:
            kids = tuple(self._step(child, leaves) for child in node.children)
            height = 0.95 * node.rows / len(columns_of(node))
            return Step(
                _grid(node), -1, kids, max(k.rows for k in kids) * node.rows, sum(k.columns for k in kids), height
            )
        t = self.template(node)
        if t is None:
            raise DataError(
                f"no layout template for {node.op}", code="no-template", hint="add a gq:LayoutTemplate for it"
            )
        kids = tuple(self._step(child, leaves) for child in node.children)
        if t.boxes:
            inner = kids[-1] if len(kids) < 3 else max((kids[0], kids[2]), key=lambda k: k.rows)
            rows = inner.rows + t.extra_rows
            columns = max(k.columns for k in kids)
            height = 1 / t.aspect if t.aspect else 1.1
            if node.op == "⿲":
                height *= _widened(kids[0].columns + kids[2].columns)
            height *= (0.75 + 0.25 * min(2.0, inner.rows / 2.2)) if node.op not in "⿲⿻" else 1.0
            return Step(t, -1, kids, rows, columns, height)
        if node.op in "⿱⿳":
            weight = [k.rows + 0.7 for k in kids]
            total = sum(weight)
            height = t.height_factor * sum(k.height for k in kids)
            inset = t.inset
            return Step(
                t, -1, kids, sum(k.rows for k in kids) * 0.95, max(k.columns for k in kids), max(0.5, height),
                tuple(w / total for w in weight), inset,
            )  # fmt: skip
        weight = [k.columns + 0.9 for k in kids]
        total = sum(weight)
        height = 0.55 * max(k.height for k in kids) + 0.25
        height = 1 / t.aspect if t.aspect else max(0.6, height * _widened(sum(k.columns for k in kids)))
        rows = max(k.rows for k in kids)
        if t.aspect:
            height *= 0.7 + 0.12 * rows
        return Step(t, -1, kids, rows, sum(k.columns for k in kids), height, tuple(w / total for w in weight))

    def run(
        self, programs: Sequence[Program], prints: np.ndarray, loose: np.ndarray, noise: np.ndarray | None = None
    ) -> np.ndarray:
        """Boxes ``(leaves of all programs, 4)`` as x0, y0, x1, y1 in a square of 0..1 for each program.

        Args:
            programs: from :meth:`program`.
            prints: ``(programs,)``, 0 = proportions of type, 1 = of woodblock prints.
            loose: ``(programs,)``, multiplies the gaps (below 0 parts overlap).
            noise: ``(programs, NUMBERS)`` standard normal numbers; none = plain proportions.
        """
        return run_tables([program.table for program in programs], prints, loose, noise)


def _grid(node: Node) -> Template:
    """Words set apart in columns, with the wide gaps that asides have on woodblock pages (1457)."""
    columns = columns_of(node)
    wide, high = 1 / len(columns), 1 / node.rows
    boxes = [
        (1 - (c + 0.93) * wide, (r + 0.1) * high, 1 - (c + 0.07) * wide, (r + 0.9) * high)
        for c, column in enumerate(columns)
        for r in range(len(column))
    ]
    none: frozenset[str] = frozenset()
    spread = 0.05 / max(len(columns), node.rows)
    return Template("", GRID, none, none, none, none, tuple(boxes), tuple(boxes), spread=spread)


def _first_leaf(node: Node) -> Node:
    while node.op:
        node = node.children[0]
    return node


def _widened(columns: float) -> float:
    """What many strokes met across do to height over width: parts abreast that are full themselves need the room."""
    return min(1.0, max(_NARROWEST, _ROOMY / columns))


def _table(root: Step, leaves: int) -> Table:
    """The program as arrays; random numbers are handed out in drawing order."""
    maker = TableMaker(leaves)

    def visit(step: Step, node: int, depth: int) -> None:
        if step.leaf >= 0:
            maker.leaf(step.leaf, node)
            return
        t = step.template
        assert t is not None
        if t.boxes:
            for kid, plain, carved in zip(step.kids, t.boxes, t.boxes_in_prints, strict=False):
                visit(kid, maker.slot(node, depth, plain, carved, t.spread), depth + 1)
            return
        first = None if t.first is None else (t.first, t.first_in_prints or t.first)
        gap = t.gap, t.gap_in_prints
        stack = maker.stack(step.shares, first, gap, t.spread, step.inset, upright=t.operator in "⿱⿳")
        for i, kid in enumerate(step.kids):
            visit(kid, maker.kid(node, depth, stack, i), depth + 1)

    visit(root, 0, 1)
    return maker.table()


def _flatten(node: Node) -> Node:
    """``⿸(⿸ a b) c`` holds c below b: written ``⿸ a (⿱ b c)`` for the layout."""
    if not node.op:
        return node
    kids = tuple(_flatten(child) for child in node.children)
    if node.op == "⿸" and kids[0].op == "⿸":
        outer, first = kids[0].children
        return Node("⿸", (outer, Node("⿱", (first, kids[1]))))
    return replace(node, children=kids)
