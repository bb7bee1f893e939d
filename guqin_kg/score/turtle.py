"""A score as statements: a ``gq:MusicNotation`` with its events and the notations they point to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from guqin_kg.errors import DataError
from guqin_kg.inventory import GQ, GQR
from guqin_kg.notation.grammar import Grammar
from guqin_kg.score.context import Interpretation
from guqin_kg.score.scopes import HARMONIC

if TYPE_CHECKING:
    from pyoxigraph import Triple

_RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_DEFINITION = "http://www.w3.org/2004/02/skos/core#definition"
_SOURCE = "http://purl.org/dc/terms/source"
_PREFIXES = {
    "dct": "http://purl.org/dc/terms/",
    "gq": GQ,
    "gqr": GQR,
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
}


def piece_iri(found: Interpretation) -> str:
    """The IRI of the piece: its own where it comes from the graph, else made from the name of the file."""
    own = found.score.extra.get("iri")
    if own:
        return own
    slug = re.sub(r"[^A-Za-z0-9]+", "-", Path(found.score.source).stem).strip("-").lower()
    return f"{GQR}piece-{slug or 'score'}"


def score_triples(found: Interpretation, grammar: Grammar) -> list[Triple]:
    """Statements about the piece, its source, its events in order, and each notation once.

    Raises:
        DataError: no reading of the score can be read.
    """
    import pyoxigraph as ox

    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.rdf import to_triples

    def node(iri: str) -> ox.NamedNode:
        return ox.NamedNode(iri)

    piece = piece_iri(found)
    source = f"{GQR}source-{piece.removeprefix(GQR)}"
    title = found.score.comments[0].split(". ")[0] if found.score.comments else Path(found.score.source).stem
    tradition = next(
        (t for t in grammar.inventory.view.instances(GQ + "Tradition") if t.endswith(found.tradition)), None
    )
    out: list[ox.Triple] = []

    def state(subject: str, predicate: str, value: ox.NamedNode | ox.Literal) -> None:
        out.append(ox.Triple(node(subject), node(predicate), value))

    for subject, kind in ((piece, "MusicNotation"), (source, "Source")):
        state(subject, _RDF_TYPE, node(GQ + kind))
        for lang in ("zh", "en"):
            state(subject, _LABEL, ox.Literal(title, language=lang))
        if tradition is not None:
            state(subject, GQ + "tradition", node(tradition))
    state(source, _DEFINITION, ox.Literal(f"文献“{title}”。", language="zh"))
    state(source, _DEFINITION, ox.Literal(f"The score “{title}”.", language="en"))
    state(piece, _SOURCE, node(source))
    state(piece, GQ + "tuning", node(found.strings.tuning.iri))
    seen: set[str] = set()
    number = 0
    for event in found.events:
        if event.notation is None:
            continue
        number += 1
        iri, at = notation_iri(event.notation, grammar), f"{piece}/e{number}"
        state(piece, GQ + "hasEvent", node(at))
        state(at, _RDF_TYPE, node(GQ + "ScoreEvent"))
        state(at, GQ + "eventIndex", ox.Literal(number))
        state(at, GQ + "notation", node(iri))
        if event.row.mode and event.harmonic_passage:
            state(at, GQ + "inScope", node(GQ + HARMONIC))
        if event.row.section:
            state(at, GQ + "section", ox.Literal(event.row.section))
        if iri.startswith(GQR + "n-") and iri not in seen:
            seen.add(iri)
            out += to_triples(event.notation, grammar)
            state(iri, _SOURCE, node(source))
    if not number:
        raise DataError("no reading of the score can be read", code="empty")
    return out


def write_turtle(found: Interpretation, grammar: Grammar, path: Path) -> None:
    """Write the piece as Turtle, sorted, for ``guqin import ttl`` or a workspace's ``graph/`` folder."""
    import pyoxigraph as ox

    triples = sorted(set(score_triples(found, grammar)), key=str)
    data = ox.serialize(triples, format=ox.RdfFormat.TURTLE, prefixes=_PREFIXES)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data or b"")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
