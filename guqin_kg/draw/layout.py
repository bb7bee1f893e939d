"""How a notation fills its square: a tree of ideographic description operators whose leaves are outlines.

``layout_tree(notation)`` joins the written forms of the graph by their IDS templates and layout roles;
``ids(tree)`` writes the tree as an ideographic description sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from guqin_kg.errors import DataError
from guqin_kg.inventory import GQ, BaseNotation, Inventory, WrittenForm
from guqin_kg.model import Notation
from guqin_kg.notation.components import Part, parts, word_base
from guqin_kg.notation.grammar import Grammar, default_grammar

HOLE = "〇"
GRID = "▦"
"""Operator of a node whose children stand in columns, filled downwards from the right; not written in sequences."""
ARITY = {**dict.fromkeys("⿰⿱⿴⿵⿶⿷⿸⿹⿺⿻", 2), **dict.fromkeys("⿲⿳", 3)}


class MissingFormError(DataError):
    """A base notation has no written form that can be drawn."""

    default_code = "no-written-form"


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the layout tree.

    Attributes:
        op: ideographic description character; empty for a leaf.
        children: sub-trees.
        char: character of a leaf (or a stand-in name when the form is a path).
        part: index of the component in reading order; -1 for an inner node of several components.
        role: code of the layout role of the component, on every node that belongs to one component alone.
        path: ``("stroke" | "outline", SVG path)`` when the form is given as a path.
        rows: of a ``GRID``, how many words stand in a full column.
    """

    op: str = ""
    children: tuple[Node, ...] = ()
    char: str = ""
    part: int = -1
    role: str | None = None
    path: tuple[str, str] | None = None
    rows: int = 0

    def leaves(self) -> Iterator[Node]:
        """Leaves in drawing order."""
        if not self.op:
            yield self
        for child in self.children:
            yield from child.leaves()

    def to_json(self) -> object:
        """Nested lists ``[operator, child, …]``; a leaf is ``{"char", "part"}``."""
        if not self.op:
            return {"char": self.char, "part": self.part}
        return [self.op, *(child.to_json() for child in self.children)]


@dataclass(frozen=True)
class Layout:
    """A notation's tree and its components.

    Attributes:
        tree: the layout.
        parts: components in reading order (``guqin_kg.notation.components.Part``).
        notes: what others worked out from this layout and keep with it.
    """

    tree: Node
    parts: tuple[Part, ...]
    notes: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


def parse_ids(text: str) -> Node:
    """Read an ideographic description sequence.

    Raises:
        DataError: ``bad-ids`` if signs are missing or left over.
    """
    signs = iter(text)

    def node() -> Node:
        sign = next(signs, None)
        if sign is None:
            raise DataError(f"the layout {text!r} ends too early", code="bad-ids", hint="mend gq:ids or gq:idsTemplate")
        if sign in ARITY:
            return Node(sign, tuple(node() for _ in range(ARITY[sign])))
        return Node(char=sign)

    tree = node()
    if next(signs, None) is not None:
        raise DataError(
            f"the layout {text!r} has signs left over", code="bad-ids", hint="mend gq:ids or gq:idsTemplate"
        )
    return tree


def ids(tree: Node) -> str:
    """The tree as a sequence; a sign between two halves makes a stack of three."""
    if not tree.op:
        return tree.char
    kids = tree.children
    if tree.op == GRID:
        return ids(side_by_side([stack(list(column)) for column in columns_of(tree)[::-1]]))
    if tree.op == "⿱" and kids[1].op == "⿱" and kids[1].children[0].role == "between-halves":
        return "⿳" + ids(kids[0]) + "".join(ids(c) for c in kids[1].children)
    return tree.op + "".join(ids(child) for child in kids)


class LayoutBuilder:
    """Builds trees from the forms of one inventory.

    Args:
        grammar: compiled grammar (default: of the released graph).
        columns: 1 = steps of an aside of several steps stand in columns right to left; 0 = one above the other; more =
            the words of an aside stand apart, so many to a column, whatever step they belong to.
    """

    def __init__(self, grammar: Grammar | None = None, *, columns: int = 1) -> None:
        self.grammar = grammar or default_grammar()
        self.inventory: Inventory = self.grammar.inventory
        self.columns = columns
        view = self.inventory.view
        self._aliased: dict[str, list[BaseNotation]] = {}
        for base in self.inventory.bases:
            for alias in base.aliases:
                self._aliased.setdefault(alias, []).append(base)
        self._draws_as = {
            view.value(iri, GQ + "code"): view.value(iri, GQ + "drawsAs") for iri in view.instances(GQ + "LayoutRole")
        }

    # forms

    def forms(self, base: BaseNotation) -> list[WrittenForm]:
        """Forms of ``base`` that can be drawn, the preferred first."""
        return [f for f in base.forms if f.character or f.ids or f.svg_path or f.stroke_path]

    def closed(self, base: BaseNotation, part: int, choice: Mapping[str, int]) -> Node:
        """The form of ``base`` alone.

        Raises:
            MissingFormError: no form, and none can be put together from its elements or its name.
        """
        found = [f for f in self.forms(base) if HOLE not in (f.ids or "")]
        if not found:
            return self._from_elements(base, part, choice)
        form = found[min(choice.get(base.id, 0), len(found) - 1)]
        return _mark(_form_tree(form, base), part, base.layout_role)

    def _from_elements(self, base: BaseNotation, part: int, choice: Mapping[str, int]) -> Node:
        """Put together what the graph says it is written from, or the signs that spell its name."""
        named = base.steps if base.written_as_parts else ()
        elements = [self.inventory.by_id[s] for s in named if s in self.inventory.by_id]
        if not elements or any(e.id == base.id or not self.forms(e) for e in elements):
            elements = self._spelled(base)
        if not elements:
            raise MissingFormError(
                f"{base.name} ({base.id}) has no written form",
                hint=f"give gqr:{base.id} a gq:writtenForm with gq:character, gq:ids, gq:strokePath or gq:svgPath",
                component=base.name,
            )
        tree = self.closed(elements[-1], part, choice)
        for element in reversed(elements[:-1]):
            tree = self._join(element, self.closed(element, part, choice), tree)
        return _mark(tree, part, base.layout_role)

    def _spelled(self, base: BaseNotation) -> list[BaseNotation]:
        """Base notations with forms whose names, one after the other, spell the name of ``base``."""
        name = base.name

        def cut(at: int) -> list[BaseNotation] | None:
            if at == len(name):
                return []
            for end in range(len(name), at, -1):
                if end - at == len(name):
                    continue
                for other in (*self.inventory.named(name[at:end]), *self._aliased.get(name[at:end], ())):
                    if self.forms(other):
                        rest = cut(end)
                        if rest is not None:
                            return [other, *rest]
            return None

        return cut(0) or []

    def _join(self, base: BaseNotation, form: Node, inner: Node) -> Node:
        return Node(self._draws_as.get(base.layout_role) or "⿱", (form, inner))

    def apply(self, base: BaseNotation, part: int, inner: list[Node], choice: Mapping[str, int]) -> Node:
        """The form of ``base`` with ``inner`` in the holes of its template, or joined by its layout role."""
        if not inner:
            return self.closed(base, part, choice)
        own = base.max_strings
        if own and len(inner) > own:  # as carved in 1457: strings beyond those it takes stand below the stroke
            return stack([self.apply(base, part, inner[:own], choice), *inner[own:]])
        forms = self.forms(base)
        chosen = choice.get(base.id, 0)
        ranked = forms[chosen : chosen + 1] + forms if chosen < len(forms) else forms
        for form in ranked:
            if form.ids_template and not (chosen and form is not ranked[0]):
                tree = _mark(parse_ids(form.ids_template), part, base.layout_role)
                holes = sum(leaf.char == HOLE for leaf in tree.leaves())
                if holes == len(inner):
                    return _fill(tree, inner)
                if holes == 1:
                    return _fill(tree, [side_by_side(inner) if base.layout_role == "split-legs" else stack(inner)])
        joined = side_by_side(inner) if base.layout_role == "split-legs" and len(inner) > 1 else stack(inner)
        return self._join(base, self.closed(base, part, choice), joined)

    # notations

    def build(self, notation: Notation, choice: Mapping[str, int] | None = None) -> Layout:
        """The layout of ``notation``; ``choice`` names other written forms (base id to index of its form).

        Raises:
            MissingFormError: a component has no written form.
        """
        found = parts(notation, self.grammar)
        choice = choice or {}
        main = self._note(notation, found, 0, choice, aside=notation.form == "aside")
        return Layout(main, tuple(found))

    def _note(
        self, note: Notation | None, found: list[Part], index: int, choice: Mapping[str, int], *, aside: bool
    ) -> Node:
        here: dict[str, list[tuple[int, Part]]] = {}
        for number, part in enumerate(found):
            if part.note == index:
                here.setdefault(part.field, []).append((number, part))
        inner: list[Node] = []
        behind: list[Node] = []
        if index == 0 and note is not None and note.notes:
            subs = [self._note(None, found, i, choice, aside=aside) for i in range(1, len(note.notes) + 1)]
            if aside:
                behind = subs
            else:
                inner = subs
        inner += [self.apply(p.bases[0], n, [], choice) for n, p in here.get("strings", ())]
        position = [self._position(n, p, choice) for n, p in here.get("position", ())]
        finger = [self.closed(p.bases[0], n, choice) for n, p in here.get("left_finger", ())]
        left = finger
        if position and not (aside and not finger):
            left = [side_by_side([*finger, *position])]
            position = []
        right = self._words("techniques", here, inner, choice)
        before, after = self._ornaments(here)
        for group in (before, here.get("count", []), here.get("modifiers", [])):
            for number, part in reversed(group):
                right = [self.apply(part.bases[0], number, right, choice)] if part.bases else right
        right = [*right, *position]
        whole = [*left, stack(right)] if right else left
        for number, part in reversed(here.get("tone", [])):
            whole = [self.apply(part.bases[0], number, [stack(whole)] if whole else [], choice)]
        whole += [self.closed(p.bases[0], n, choice) for n, p in after]
        tree = [stack(whole)] if whole else []
        steps = tree + behind
        if index == 0 and aside and self.columns > 1:
            words = tuple(word for step in steps for word in _apart(step))
            if len(words) > 1:
                return Node(GRID, words, rows=min(self.columns, len(words)))
        if len(steps) == 1:
            return steps[0]
        if not steps:
            raise DataError("the notation writes nothing", code="empty-notation", hint="give it a sign to draw")
        return side_by_side(steps[::-1]) if self.columns else stack(steps)

    def _ornaments(
        self, here: dict[str, list[tuple[int, Part]]]
    ) -> tuple[list[tuple[int, Part]], list[tuple[int, Part]]]:
        """Ornaments drawn over the right-hand part, and those that follow it in the reading."""
        signs = here.get("techniques", []) + here.get("strings", [])
        first = min((n for n, _ in signs), default=10**6)
        ornaments = here.get("ornaments", [])
        return [o for o in ornaments if o[0] < first], [o for o in ornaments if o[0] >= first]

    def _position(self, number: int, part: Part, choice: Mapping[str, int]) -> Node:
        trees = [self.closed(base, number, choice) for base in part.bases]
        return replace(stack(trees), part=number, role="hui-slot") if len(trees) > 1 else trees[0]

    def _words(
        self, field: str, here: dict[str, list[tuple[int, Part]]], inner: list[Node], choice: Mapping[str, int]
    ) -> list[Node]:
        """Right-hand words around what they act on: the last word is the innermost."""
        words: dict[int, list[tuple[int, Part]]] = {}
        for number, part in here.get(field, ()):
            words.setdefault(part.word, []).append((number, part))
        groups = list(words.values())
        strings = here.get("strings", [])
        out = inner
        for group in reversed(groups):
            number, part = group[0]
            if len(group) > 1 and part.bases:
                out = self._several(group, out, choice)
            elif not part.bases:
                out = [stack([Node(char=c, part=number) for c in part.name] + out)]
            elif strings and number > strings[0][0] and len(out) > 1:  # a link between two strings
                out = [*out[:-1], self.apply(part.bases[0], number, out[-1:], choice)]
            else:
                out = [self.apply(part.bases[0], number, out, choice)]
        return [stack(out)] if out else []

    def _several(self, group: list[tuple[int, Part]], inner: list[Node], choice: Mapping[str, int]) -> list[Node]:
        """A combined technique written as the signs of its parts: one template, its leaves shared out in order."""
        name = "".join(part.name for _, part in group)
        base = word_base(name, "techniques", self.grammar)
        forms = self.forms(base) if base else []
        if base and forms and choice.get(base.id, 0) == 0:
            tree = self.apply(base, -2, inner, choice)
            own = [leaf for leaf in tree.leaves() if leaf.part == -2]
            counts = [sum(1 for _ in self.closed(p.bases[0], 0, {}).leaves()) for _, p in group]
            if sum(counts) == len(own):
                owners = [(n, p) for (n, p), c in zip(group, counts, strict=True) for _ in range(c)]
                return [_share_out(tree, iter(owners))]
        out = inner
        for number, part in reversed(group):
            out = [self.apply(part.bases[0], number, out, choice)]
        return out


def _form_tree(form: WrittenForm, base: BaseNotation) -> Node:
    if form.stroke_path:
        return Node(char=form.character or base.name, path=("stroke", form.stroke_path))
    if form.svg_path:
        return Node(char=form.character or base.name, path=("outline", form.svg_path))
    if form.ids:
        return parse_ids(form.ids)
    return Node(char=form.character or "")


def _mark(tree: Node, part: int, role: str | None) -> Node:
    if not tree.op:
        return tree if tree.char == HOLE else replace(tree, part=part, role=role)
    kids = tuple(_mark(child, part, role) for child in tree.children)
    return Node(tree.op, kids, part=part, role=role)


def _fill(tree: Node, inner: list[Node]) -> Node:
    queue = iter(inner)

    def walk(node: Node) -> Node:
        if node.char == HOLE:
            return next(queue)
        if not node.op:
            return node
        kids = tuple(walk(child) for child in node.children)
        if kids == node.children:
            return node
        return Node(node.op, kids)

    return walk(tree)


def _share_out(tree: Node, owners: Iterator[tuple[int, Part]]) -> Node:
    if not tree.op:
        if tree.part != -2:
            return tree
        number, part = next(owners)
        return replace(tree, part=number, role=part.bases[0].layout_role)
    kids = tuple(_share_out(child, owners) for child in tree.children)
    return replace(tree, children=kids, part=-1 if tree.part == -2 else tree.part)


def columns_of(grid: Node) -> list[tuple[Node, ...]]:
    """Words of each column of a ``GRID``, the rightmost column first."""
    return [grid.children[at : at + grid.rows] for at in range(0, len(grid.children), grid.rows)]


def _apart(step: Node) -> list[Node]:
    """The words of a step that a scribe can set apart; the digits of a position are words too."""
    if step.op and (step.part < 0 or step.role == "hui-slot"):
        return [word for child in step.children for word in _apart(child)]
    return [step]


def stack(nodes: list[Node]) -> Node:
    """One above the other."""
    if len(nodes) == 1:
        return nodes[0]
    if len(nodes) == 3:
        return Node("⿳", tuple(nodes))
    return Node("⿱", (nodes[0], stack(nodes[1:])))


def side_by_side(nodes: list[Node]) -> Node:
    """Left to right."""
    if len(nodes) == 1:
        return nodes[0]
    return Node("⿰", (nodes[0], side_by_side(nodes[1:])))


def layout_tree(notation: Notation, grammar: Grammar | None = None) -> Node:
    """The layout tree of a notation with the preferred forms of the graph.

    Raises:
        MissingFormError: a component has no written form.
    """
    return LayoutBuilder(grammar).build(notation).tree
