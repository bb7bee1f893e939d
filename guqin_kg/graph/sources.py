"""Read RDF files as statements: offline, bounded, UTF-8, no blank nodes left, every complaint with file and line."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg import resources
from guqin_kg.errors import DataError, GraphSyntaxError, LimitError, UnsafeInputError, decoded
from guqin_kg.inventory import GQ, GQR

if TYPE_CHECKING:
    from pyoxigraph import Triple

DEFAULT_MAX_BYTES = 100 * 2**20
OWL_IMPORTS = "http://www.w3.org/2002/07/owl#imports"
ONTOLOGY_IRI = "https://w3id.org/guqin/ontology"
CONTEXT_IRI = "https://w3id.org/guqin/context.jsonld"
SUFFIXES = (".ttl", ".nt", ".jsonld")


def read_bytes(path: Path, max_bytes: int = DEFAULT_MAX_BYTES) -> bytes:
    """The file's bytes, after checking size and encoding.

    Raises:
        LimitError: larger than ``max_bytes`` (nothing is read then).
        GraphSyntaxError: not UTF-8; names the line.
        DataError: not a readable file.
    """
    try:
        if not path.is_file():
            raise DataError("no such file", code="no-file", file=path, hint="check the path")
        size = path.stat().st_size
        if size > max_bytes:
            raise LimitError(
                f"the file has {size / 2**20:.0f} MB; the limit is {max_bytes / 2**20:.0f} MB",
                code="file-too-large",
                file=path,
                hint="split it, or raise max_file_mb under [limits] in guqin.toml",
            )
        data = path.read_bytes()
    except PermissionError:
        raise DataError("may not be read", code="unreadable-file", file=path, hint="check its permissions") from None
    decoded(
        data,
        GraphSyntaxError,
        file=path,
        hint="save the file as UTF-8; GBK and Big5 files can be converted with `iconv -t utf-8`",
    )
    return data


def read_triples(
    path: Path, *, max_bytes: int = DEFAULT_MAX_BYTES, guarded: bool = False, anonymous: bool = True
) -> list[Triple]:
    """The statements of one Turtle, N-Triples or JSON-LD file; blank nodes become IRIs that depend on content only.

    Args:
        path: the file; its suffix says the syntax.
        max_bytes: larger files are refused unread.
        guarded: the file is a user's: it may not import documents nor declare terms of the ontology.
        anonymous: False leaves out statements with blank nodes (class expressions of the ontology, which reasoners read
            from the files).

    Raises:
        GraphSyntaxError: broken; names file and line.
        LimitError, UnsafeInputError, DataError: see ``read_bytes`` and ``guard``.
    """
    import pyoxigraph as ox

    if path.suffix not in SUFFIXES:
        raise DataError(
            f"cannot read {path.suffix or 'files without suffix'}",
            code="unknown-format",
            file=path,
            hint="give Turtle (.ttl), N-Triples (.nt) or JSON-LD (.jsonld)",
        )
    data = read_bytes(path, max_bytes)
    if path.suffix == ".jsonld":
        data = _with_local_context(data, path)
        form = ox.RdfFormat.JSON_LD
    else:
        form = ox.RdfFormat.TURTLE if path.suffix == ".ttl" else ox.RdfFormat.N_TRIPLES
    try:
        quads = list(ox.parse(input=data, format=form, base_iri=GQR if path.suffix != ".nt" else None))
    except (SyntaxError, ValueError) as error:
        found = re.search(r"line (\d+)", str(error))
        raise GraphSyntaxError(
            f"not well-formed {'JSON-LD' if path.suffix == '.jsonld' else 'Turtle'}: {_short(error)}",
            file=path,
            line=getattr(error, "lineno", None) or (int(found[1]) if found else None),
            hint="mend the line named; nothing was changed",
        ) from None
    if any(not isinstance(q.graph_name, ox.DefaultGraph) for q in quads):
        raise DataError("named graphs are not used here", code="named-graph", file=path, hint="give plain statements")
    triples = [q.triple for q in quads]
    if not anonymous:
        triples = [
            t for t in triples if not isinstance(t.subject, ox.BlankNode) and not isinstance(t.object, ox.BlankNode)
        ]
    triples = skolemise(triples, path)
    if guarded:
        guard(triples, path, data)
    return triples


def _short(error: Exception) -> str:
    text = str(error.args[0]) if error.args else str(error)
    return text if len(text) < 300 else text[:300] + "…"


def guard(triples: Iterable[Triple], path: Path, data: bytes | None = None) -> None:
    """Refuse what a user's file may not hold.

    Raises:
        UnsafeInputError: it imports a remote document, or declares terms in the ontology's own namespace.
    """
    for triple in triples:
        if triple.predicate.value == OWL_IMPORTS and _value(triple.object) != ONTOLOGY_IRI:
            raise UnsafeInputError(
                f"owl:imports <{_value(triple.object)}> is refused: other documents are never fetched",
                code="remote-import",
                file=path,
                line=find_line(data, _value(triple.object)),
                hint="put the statements themselves into the workspace with `guqin import ttl FILE`",
            )
        subject = getattr(triple.subject, "value", "")
        if subject.startswith(GQ) or subject == ONTOLOGY_IRI:
            raise UnsafeInputError(
                f"declares gq:{subject[len(GQ) :]}: terms in gq: belong to the ontology",
                code="declares-term",
                file=path,
                line=find_line(data, "gq:" + subject[len(GQ) :], subject),
                hint="use a namespace of your own for new terms; new notations are resources (gqr:…), not terms",
            )


def _value(term: Any) -> str:
    return str(getattr(term, "value", ""))


def find_line(data: bytes | None, *needles: str) -> int | None:
    """1-based line where one of ``needles`` first stands in ``data``, or None."""
    if data is None:
        return None
    places = [at for n in needles if n and (at := data.find(n.encode())) >= 0]
    return data.count(b"\n", 0, min(places)) + 1 if places else None


def skolemise(triples: list[Triple], path: Path) -> list[Triple]:
    """``triples`` with every blank node replaced by an IRI that is a hash of what is said about it.

    Raises:
        DataError: blank nodes form a cycle.
    """
    import pyoxigraph as ox

    if not any(isinstance(t.subject, ox.BlankNode) or isinstance(t.object, ox.BlankNode) for t in triples):
        return triples
    about: dict[Any, list[Triple]] = {}
    for t in triples:
        if isinstance(t.subject, ox.BlankNode):
            about.setdefault(t.subject, []).append(t)
    names: dict[Any, Any] = {}

    def name(node: Any, above: tuple[Any, ...]) -> Any:
        if not isinstance(node, ox.BlankNode):
            return node
        if node in above:
            raise DataError(
                "blank nodes refer to each other in a circle", code="blank-cycle", file=path, hint="give them IRIs"
            )
        if node not in names:
            said = sorted(f"{t.predicate} {name(t.object, (*above, node))}" for t in about.get(node, ()))
            if not said:
                said = sorted(f"{t.subject} {t.predicate}" for t in triples if t.object == node)
            names[node] = ox.NamedNode(
                f"{GQR}anon-{hashlib.blake2b(chr(10).join(said).encode(), digest_size=8).hexdigest()}"
            )
        return names[node]

    return [ox.Triple(name(t.subject, ()), t.predicate, name(t.object, ())) for t in triples]


def _with_local_context(data: bytes, path: Path) -> bytes:
    """JSON-LD with our own context put in; any other context by address is refused."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise GraphSyntaxError(
            f"not JSON: {error}", file=path, line=getattr(error, "lineno", None), hint="mend the line named"
        ) from None

    def walk(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {k: _context(v, path) if k == "@context" else walk(v) for k, v in node.items()}
        return [walk(v) for v in node] if isinstance(node, list) else node

    return json.dumps(walk(document), ensure_ascii=False).encode()


def _context(value: Any, path: Path) -> Any:
    if isinstance(value, list):
        return [_context(v, path) for v in value]
    if isinstance(value, Mapping):
        if "@import" in value:
            return _context(value["@import"], path)
        return value
    if value == CONTEXT_IRI:
        own = json.loads((resources.folder("ontology") / "context.jsonld").read_text(encoding="utf-8"))
        return own.get("@context", own)
    if isinstance(value, str):
        raise UnsafeInputError(
            f"the JSON-LD context {value!r} is refused: other documents are never fetched",
            code="remote-context",
            file=path,
            hint=f"use {CONTEXT_IRI} (it is built in) or write the context into the file",
        )
    return value
