"""Between notations and the sequences of base notations the network reads and writes.

A position is two words here (hui, then fen or sign), everything else is as drawn: techniques written as their parts
become the parts. The rules of the graph decide which base notation a word is: the same sign is one thing in the place
of a hui and another before a stroke.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from guqin_kg.errors import ReadingError
from guqin_kg.model import Notation
from guqin_kg.notation.components import Part, parts
from guqin_kg.notation.format import short_reading
from guqin_kg.notation.grammar import Grammar
from guqin_kg.notation.parse import parse
from guqin_kg.notation.pattern import ANY, Term
from guqin_kg.recognise.automaton import Automaton
from guqin_kg.recognise.grammar import compile_rules, drawn_parts
from guqin_kg.recognise.vocabulary import Vocabulary

_UNIT = "unit"


@dataclass(frozen=True)
class Read:
    """A decoded sequence that is a notation: its reading (canonical spelling) and structure."""

    reading: str
    notation: Notation


class Words:
    """Reading to base ids and back, for one grammar."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.inventory = grammar.inventory
        self._decoded = lru_cache(maxsize=20_000)(self._decode)
        self._spelled = lru_cache(maxsize=20_000)(self._encode)

    def bases(self) -> list[str]:
        """Ids of all base notations that can be drawn for some reading."""
        found: set[str] = set()
        for base in self.grammar.alphabet.bases:
            if _UNIT not in base.roles:
                found.update(drawn_parts(base, self.inventory))
        return sorted(found)

    def automaton(self, vocabulary: Vocabulary) -> Automaton:
        """Every well-formed notation, in the words of ``vocabulary`` (words the graph has dropped are left out)."""

        def tokens(term: Term) -> list[tuple[int, ...]]:
            if term.role in (ANY, _UNIT):
                return []
            found = set()
            for base in self.grammar.alphabet.matching(term):
                parts = drawn_parts(base, self.inventory)
                if parts and all(part in vocabulary.index for part in parts):
                    found.add(tuple(vocabulary.index[part] for part in parts))
            return sorted(found)

        return compile_rules((rule.tree for rule in self.grammar.rules), tokens, len(vocabulary))

    def encode(self, reading: str) -> tuple[str, ...]:
        """Base ids of a reading, in drawn order.

        Raises:
            ReadingError: it cannot be parsed, or names something that is not a base notation (a reference mark).
        """
        return self._spelled(reading)

    def _encode(self, reading: str) -> tuple[str, ...]:
        notation = parse(reading, self.grammar)
        bases = tuple(base.id for part in self.parts(notation) for base in part.bases or (None,) if base)
        if not bases or any(not part.bases for part in self.parts(notation)):
            raise ReadingError(
                f"{reading!r} holds a word that is no base notation", code="no-components", reading=reading, at=0
            )
        return bases

    def parts(self, notation: Notation) -> list[Part]:
        """The drawn components, in reading order; their ``bases`` in turn are the words of the network."""
        return parts(notation, self.grammar)

    def decode(self, bases: Sequence[str]) -> Read | None:
        """The notation that these base ids write, or None when they are not one (or write it another way round)."""
        return self._decoded(tuple(bases))

    def _decode(self, bases: tuple[str, ...]) -> Read | None:
        text = "".join(self.inventory.by_id[base].name for base in bases)
        try:
            notation = parse(text, self.grammar)
            reading = short_reading(notation, self.grammar)
            return Read(reading, notation) if self.encode(reading) == bases else None
        except ReadingError:
            return None
