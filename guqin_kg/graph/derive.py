"""Statements worked out from the whole graph: every position that can be written, and what it means in each tradition.

The same two digits mean one place in a modern score and another in a Ming print, so a position has one interpretation
a tradition, with the exact fraction of the string (and the range, where sources leave it open).  All numbers come from
the graph.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from guqin_kg.inventory import GQ, GQR, BaseNotation, Inventory

if TYPE_CHECKING:
    from pyoxigraph import Triple

    from guqin_kg.model import Position

#: A change to an instance of one of these changes what is derived here.
INPUTS = tuple(GQ + n for n in ("HuiNumber", "FenNumber", "PositionSign", "Tradition", "OutsideConvention"))
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_DCT = "http://purl.org/dc/terms/"
_XSD = "http://www.w3.org/2001/XMLSchema#"


def slug(base: BaseNotation) -> str:
    """The id of a base notation without its category (``num-ban`` gives ``ban``)."""
    return base.id.split("-", 1)[-1]


def written_positions(inventory: Inventory) -> Iterator[tuple[str, Position, tuple[BaseNotation, ...]]]:
    """Every position that hui, fen and signs can write: local name of its IRI, value, base notations it is made of."""
    from guqin_kg.model import Position

    hui = sorted((b for b in inventory.by_role("hui") if b.number), key=lambda b: b.number or 0)
    fen = sorted((b for b in inventory.by_role("fen") if b.number), key=lambda b: b.number or 0)
    signs = [b for b in inventory.by_role("position-sign") if b.position_effect]
    for h in hui:
        yield f"position-{h.number}", Position(hui=h.number), (h,)
        for f in fen:
            yield f"position-{h.number}-{f.number}", Position(hui=h.number, fen=f.number), (h, f)
        for s in signs:
            if s.position_effect != "outside":
                value = Position.model_validate({"hui": h.number, "sign": s.name, "effect": s.position_effect})
                yield f"position-{h.number}-{slug(s)}", value, (h, s)
    highest = max((f.number or 0 for f in fen), default=0)
    for low, high in pairwise(hui):
        if high.number == highest + 1:
            yield f"position-{low.number}-{high.number}", Position(hui=low.number, fen=high.number), (low, high)
    for s in signs:
        if s.position_effect == "outside":
            yield f"position-{slug(s)}", Position(sign=s.name, effect="outside"), (s,)


def cents(ratio: Fraction) -> str:
    """1200 log2 of a ratio, as a decimal with three places."""
    return f"{1200 * math.log2(ratio):.3f}"


def positions(inventory: Inventory) -> list[Triple]:
    """The statements about every position; see the module's description."""
    import pyoxigraph as ox

    from guqin_kg.sound.position import fingerboard

    board = fingerboard(inventory)
    traditions = {
        inventory.view.value(iri, GQ + "code") or iri: (iri, inventory.view.by_lang(iri, _RDFS + "label"))
        for iri in inventory.view.instances(GQ + "Tradition")
    }
    out: list[Triple] = []

    def state(subject: str, predicate: str, value: ox.NamedNode | ox.Literal) -> None:
        out.append(ox.Triple(ox.NamedNode(subject), ox.NamedNode(predicate), value))

    def describe(subject: str, what: str, about: str, sources: Iterable[str]) -> None:
        """``what`` it is, in the words the graph has for ``about``, and where that comes from."""
        for lang, text in inventory.view.by_lang(about, _SKOS + "definition").items():
            state(subject, _SKOS + "definition", ox.Literal(f"{what}: {text}", language=lang))
        for source in sorted(set(sources)):
            state(subject, _DCT + "source", ox.NamedNode(source))

    for name, position, parts in written_positions(inventory):
        iri = GQR + name
        state(iri, _RDF + "type", ox.NamedNode(GQ + "Position"))
        word = "".join(p.name for p in parts)
        state(iri, GQ + "positionName", ox.Literal(word))
        state(iri, GQ + "fullName", ox.Literal("".join(p.full_name for p in parts)))
        state(iri, _RDFS + "label", ox.Literal(word, language="zh"))
        state(iri, _RDFS + "label", ox.Literal(_english(parts), language="en"))
        for part in parts:
            role = "hui" if part.number and part is parts[0] else "fen" if "fen" in part.roles else None
            term = role or ("fen" if part.number else "positionSign")
            state(iri, GQ + term, ox.NamedNode(part.iri))
        if all(p.pinyin for p in parts):
            state(iri, GQ + "pinyin", ox.Literal(" ".join(p.pinyin or "" for p in parts)))
        describe(iri, word, GQ + "Position", (s for p in parts for s in p.sources))
        harmonic = board.harmonic(position)
        for code in board.traditions:
            tradition, labels = traditions[code]
            node = f"{iri}/{code}"
            place = board.place(position, code)
            state(iri, GQ + "interpretation", ox.NamedNode(node))
            state(node, _RDF + "type", ox.NamedNode(GQ + "PositionInterpretation"))
            state(node, GQ + "tradition", ox.NamedNode(tradition))
            describe(node, word, tradition, inventory.view.values(tradition, _DCT + "source"))
            state(node, GQ + "fractionFromBridge", ox.Literal(str(place.fraction)))
            decimal = ox.NamedNode(_XSD + "decimal")
            state(node, GQ + "stoppedCents", ox.Literal(cents(1 / place.fraction), datatype=decimal))
            if harmonic:
                state(node, GQ + "harmonicCents", ox.Literal(cents(Fraction(harmonic)), datatype=decimal))
            if not place.certain:
                state(node, GQ + "fractionFrom", ox.Literal(str(place.low)))
                state(node, GQ + "fractionTo", ox.Literal(str(place.high)))
            state(node, _RDFS + "label", ox.Literal(f"{word}（{labels.get('zh', code)}）", language="zh"))
            state(node, _RDFS + "label", ox.Literal(f"{_english(parts)} ({labels.get('en', code)})", language="en"))
    return out


def _english(parts: tuple[BaseNotation, ...]) -> str:
    words = [(p.labels.get("en") or p.name) for p in parts]
    return " + ".join(w.partition("(")[2].rstrip(")") or w for w in words)
