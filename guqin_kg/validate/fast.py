"""The fast engine: SHACL as whole-graph SELECTs in Oxigraph.

Results equal those of pySHACL (focus, path, value, severity, shape, component); a test compares them on all examples,
on the released graph and on randomly damaged ones. Shapes outside the compiled subset are handed to pySHACL and named
in the report.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pyoxigraph as ox

from guqin_kg.errors import GuqinKGError
from guqin_kg.validate.compile import FOCUS_GRAPH, Check, Compiler
from guqin_kg.validate.report import SEVERITIES, Report, Result
from guqin_kg.validate.shapes import SUBCLASS, TYPE, Shape, ShapesGraph, Term, UnsupportedShape, released_shapes

_FOCUS = ox.NamedNode(FOCUS_GRAPH)
#: Stores of more statements than this are checked by several threads.
_MANY = 200_000
_THREADS = min(4, os.cpu_count() or 1)


class Classes:
    """The class hierarchy of one store, as SHACL sees it (rdf:type and rdfs:subClassOf, nothing inferred)."""

    def __init__(self, store: ox.Store) -> None:
        self.store = store
        self._below: dict[Term, tuple[Term, ...]] = {}
        self._typed: dict[Term, tuple[Term, ...]] = {}
        self._children: dict[Term, list[Term]] = {}
        for quad in store.quads_for_pattern(None, SUBCLASS, None, ox.DefaultGraph()):
            self._children.setdefault(quad.object, []).append(quad.subject)

    def below(self, cls: Term) -> tuple[Term, ...]:
        """``cls`` and its subclasses, transitively."""
        if cls not in self._below:
            seen: dict[Term, None] = {cls: None}
            todo = [cls]
            while todo:
                for child in self._children.get(todo.pop(), ()):
                    if child not in seen:
                        seen[child] = None
                        todo.append(child)
            self._below[cls] = tuple(c for c in seen if isinstance(c, ox.NamedNode))
        return self._below[cls]

    def typed(self, cls: Term) -> tuple[Term, ...]:
        """Classes whose direct instances together are all instances of ``cls``, as few as possible."""
        if cls not in self._typed:
            wanted = [cls]
            for sub in self.below(cls):
                if sub != cls and not self._covered(sub, cls):
                    wanted.append(sub)
            self._typed[cls] = tuple(wanted)
        return self._typed[cls]

    def _covered(self, sub: Term, cls: Term) -> bool:
        for quad in self.store.quads_for_pattern(None, TYPE, sub, ox.DefaultGraph()):
            if ox.Quad(quad.subject, TYPE, cls) not in self.store:
                return False
        return True


def messages_of(check: Check, row: dict[str, Term]) -> dict[str, str]:
    """Language → message with ``{?var}`` and ``{$var}`` replaced by the row's values."""
    out: dict[str, str] = {}
    for literal in check.messages:
        text = literal.value
        if check.rule is not None:
            for name, term in row.items():
                shown = getattr(term, "value", str(term))
                text = text.replace("{?" + name + "}", shown).replace("{$" + name + "}", shown)
        out.setdefault(literal.language or "", text)
    return out


def run_check(store: ox.Store, check: Check) -> Iterable[Result]:
    """The results of one check.

    Raises:
        GuqinKGError: the query cannot be run (a defect of the shape; it is named).
    """
    try:
        solutions = store.query(check.query)
        if not isinstance(solutions, ox.QuerySolutions):
            raise SyntaxError("not a SELECT query")
        names = [v.value for v in solutions.variables]
        rows = [{n: row[n] for n in names if row[n] is not None} for row in solutions]
    except (SyntaxError, OSError, RuntimeError, ValueError) as error:
        raise GuqinKGError(
            f"the shape {check.rule or check.shape.name} cannot be evaluated: {error}",
            code="bad-shape",
            hint="run the shape's query by itself and mend it",
        ) from error
    for row in rows:
        focus = row.get("this")
        if focus is None or (check.rule and "failure" in row):
            continue
        if check.value == "none":
            value = row.get("value") if check.rule else None
        else:
            value = row.get("value", focus if check.value == "focus" else None)
        path = check.path
        if path == "?path" or check.rule:
            found = row.get("path")
            path = str(found) if found is not None else (None if path == "?path" else path)
        yield Result(
            focus=str(focus),
            path=path,
            value=None if value is None else str(value),
            severity=SEVERITIES.get(check.shape.severity, check.shape.severity),
            shape=check.shape.name,
            constraint=check.component,
            rule=check.rule,
            messages=messages_of(check, row),
        )


def compile_all(compiler: Compiler, roots: Iterable[Shape]) -> tuple[list[Check], list[tuple[Shape, str]]]:
    """Checks of all shapes, and the shapes that do not compile with the reason."""
    checks: list[Check] = []
    left: list[tuple[Shape, str]] = []
    for root in roots:
        try:
            checks += compiler.compile(root)
        except UnsupportedShape as why:
            left.append((root, str(why)))
    return checks, left


def count_focus(store: ox.Store, compiler: Compiler, roots: Iterable[Shape]) -> int:
    """How many distinct nodes are targeted by the given shapes."""
    arms = sorted({arm for root in roots if not root.deactivated for arm in compiler.arms(root)})
    nodes: set[str] = set()
    for arm in arms:
        solutions = store.query(f"SELECT DISTINCT ?this WHERE {{ {compiler.marked(arm)} }}")
        nodes.update(str(row["this"]) for row in solutions)  # type: ignore[union-attr]
    return len(nodes)


def possible(store: ox.Store, checks: Iterable[Check]) -> list[Check]:
    """The checks that can have results: what a quick question to the whole graph rules out is left out."""
    answers: dict[str, bool] = {}
    out = []
    for check in checks:
        if check.guard is not None and check.guard not in answers:
            answers[check.guard] = any(True for _ in store.query(check.guard))  # type: ignore[union-attr]
        if check.guard is None or answers[check.guard]:
            out.append(check)
    return out


def validate_store(
    store: ox.Store,
    *,
    shapes: ShapesGraph | None = None,
    focus: Iterable[Term] | None = None,
    copy: Callable[[], ox.Store] | None = None,
) -> Report:
    """Validate the default graph of ``store``.

    Args:
        store: the data, with the ontology in it (classes are looked up there).
        shapes: the shapes; default the released ones.
        copy: for a store on disk, makes a copy in memory; the checks run over it.
        focus: only these nodes. The store must then be in memory and yours: they are marked in a named graph
            for the time of the run.

    Returns:
        the report; ``report.fallbacks`` names shapes that pySHACL had to check.
    """
    begin = time.perf_counter()
    graph = shapes or released_shapes()
    wanted = None if focus is None else list(focus)
    if wanted is not None:
        store.extend(ox.Quad(n, TYPE, _FOCUS, _FOCUS) for n in wanted if not isinstance(n, ox.Literal))
    try:
        classes = Classes(store)
        compiler = Compiler(graph, classes.below, classes.typed, restricted=wanted is not None)
        roots = graph.roots()
        checks, left = compile_all(compiler, roots)
        # Oxigraph works without Python's lock, so two threads take two cores; the order of the answers stays
        with ThreadPoolExecutor(_THREADS if len(store) > _MANY else 1) as pool:
            copied = pool.submit(copy) if copy is not None else None
            if wanted is None:
                checks = possible(store, checks)
            if copied is not None:
                store = copied.result()
            counted = pool.submit(count_focus, store, compiler, roots)
            results = [r for rows in pool.map(lambda c: list(run_check(store, c)), checks) for r in rows]
            nodes = counted.result()
    finally:
        if wanted is not None:
            store.remove_graph(_FOCUS)
    engine = "fast"
    if left:
        from guqin_kg.validate.shacl import validate_with_pyshacl

        engine = "fast+pyshacl"
        slow = validate_with_pyshacl(store, shapes=graph, only=[s.node for s, _ in left], focus=wanted)
        results += slow.results
    return Report.of(
        results,
        focus_nodes=nodes,
        engine=engine,
        fallbacks=tuple((s.name, why) for s, why in left),
        seconds=time.perf_counter() - begin,
    )
