"""Compile SHACL shapes to SPARQL SELECT queries whose rows are the validation results.

One :class:`Check` per (target, constraint). A row binds ``?this`` (focus) and, where the constraint names one,
``?value`` and ``?path``. The queries are generated from the shapes graph; none is written for a particular shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pyoxigraph as ox

from guqin_kg.validate.expressions import Expressions, integer
from guqin_kg.validate.shapes import SH, Constraint, Shape, ShapesGraph, Term, UnsupportedShape

FOCUS_GRAPH = "urn:guqin-kg:focus"
_WHERE = re.compile(r"\bWHERE\s*\{|\bSELECT\b[^{]*\{", re.I)
_TOO_MUCH = re.compile(r"[$?](?:PATH|shapesGraph|currentShape)\b|\b(?:SERVICE|MINUS|VALUES|FROM)\b")
_DOLLAR = re.compile(r"\$(\w+)")


@dataclass(frozen=True)
class Check:
    """One query and what its rows mean.

    Attributes:
        query: SPARQL SELECT over ?this ?value ?path.
        shape: the shape the results name as their source.
        component: IRI of the constraint component.
        path: result path of the shape (a SPARQL path), or None.
        value: ``"value"`` the row's ?value, ``"focus"`` the focus node, ``"none"`` no value.
        rule: IRI of the sh:sparql constraint, or None.
        messages: what results say.
        guard: a quick query over the whole graph, without targets: when it has no row, the check has none.
    """

    query: str
    shape: Shape
    component: str
    path: str | None
    value: str
    rule: str | None
    messages: tuple[ox.Literal, ...]
    guard: str | None = None


_STEP = re.compile(r"\^?<[^<>]+>")


def _bad_value(path: str, bad: str) -> str | None:
    """Whether any value at all at the end of ``path`` (one step) is bad: there are few different values."""
    if not _STEP.fullmatch(path):
        return None
    values = f"SELECT DISTINCT ?value WHERE {{ ?_any {path} ?value }}"
    return f"SELECT ?value WHERE {{ {{ {values} }} {bad} }} LIMIT 1"


def _doubled(path: str) -> str | None:
    """Whether any node at all has two values at the end of ``path`` (one step)."""
    if not _STEP.fullmatch(path):
        return None
    counts = f"SELECT (COUNT(*) AS ?_all) (COUNT(DISTINCT ?_one) AS ?_each) WHERE {{ ?_one {path} ?_value }}"
    return f"SELECT ?_all WHERE {{ {{ {counts} }} FILTER(?_all != ?_each) }}"


class Compiler:
    """Turns root shapes into checks.

    Args:
        graph: the shapes.
        classes: class → that class and its subclasses in the data.
        typed: class → the classes whose instances make up its extension (subclasses already covered left out).
        restricted: only look at nodes marked in the graph ``FOCUS_GRAPH``.
    """

    def __init__(
        self,
        graph: ShapesGraph,
        classes: Callable[[Term], tuple[Term, ...]],
        typed: Callable[[Term], tuple[Term, ...]] | None = None,
        *,
        restricted: bool = False,
    ) -> None:
        self.graph = graph
        self.typed = typed or classes
        self.make = Expressions(graph, self.typed)
        self.restricted = restricted

    def arms(self, shape: Shape) -> list[str]:
        """Graph patterns binding ?this to the focus nodes, one per target."""
        out = []
        for kind, term in shape.targets:
            if kind == "targetClass":
                wanted = self.typed(term)
                if len(wanted) == 1:
                    out.append(f"?this a {wanted[0]} .")
                elif wanted:
                    out.append(f"VALUES ?_class {{ {' '.join(str(c) for c in wanted)} }} ?this a ?_class .")
            elif kind == "targetNode":
                out.append(f"VALUES ?this {{ {term} }}")
            elif kind == "targetSubjectsOf":
                out.append(f"{{ SELECT DISTINCT ?this WHERE {{ ?this {term} ?_o }} }}")
            else:
                out.append(f"{{ SELECT DISTINCT ?this WHERE {{ ?_s {term} ?this }} }}")
        return out

    def compile(self, root: Shape) -> list[Check]:
        """All checks of a root shape.

        Raises:
            UnsupportedShape: it uses something outside the compiled subset.
        """
        if root.deactivated:
            return []
        why = self.graph.unsupported(root)
        if why:
            raise UnsupportedShape(why)
        return [check for arm in self.arms(root) for check in self._shape(root, arm, 0)]

    def marked(self, arm: str) -> str:
        """``arm``, looking only at marked focus nodes when the run is restricted."""
        return f"GRAPH <{FOCUS_GRAPH}> {{ ?this a <{FOCUS_GRAPH}> }} {arm}" if self.restricted else arm

    def _shape(self, shape: Shape, arm: str, depth: int) -> list[Check]:
        if shape.deactivated:
            return []
        if depth > 6:
            raise UnsupportedShape(f"shapes nested too deeply at {shape.name}")
        checks: list[Check] = []
        if shape.path is not None and ("*" in shape.path or "?" in shape.path):
            raise UnsupportedShape(f"zero-length path in {shape.name}")
        for c in shape.constraints:
            checks += self._constraint(shape, c, self.marked(arm))
        for node in shape.properties:
            inner = arm
            if shape.path is not None:
                outer = f"?_f{depth}"
                inner = re.sub(r"\?this\b", outer, arm) + f" {outer} {shape.path} ?this ."
            checks += self._shape(self.graph.shape(node), inner, depth + 1)
        return checks

    def _constraint(self, shape: Shape, c: Constraint, arm: str) -> list[Check]:
        if c.parameter == "sparql":
            return [self._sparql(shape, c, arm)]

        def check(body: str, value: str = "value", path: str | None = shape.path, guard: str | None = None) -> Check:
            names = "?this" if value == "none" else "?this ?value"
            names += " ?path" if path == "?path" else ""
            query = f"SELECT DISTINCT {names} WHERE {{ {arm} {body} }}"
            return Check(query, shape, c.component, path, value, None, shape.messages, guard)

        if c.parameter == "closed":
            if getattr(c.value, "value", "") != "true":
                return []
            allowed = ", ".join(self.make.allowed(shape))
            return [check(f"?this ?path ?value . FILTER(?path NOT IN ({allowed}))", path="?path")]
        path = shape.path
        if path is None:
            if c.parameter == "hasValue":
                return [check(f"FILTER(!sameTerm(?this, {c.value}))", "none")]
            ok = self.make.value_ok("?this", c, shape)
            if ok is None:
                raise UnsupportedShape(f"sh:{c.parameter} on a node shape")
            return [check(f"FILTER(!COALESCE({ok}, false)) BIND(?this AS ?value)")]
        return self._pair(check, path, c) or self._property(check, shape, path, c, arm)

    def _property(self, check: Callable[..., Check], shape: Shape, path: str, c: Constraint, arm: str) -> list[Check]:
        if c.parameter in ("minCount", "maxCount"):
            n = integer(c.value)
            if (c.parameter == "minCount" and n == 0) or n > 1_000_000:
                return []
            guard = _doubled(path) if c.parameter == "maxCount" and n >= 1 else None
            if n <= 1:
                return [check(f"FILTER(!{self.make.count_ok('?this', path, c)})", "none", guard=guard)]
            sign = "<" if c.parameter == "minCount" else ">"
            body = (
                f"{{ SELECT ?this (COUNT(DISTINCT ?_x) AS ?_n) WHERE {{ {arm} OPTIONAL {{ ?this {path} ?_x }} }} "
                f"GROUP BY ?this }} FILTER(?_n {sign} {n})"
            )
            return [check(body, "none", guard=guard)]
        if c.parameter == "hasValue":
            return [check(f"FILTER NOT EXISTS {{ ?this {path} {c.value} }}", "none")]
        if c.parameter == "uniqueLang":
            if getattr(c.value, "value", "") != "true":
                return []
            body = (
                f"?this {path} ?_a . ?this {path} ?_b . "
                'FILTER(!sameTerm(?_a, ?_b) && LANG(?_a) != "" && LANG(?_a) = LANG(?_b))'
            )
            return [check(body, "none")]
        ok = self.make.value_ok("?value", c, shape)
        if ok is None:
            raise UnsupportedShape(f"sh:{c.parameter}")
        bad = f"FILTER(!COALESCE({ok}, false))"
        return [check(f"?this {path} ?value . {bad}", guard=_bad_value(path, bad))]

    def _pair(self, check: Callable[..., Check], path: str, c: Constraint) -> list[Check]:
        other = c.value
        if c.parameter == "equals":
            same = (
                "FILTER(sameTerm(?_y, ?value)) } FILTER(!BOUND(?_y))"  # a left join runs from the focus node outwards
            )
            return [
                check(f"?this {path} ?value . OPTIONAL {{ ?this {other} ?_y . {same}"),
                check(f"?this {other} ?value . OPTIONAL {{ ?this {path} ?_y . {same}"),
            ]
        if c.parameter == "disjoint":
            return [check(f"?this {path} ?value . FILTER EXISTS {{ ?this {other} ?value }}")]
        if c.parameter in ("lessThan", "lessThanOrEquals"):
            sign = "<" if c.parameter == "lessThan" else "<="
            return [check(f"?this {path} ?value . ?this {other} ?_b . FILTER(!COALESCE(?value {sign} ?_b, false))")]
        return []

    def _sparql(self, shape: Shape, c: Constraint, arm: str) -> Check:
        text, messages = self.graph.select(c)
        if _TOO_MUCH.search(text):
            raise UnsupportedShape(f"sh:sparql of {shape.name} uses a feature outside plain SELECT")
        flag = self.graph.value(c.value, ox.NamedNode(SH + "deactivated"))
        if isinstance(flag, ox.Literal) and flag.value == "true":
            arm += " FILTER(false)"
        text = _DOLLAR.sub(r"?\1", text)
        found = _WHERE.search(text)
        if not found:
            raise UnsupportedShape(f"sh:sparql of {shape.name} has no WHERE")
        query = text[: found.end()] + f" {arm} " + text[found.end() :]
        rule = c.value.value if isinstance(c.value, ox.NamedNode) else str(c.value)
        value = "none" if shape.path is not None else "focus"
        return Check(query, shape, c.component, shape.path, value, rule, messages + shape.messages)
