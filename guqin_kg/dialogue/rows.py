"""Rows for templates: library queries asked once for many notations, joined with facts about what the rows name.

A *view* is what one template sees: a query keyed by ``?notation``, *lookups* that add the facts of a column
(``lookups: {component: component-words}`` gives ``row.component_definition``), and a filter on columns (``where``).
Lookups are queries keyed by ``?key``, asked once for all keys; so a definition is fetched once, not once a notation.
"""

from __future__ import annotations

import hashlib
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError
from guqin_kg.query.binding import EVERY, bind, prologue
from guqin_kg.query.library import QueryLibrary

if TYPE_CHECKING:
    from guqin_kg.dialogue.templates import Template
    from guqin_kg.query.spec import QuerySpec

NOTATION = "notation"
KEY = "key"
TERMS = "https://w3id.org/guqin/ontology#"


class Row(tuple[Any, ...]):
    """A row as templates see it: columns by name, nothing else (see ``row_type``)."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()


def row_type(names: Sequence[str]) -> Any:
    """A named tuple with these columns that is also a ``Row``."""
    return type("Row", (namedtuple("Row", names), Row), {"__slots__": ()})


class ViewError(DataError):
    """A template's view does not fit its queries."""

    default_code = "template"


@dataclass(frozen=True)
class ViewKey:
    """What a template asks for, as a hashable value."""

    query: str
    lookups: tuple[tuple[str, str], ...] = ()
    where: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    needs: tuple[tuple[str, tuple[Any, ...]], ...] = ()


class View:
    """The rows of one template for one notation after another.

    Attributes:
        columns: all columns a template may read.
        queries: names of the query and its lookups.
        digest: hash over all their texts.
    """

    def __init__(self, key: ViewKey, library: QueryLibrary) -> None:
        self.key = key
        main = library.get(key.query)
        self.specs: list[QuerySpec] = [main]
        names = [c.name for c in main.columns if c.name != NOTATION]
        if NOTATION not in {c.name for c in main.columns} or main.param(NOTATION) is None:
            raise ViewError(f"query {key.query} has no column and parameter 'notation'", file=main.file)
        self.width = len(names)
        self.iris = [i for i, c in enumerate(c for c in main.columns if c.name != NOTATION) if c.type == "iri"]
        self.lookups: list[tuple[int, str, int, tuple[int, ...]]] = []
        for column, lookup in key.lookups:
            if column not in names[: self.width]:
                raise ViewError(f"the lookup column {column!r} is no column of query {key.query}", file=main.file)
            spec = library.get(lookup)
            self.specs.append(spec)
            if KEY not in {c.name for c in spec.columns} or spec.param(KEY) is None:
                raise ViewError(f"lookup query {lookup} has no column and parameter 'key'", file=spec.file)
            extra = [c for c in spec.columns if c.name != KEY]
            self.lookups.append(
                (names.index(column), lookup, len(extra), tuple(i for i, c in enumerate(extra) if c.type == "iri"))
            )
            names += [f"{column}_{c.name}" for c in extra]
        if len(set(names)) != len(names):
            raise ViewError(f"two lookups of {key.query} give the same column", file=main.file)
        self.columns = tuple(names)
        self.row_type: Any = row_type(names)
        self.queries = tuple(spec.name for spec in self.specs)
        self.digest = hashlib.blake2b("\n".join(s.digest for s in self.specs).encode(), digest_size=8).hexdigest()
        for column, _ in (*key.where, *key.needs):
            if column not in names:
                raise ViewError(f"the header names the column {column!r}, which {key.query} lacks", file=main.file)
        self._needs = [(names.index(column), values) for column, values in key.needs]
        self._where = [(names.index(column), frozenset(values)) for column, values in key.where]
        self._memo: dict[tuple[Any, ...], tuple[list[Any], list[str], tuple[frozenset[Any], ...]]] = {}

    def join(
        self, rows: Iterable[tuple[Any, ...]], facts: Mapping[str, Mapping[str, Sequence[tuple[Any, ...]]]]
    ) -> list[Any]:
        """Rows of one notation with the facts of their columns, filtered; empty where the turn does not apply."""
        out: list[Any] = []
        memo = self._memo
        present: list[tuple[frozenset[Any], ...]] = []
        for row in rows:
            found = memo.get(row)
            if found is None:
                found = memo[row] = self._join(row, facts)
            if found[0]:
                out += found[0]
                present.append(found[2])
        for at, (_, values) in enumerate(self._needs):
            if values:
                if not frozenset().union(*(p[at] for p in present)).issuperset(values):
                    return []
            elif not any(p[at] for p in present):
                return []
        return out

    def rests(self, rows: Iterable[tuple[Any, ...]]) -> dict[str, None]:
        """The resources that rows joined before rest on, each once, row by row."""
        memo = self._memo
        return dict.fromkeys(chain.from_iterable([memo[row][1] for row in rows]))

    def _join(
        self, row: tuple[Any, ...], facts: Mapping[str, Mapping[str, Sequence[tuple[Any, ...]]]]
    ) -> tuple[list[Any], list[str], tuple[frozenset[Any], ...]]:
        arms: list[Sequence[tuple[Any, ...]]] = [
            facts[name].get(row[at]) or ((None,) * width,) for at, name, width, _ in self.lookups
        ]
        kept: list[Any] = []
        rests: set[str] = set()
        make = self.row_type._make
        for combination in product(*arms):
            values = row + tuple(v for arm in combination for v in arm)
            if all(values[i] in allowed for i, allowed in self._where):
                kept.append(make(values))
                rests.update(v for i in self.iris if (v := row[i]) and not v.startswith(TERMS))
                for (_, _, _, iris), arm in zip(self.lookups, combination, strict=True):
                    rests.update(v for i in iris if (v := arm[i]) and not v.startswith(TERMS))
        needed = tuple(frozenset(r[at] for r in kept) - {None} for at, _ in self._needs)
        return kept, sorted(rests), needed


def view_of(template: Template) -> ViewKey:
    """The view a template's header asks for."""
    return ViewKey(template.query, template.lookups, template.where, template.needs)


class Rows:
    """Asks the queries of a set of views in batches and keeps their rows by notation.

    Args:
        ask: runs SPARQL text on the graph and yields rows of terms (``Store.query``).
        library: where queries are found by name.
        lang: language of labels and definitions (parameter ``lang`` of a query, where it has one).
        ask_notations: asked instead for the queries keyed by notation (a notation that is not in the graph).
    """

    def __init__(
        self,
        ask: Callable[[str], Iterable[Sequence[Any]]],
        library: QueryLibrary,
        lang: str,
        views: Iterable[View],
        ask_notations: Callable[[str], Iterable[Sequence[Any]]] | None = None,
    ) -> None:
        self.ask = ask
        self.ask_notations = ask_notations or ask
        self.library = library
        self.lang = lang
        self.views = {view.key: view for view in views}
        self.rows: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
        self.facts: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
        self._text: dict[str, str] = {}

    def fetch(self, notations: Sequence[str] | None) -> None:
        """Read the rows of ``notations`` (None: of all) for every view; earlier rows are dropped, facts are kept."""
        wanted: dict[str, set[str]] = {}
        self.rows = {}
        for view in self.views.values():
            name = view.specs[0].name
            if name not in self.rows:
                self.rows[name] = self._grouped(view.specs[0], NOTATION, notations)
        columns: dict[tuple[str, int], set[Any]] = {}
        for view in self.views.values():
            for (at, lookup, *_), spec in zip(view.lookups, view.specs[1:], strict=True):
                column = (view.specs[0].name, at)
                if column not in columns:
                    columns[column] = {row[at] for rows in self.rows[column[0]].values() for row in rows} - {None}
                wanted.setdefault(spec.name, set()).update(columns[column])
                self.facts.setdefault(lookup, {})
        for name, keys in wanted.items():
            known = self.facts.setdefault(name, {})
            missing = sorted(keys - known.keys())
            if missing:
                found = self._grouped(self.library.get(name), KEY, missing)
                for key in missing:
                    known[key] = found.get(key, [])

    def of(self, view: View, notation: str) -> list[Any]:
        """Joined rows of ``view`` for ``notation``."""
        rows = self.rows[view.specs[0].name].get(notation)
        return view.join(rows, self.facts) if rows else []

    def rests(self, view: View, notation: str) -> dict[str, None]:
        """The resources that those rows rest on, in a stable order."""
        return view.rests(self.rows[view.specs[0].name][notation])

    def _grouped(self, spec: QuerySpec, key: str, values: Sequence[str] | None) -> dict[str, list[tuple[Any, ...]]]:
        params: dict[str, Any] = {key: EVERY if values is None else [f"<{v}>" for v in values]}
        if spec.param("lang"):
            params["lang"] = self.lang
        names = [c.name for c in spec.columns]
        kinds = {c.name: c.type for c in spec.columns}
        found: dict[str, list[tuple[Any, ...]]] = {}
        ask = self.ask_notations if key == NOTATION else self.ask
        answer = ask(prologue(bind(spec, params)))
        order = [v.value for v in answer.variables] if hasattr(answer, "variables") else names
        if sorted(order) != sorted(names):
            raise ViewError(
                f"query {spec.name} declares the columns {', '.join(names)} and returns {', '.join(order)}",
                file=spec.file,
            )
        pick = [
            (order.index(n), kinds[n] == "integer", kinds[n] == "decimal", kinds[n] == "boolean")
            for n in names
            if n != key
        ]
        key_at = order.index(key)
        kept: dict[Any, Any] = {}
        for solution in answer:
            row: list[Any] = []
            for i, whole, number, truth in pick:
                term = solution[i]
                if term is None:
                    row.append(None)
                elif whole:
                    row.append(int(term.value))
                elif number:
                    row.append(float(term.value))
                elif truth:
                    row.append(term.value in ("true", "1"))
                else:
                    value = term.value
                    row.append(kept.setdefault(value, value))
            term = solution[key_at].value
            found.setdefault(kept.setdefault(term, term), []).append(tuple(row))
        for subject, rows in found.items():
            if len(rows) > 1:
                found[subject] = _in_order(rows)
        return found


def _in_order(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows sorted by their columns from left to right (unbound first), each once: the same on every engine."""
    try:
        ordered = sorted(rows)
    except TypeError:
        ordered = sorted(rows, key=lambda row: tuple((v is not None, "" if v is None else v) for v in row))
    return list(dict.fromkeys(ordered))
