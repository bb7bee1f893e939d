"""What a query answers, and how it is printed."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from guqin_kg.errors import DataError, UsageError
from guqin_kg.query.terms import prefixes, shorten, to_python, type_of

if TYPE_CHECKING:
    from guqin_kg.query.spec import QuerySpec


@dataclass
class QueryResult:
    """An answer: rows of terms (SELECT), a truth value (ASK) or statements (CONSTRUCT, DESCRIBE).

    Attributes:
        columns: names of the columns, in the order of the query.
        terms: one tuple a row, of pyoxigraph terms or None where unbound.
        boolean: the answer of an ASK.
        triples: pyoxigraph triples of a CONSTRUCT or DESCRIBE.
    """

    columns: tuple[str, ...] = ()
    terms: list[tuple[Any, ...]] = field(default_factory=list)
    boolean: bool | None = None
    triples: list[Any] | None = None

    def __len__(self) -> int:
        return len(self.terms) if self.triples is None else len(self.triples)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __bool__(self) -> bool:
        return self.boolean if self.boolean is not None else len(self) > 0

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows as plain values by column name: IRIs and text as str, numbers as int or float, unbound as None."""
        return [dict(zip(self.columns, map(to_python, row), strict=True)) for row in self.terms]

    def check(self, spec: QuerySpec) -> QueryResult:
        """Itself, after checking every row against the declared columns.

        Raises:
            DataError: a column is missing or a value has another type than the header declares.
        """
        if spec.kind != "select":
            return self
        declared = {c.name: c for c in spec.columns}
        if set(declared) != set(self.columns):
            raise DataError(
                f"query {spec.name} declares the columns {sorted(declared)} and returns {sorted(self.columns)}",
                code="column-mismatch",
                file=spec.file,
            )
        order = [declared[name] for name in self.columns]
        for row in self.terms:
            for column, term in zip(order, row, strict=True):
                if term is None and not column.optional:
                    raise DataError(
                        f"query {spec.name}: column {column.name} is empty in a row",
                        code="column-empty",
                        file=spec.file,
                        hint=f"declare it as {column.type}? or bind it always",
                    )
                if term is not None and type_of(term) != column.type:
                    raise DataError(
                        f"query {spec.name}: column {column.name} is declared {column.type} and holds {term}",
                        code="column-type",
                        file=spec.file,
                    )
        return self

    def to_json(self) -> dict[str, Any]:
        """SPARQL 1.1 Query Results JSON (SELECT and ASK)."""
        if self.boolean is not None:
            return {"head": {}, "boolean": self.boolean}
        if self.triples is not None:
            raise UsageError("statements have no JSON result form", hint="use --format turtle")
        bindings = [
            {name: term_json(term) for name, term in zip(self.columns, row, strict=True) if term is not None}
            for row in self.terms
        ]
        return {"head": {"vars": list(self.columns)}, "results": {"bindings": bindings}}

    def to_turtle(self) -> str:
        """The statements as Turtle, in the graph's own stable order."""
        from guqin_kg.graph.serialise import format_triples

        if self.triples is None:
            raise UsageError(
                "only CONSTRUCT and DESCRIBE give statements", hint="use --format table, csv or json for this query"
            )
        return format_triples(self.triples, prefixes())

    def to_csv(self) -> str:
        """SPARQL 1.1 CSV results: plain values under a header, lines ended by CRLF."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        if self.boolean is not None:
            writer.writerows([["boolean"], ["true" if self.boolean else "false"]])
        elif self.triples is not None:
            writer.writerow(["subject", "predicate", "object"])
            writer.writerows([_plain(t.subject), _plain(t.predicate), _plain(t.object)] for t in self.triples)
        else:
            writer.writerow(self.columns)
            writer.writerows([_plain(term) for term in row] for row in self.terms)
        return out.getvalue()

    def to_table(self) -> str:
        """Columns aligned for reading (Chinese characters count two); IRIs shortened."""
        if self.boolean is not None:
            return "yes" if self.boolean else "no"
        if self.triples is not None:
            return self.to_turtle()
        rows = [[_short(term) for term in row] for row in self.terms]
        widths = [max([_width(c), *(_width(row[i]) for row in rows)]) for i, c in enumerate(self.columns)]
        lines = [_aligned(self.columns, widths), "  ".join("-" * w for w in widths)]
        lines += [_aligned(row, widths) for row in rows]
        return "\n".join(lines) + f"\n({len(rows)} row{'' if len(rows) == 1 else 's'})"


def _plain(term: Any) -> str:
    return "" if term is None else str(getattr(term, "value", term))


def _short(term: Any) -> str:
    if term is None:
        return ""
    if getattr(term, "datatype", None) is None:
        return shorten(_plain(term))
    return _plain(term).replace("\n", "⏎").replace("\t", " ")


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _aligned(row: Any, widths: list[int]) -> str:
    return "  ".join(cell + " " * (w - _width(cell)) for cell, w in zip(row, widths, strict=True)).rstrip()


def term_json(term: Any) -> dict[str, str]:
    """A term as SPARQL 1.1 Query Results JSON writes it."""
    datatype = getattr(term, "datatype", None)
    if datatype is None:
        kind = "bnode" if type(term).__name__ == "BlankNode" else "uri"
        return {"type": kind, "value": term.value}
    out = {"type": "literal", "value": term.value}
    if term.language:
        out["xml:lang"] = term.language
    elif datatype.value != "http://www.w3.org/2001/XMLSchema#string":
        out["datatype"] = datatype.value
    return out


def term_from_json(data: dict[str, str]) -> Any:
    """The reverse of ``term_json``."""
    from pyoxigraph import BlankNode, Literal, NamedNode

    if data["type"] == "uri":
        return NamedNode(data["value"])
    if data["type"] == "bnode":
        return BlankNode(data["value"])
    if data.get("xml:lang"):
        return Literal(data["value"], language=data["xml:lang"])
    datatype = data.get("datatype")
    return Literal(data["value"], datatype=NamedNode(datatype)) if datatype else Literal(data["value"])


def result_from_json(data: dict[str, Any]) -> QueryResult:
    """A result from SPARQL 1.1 Query Results JSON."""
    if "boolean" in data:
        return QueryResult(boolean=bool(data["boolean"]))
    names = tuple(data["head"]["vars"])
    rows = [
        tuple(term_from_json(b[name]) if name in b else None for name in names) for b in data["results"]["bindings"]
    ]
    return QueryResult(names, rows)


def dumps(data: Any) -> str:
    """JSON with Chinese left readable."""
    return json.dumps(data, ensure_ascii=False, indent=2)
