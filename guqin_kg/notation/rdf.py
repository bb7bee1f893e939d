"""A structure as statements of the graph, and back.

The statements follow ``docs/reference/ontology.md``: what the notation is made of in order (``gq:hasPart``), what each
hand does, its sub-notes, its readings and its layout. Terms are made once and reused, so that a lexicon of tens of
thousands of notations takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING
from unicodedata import normalize

from guqin_kg.errors import DataError
from guqin_kg.inventory import GQ, GQR, BaseNotation, Inventory, local
from guqin_kg.model import Notation, Note, Position
from guqin_kg.notation.components import Part, parts, position_bases, position_name, string_base, word_base
from guqin_kg.notation.format import readings
from guqin_kg.notation.grammar import Grammar, default_grammar, grammar_of
from guqin_kg.notation.ids import ids_string
from guqin_kg.notation.iri import notation_iri

if TYPE_CHECKING:
    from pyoxigraph import Literal, NamedNode, Triple

_RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_DC_TYPE = "http://purl.org/dc/elements/1.1/type"
_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_DEFINITION = "http://www.w3.org/2004/02/skos/core#definition"
_NAMES = ("notationName", "fullName", "traditionalName")
#: Tone marks as combining characters: macron, acute, caron, grave.
_TONES = dict.fromkeys((0x304, 0x301, 0x30C, 0x300))
_RIGHT_ROLES = frozenset({"stroke", "figure", "run", "pinch", "skip", "link"})
_LEFT_ROLES = frozenset({"left-sound", "move", "vibrato"})


def position_iri(position: Position, grammar: Grammar | None = None) -> str:
    """The IRI of a written position: ``position-7-9``, ``position-8-ban``, ``position-wai``."""
    grammar = grammar or default_grammar()
    pieces = [str(position.hui)] if position.hui else []
    if position.fen:
        pieces.append(str(position.fen))
    if position.sign:
        base = grammar.base(position.sign, "position-sign")
        if base is None:
            raise DataError(f"the graph has no position sign {position.sign}", code="unknown-word")
        pieces.append(base.id.split("-", 1)[-1])
    return GQR + "position-" + "-".join(pieces)


class TripleMaker:
    """Makes the statements of notations; keeps the terms it has made."""

    def __init__(self, grammar: Grammar) -> None:
        import pyoxigraph as ox

        self.grammar = grammar
        self._node = ox.NamedNode
        self._literal = ox.Literal
        self._triple = ox.Triple
        self._nodes: dict[str, NamedNode] = {}
        self._numbers = {n: ox.Literal(n) for n in range(64)}
        self._places: dict[Position, tuple[NamedNode, Literal]] = {}
        self._glosses: dict[tuple[str, ...], tuple[str, str]] = {}
        self._words: dict[tuple[str, str], tuple[tuple[NamedNode, NamedNode | Literal], ...]] = {}
        labels = grammar.inventory.view.by_lang(GQ + "CompoundNotation", _LABEL)
        self._type_name = ox.Literal(labels.get("zh") or labels.get("en") or "CompoundNotation")
        self._roles = {
            (grammar.inventory.view.value(iri, GQ + "code") or local(iri)): self.node(iri)
            for iri in grammar.inventory.view.instances(GQ + "PartRole")
        }

    def node(self, iri: str) -> NamedNode:
        """The node of an IRI, made once."""
        found = self._nodes.get(iri)
        if found is None:
            found = self._nodes[iri] = self._node(iri)
        return found

    def triples(self, notation: Notation) -> Iterator[Triple]:
        """All statements about ``notation``."""
        grammar, node, literal, triple = self.grammar, self.node, self._literal, self._triple
        own = notation_iri(notation, grammar)
        subject = self._node(own)
        gq = self._gq
        drawn = parts(notation, grammar)
        kind = notation.form.capitalize() + "Notation"
        yield triple(subject, node(_RDF_TYPE), gq("CompoundNotation"))
        yield triple(subject, node(_RDF_TYPE), gq(kind))
        yield triple(subject, node(_DC_TYPE), self._type_name)
        yield triple(subject, gq("form"), gq(notation.form))
        names = readings(notation, grammar)
        for name, text in zip(_NAMES, names, strict=True):
            yield triple(subject, gq(name), literal(text))
        for term, said in self._described(names[0], names[1], drawn):
            yield triple(subject, node(term), said)
        yield triple(subject, gq("ids"), literal(ids_string(notation, grammar)))
        for predicate, value in self._note(notation):
            yield triple(subject, predicate, value)
        if notation.form == "complex":
            for number in sorted({n for note in notation.notes for n in note.strings}):
                yield triple(subject, gq("string"), self._numbers[number])
        for index, note in enumerate(notation.notes, 1):
            inner = self._node(f"{own}/n{index}")
            yield triple(subject, gq("hasSubNote"), inner)
            yield triple(inner, node(_RDF_TYPE), gq("SubNote"))
            yield triple(inner, gq("noteIndex"), self._numbers[index])
            for predicate, value in self._note(note):
                yield triple(inner, predicate, value)
        seen = set()
        for index, part in enumerate(drawn, 1):
            component = self._component(part)
            if component is None:
                continue
            if component not in seen:
                seen.add(component)
                yield triple(subject, gq("hasComponent"), component)
            inner = self._node(f"{own}/p{index}")
            yield triple(subject, gq("hasPart"), inner)
            yield triple(inner, node(_RDF_TYPE), gq("Part"))
            yield triple(inner, gq("partIndex"), self._numbers.get(index) or literal(index))
            yield triple(inner, gq("component"), component)
            role = self._roles.get(part.role)
            if role is not None:
                yield triple(inner, gq("partRole"), role)

    def _described(self, short: str, full: str, drawn: Iterable[Part]) -> Iterator[tuple[str, Literal]]:
        """Labels, definitions and pinyin, put together from those of the parts."""
        literal = self._literal
        glosses = [self._gloss(part.bases) for part in drawn if part.bases]
        sounds = " ".join(sound for sound, _ in glosses)
        meaning = ", ".join(gloss for _, gloss in glosses)
        plain = normalize("NFD", sounds).translate(_TONES)
        yield _LABEL, literal(short, language="zh")
        yield _LABEL, literal(f"{normalize('NFC', plain)} ({meaning})", language="en")
        yield _DEFINITION, literal(full, language="zh")
        yield _DEFINITION, literal(meaning[:1].upper() + meaning[1:] + ".", language="en")
        yield GQ + "pinyin", literal(sounds)

    def _gloss(self, bases: tuple[BaseNotation, ...]) -> tuple[str, str]:
        """Pinyin and English gloss of a part."""
        key = tuple(base.id for base in bases)
        found = self._glosses.get(key)
        if found is None:
            words = []
            for base in bases:
                label = base.labels.get("en") or base.name
                words.append(label.partition("(")[2].removesuffix(")") or label)
            found = self._glosses[key] = (" ".join(b.pinyin or b.name for b in bases), " ".join(words))
        return found

    def _gq(self, name: str) -> NamedNode:
        return self.node(GQ + name)

    def _component(self, part: Part) -> NamedNode | None:
        if part.position:
            return self._place(part.position)[0]
        return self.node(part.bases[0].iri) if part.bases else None

    def _place(self, position: Position) -> tuple[NamedNode, Literal]:
        found = self._places.get(position)
        if found is None:
            name = self._literal(position_name(position, self.grammar))
            found = self._places[position] = (self.node(position_iri(position, self.grammar)), name)
        return found

    def _note(self, note: Note) -> Iterator[tuple[NamedNode, NamedNode | Literal]]:
        gq = self._gq
        if note.sound:
            yield gq("sound"), gq(note.sound)
        if note.tone:
            yield from self._word(note.tone, "tone")
        if note.left_finger:
            yield from self._word(note.left_finger, "left_finger")
        if note.position:
            place, name = self._place(note.position)
            yield gq("marker"), place
            yield gq("markerName"), name
        said: set[tuple[NamedNode, NamedNode | Literal]] = set()
        for field in ("modifiers", "ornaments", "techniques"):
            for word in getattr(note, field):
                for pair in self._word(word, field):
                    if pair not in said:
                        said.add(pair)
                        yield pair
        if note.count:
            yield from self._word(note.count, "count")
        for number in sorted(set(note.strings)):
            yield gq("string"), self._numbers[number]
            yield gq("stringNotation"), self.node(string_base(number, self.grammar).iri)

    def _word(self, word: str, field: str) -> tuple[tuple[NamedNode, NamedNode | Literal], ...]:
        found = self._words.get((word, field))
        if found is None:
            base = word_base(word, field, self.grammar)
            found = self._words[word, field] = tuple(self._said(base, field)) if base is not None else ()
        return found

    def _said(self, base: BaseNotation, field: str) -> Iterator[tuple[NamedNode, NamedNode | Literal]]:
        gq, literal = self._gq, self._literal
        node = self.node(base.iri)
        if field == "tone":
            yield gq("tone"), node
        elif field == "count":
            yield gq("stepCount"), node
        elif field == "left_finger":
            yield gq("leftFinger"), node
            yield gq("leftFingerName"), literal(base.name)
        elif field == "modifiers":
            yield gq("modifier"), node
            yield gq("modifierName"), literal(base.name)
        elif field == "ornaments":
            yield gq("fingerRefinedNotation"), node
            yield gq("fingerRefinedNotationName"), literal(base.name)
        elif base.roles & _RIGHT_ROLES:
            yield gq("rightHandBasicNotation"), node
            yield gq("rightHandBasicNotationName"), literal(base.name)
            view = self.grammar.inventory.view
            for finger in base.extra.get("finger", ()):
                yield gq("rightFinger"), self.node(finger)
                name = view.value(finger, GQ + "fingerName")
                if name:
                    yield gq("rightFingerName"), literal(name)
        elif base.roles & _LEFT_ROLES:
            yield gq("leftHandBasicNotation"), node
            yield gq("leftHandBasicNotationName"), literal(base.name)
        elif "attack" in base.roles:
            yield gq("fingerRefinedNotation"), node
            yield gq("fingerRefinedNotationName"), literal(base.name)
        else:
            yield gq("mark"), node


def _grammar(source: Grammar | Inventory | None) -> Grammar:
    if source is None:
        return default_grammar()
    return grammar_of(source) if isinstance(source, Inventory) else source


def _maker(grammar: Grammar) -> TripleMaker:
    found = grammar.__dict__.get("_triple_maker")
    if found is None:
        found = grammar.__dict__["_triple_maker"] = TripleMaker(grammar)
    maker: TripleMaker = found
    return maker


def to_triples(notation: Notation, source: Grammar | Inventory | None = None) -> list[Triple]:
    """The statements about ``notation``, as pyoxigraph triples (no blank nodes, everything in our namespaces).

    Args:
        notation: the structure.
        source: its grammar, or the inventory of its base notations (default: the released ontology's).
    """
    return list(_maker(_grammar(source)).triples(notation))


def write_ntriples(
    notations: Iterable[Notation], write: Callable[[str], object], grammar: Grammar | None = None
) -> int:
    """Write the statements about ``notations`` as N-Triples; returns how many statements there were."""
    maker = _maker(grammar or default_grammar())
    count = 0
    for notation in notations:
        lines = [f"{triple} .\n" for triple in maker.triples(notation)]
        count += len(lines)
        write("".join(lines))
    return count


def from_triples(triples: Iterable[Triple], iri: str, grammar: Grammar | None = None) -> Notation:
    """The structure that statements about ``iri`` state, read from its ordered parts.

    Args:
        triples: statements about the notation and its parts; others are ignored.
        iri: the compound notation.
        grammar: default: that of the released ontology.

    Raises:
        DataError: ``no-parts`` if nothing is said about it, ``parts-differ`` if the parts make another notation.
    """
    from guqin_kg.notation.parse import parse

    grammar = grammar or default_grammar()
    wanted = {GQ + name for name in ("hasPart", "partIndex", "component", "notationName")}
    said: dict[str, dict[str, list[str]]] = {}
    for triple in triples:
        if triple.predicate.value in wanted:
            subject = getattr(triple.subject, "value", "")
            said.setdefault(subject, {}).setdefault(triple.predicate.value, []).append(
                getattr(triple.object, "value", "")
            )
    about = said.get(iri, {})
    rows = []
    for part in about.get(GQ + "hasPart", ()):
        row = said.get(part, {})
        rows.append((int(row.get(GQ + "partIndex", ["0"])[0]), row.get(GQ + "component", [""])[0]))
    if not rows:
        raise DataError(f"nothing says what {iri} is made of", code="no-parts", hint="give its gq:hasPart")
    names = _names(grammar)
    reading = "".join(names.get(component, "") for _, component in sorted(rows))
    candidates = [reading, *about.get(GQ + "notationName", ())]
    for text in candidates:
        try:
            notation = parse(text, grammar)
        except DataError:
            continue
        if notation_iri(notation, grammar) == iri:
            return notation
    raise DataError(
        f"the parts of {iri} read {reading}, which is another notation",
        code="parts-differ",
        hint="correct gq:hasPart, or give the notation the IRI of its structure",
    )


def _names(grammar: Grammar) -> dict[str, str]:
    """IRI of a base notation or position to the word it is read as."""
    found: dict[str, str] | None = grammar.__dict__.get("_component_names")
    if found is None:
        found = {base.iri: base.name for base in grammar.inventory.bases}
        for position in dict.fromkeys(grammar.positions.values()):
            if position_bases(position, grammar):
                found[position_iri(position, grammar)] = position_name(position, grammar)
        grammar.__dict__["_component_names"] = found
    return found
