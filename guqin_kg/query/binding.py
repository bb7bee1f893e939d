"""The one place where values meet SPARQL.

A parameter stands in its query as ``VALUES ?name { … }``.  ``bind`` writes RDF terms, serialised by the RDF library,
between those braces; nothing a caller gives is ever taken as SPARQL.  So the same bound query runs on every engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from guqin_kg.query import tokens as tk
from guqin_kg.query.spec import QuerySpec
from guqin_kg.query.terms import BindError, Resolver, prefixes, to_term

if TYPE_CHECKING:
    from guqin_kg.query.terms import Term


class _Everything:
    """Marks a parameter that is left open, so that one query answers for all its values at once."""

    def __repr__(self) -> str:
        return "EVERY"


#: Bind a parameter to this to leave it open: its VALUES block is dropped and the query answers for every value.
EVERY: Final = _Everything()


def bind(spec: QuerySpec, params: Mapping[str, Any], resolve: Resolver | None = None, *, partial: bool = False) -> str:
    """The text of ``spec`` with ``params`` bound as RDF terms.

    Args:
        spec: the query.
        params: parameter name to value; a list or tuple binds several values at once; ``EVERY`` leaves it open.
        resolve: turns a reading or a name into an IRI (for iri parameters).
        partial: parameters left out keep the example in the file (for trying a query), instead of being an error.

    Raises:
        BindError: unknown parameter, missing parameter, or a value that does not fit its type.
        ReadingError, NotFoundError: a value that cannot be parsed, or is the name of nothing.
    """
    known = {p.name: p for p in spec.params}
    for name in params:
        if name not in known:
            raise BindError(
                f"query {spec.name} has no parameter {name!r}",
                code="unknown-parameter",
                hint="it takes " + (", ".join(sorted(known)) or "none"),
            )
    blocks: dict[str, str | None] = {}
    for name, param in known.items():
        value = params.get(name, param.default)
        if value is EVERY or (value is None and param.optional):
            blocks[name] = None
        elif value is not None:
            many = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
            blocks[name] = " ".join(_written(to_term(v, param, resolve)) for v in many)
        elif not partial:
            raise BindError(
                f"query {spec.name} needs the parameter {name}",
                code="missing-parameter",
                hint=f"for example -p {name}={param.example}",
            )
    return _replace(spec.text, blocks)


def _written(term: Term) -> str:
    """A term as N-Triples, which is SPARQL too; the RDF library does the escaping."""
    return str(term)


def _replace(text: str, blocks: Mapping[str, str | None]) -> str:
    out, at = [], 0
    for name, start, opened, closed in tk.value_blocks(text, set(blocks)):
        inside = blocks[name]
        if inside is None:
            out.append(text[at:start])
        else:
            out.append(f"{text[at:opened]} {inside} {text[closed]}")
        at = closed + 1
    return "".join([*out, text[at:]])


def prologue(text: str) -> str:
    """``text`` with the project's prefixes declared (one line, so that line numbers stay); its own prefixes win."""
    return " ".join(f"PREFIX {name}: <{iri}>" for name, iri in prefixes().items()) + " " + text
