"""What a question names: readings, base notations and terms, by the words of the graph."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from guqin_kg.ask.beside import HAND, Beside, Piece
from guqin_kg.ask.speech import speech
from guqin_kg.errors import ReadingError
from guqin_kg.inventory import GQ, BaseNotation
from guqin_kg.notation.normalise import MAX_LENGTH

if TYPE_CHECKING:
    from guqin_kg.model import Notation
    from guqin_kg.query.session import GraphSession

_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_ALT = "http://www.w3.org/2004/02/skos/core#altLabel"
_QUOTED = re.compile("(?:[“\"「『《]|(?<![A-Za-z])['‘])([^”\"」』》'’]{1,40})[”\"」』》'’]")
_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_LONGEST = 18
_TECHNIQUES = frozenset(
    {"stroke", "figure", "run", "pinch", "attack", "vibrato", "move", "left-sound", "two-hand", "tone", "marker"}
)
"""Grammar roles whose words are taken for a base notation even as a single character of a sentence."""


@dataclass(frozen=True)
class Found:
    """Something of the graph that a question names.

    Attributes:
        text: as the question writes it.
        kind: ``notation``, ``base`` or ``term``.
        iri: of the resource.
        number: of a string or hui.
    """

    text: str
    kind: str
    iri: str
    number: int | None = None

    @classmethod
    def notation(cls, reading: str, iri: str) -> Found:
        """A compound notation."""
        return cls(reading, "notation", iri)


@dataclass
class _Search:
    """One question being searched.

    Attributes:
        text: the question.
        signs: for each character whether a notation may stand there.
        taken: for each character whether something was found there.
        out: what was found, with its place.
        pieces: start and end of what was found outside quotes, and whether it is a reading.
    """

    text: str
    signs: list[bool]
    taken: list[bool] = field(init=False)
    out: list[tuple[int, Found]] = field(default_factory=list)
    pieces: list[tuple[int, int, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taken = [False] * len(self.text)

    def take(self, start: int, end: int, items: list[Found], *, read: bool | None) -> None:
        """Keep what was found between ``start`` and ``end``; ``read``: a reading or a name, None in quotes."""
        self.taken[start:end] = [True] * (end - start)
        self.out += [(start, item) for item in items]
        if read is not None:
            self.pieces.append((start, end, read))

    def replace(self, start: int, end: int, items: list[Found]) -> None:
        """Keep a longer reading instead of what was found within it."""
        self.out = [pair for pair in self.out if not start <= pair[0] < end]
        self.take(start, end, items, read=None)

    def free(self) -> list[bool]:
        """For each character whether a notation may stand there and nothing was found."""
        return [sign and not taken for sign, taken in zip(self.signs, self.taken, strict=True)]

    def runs(self, first: int = 0) -> Iterator[tuple[int, int]]:
        """From each place on (``first`` and behind it), how far signs reach that nothing has taken."""
        for start, char in enumerate(self.text[first:], first):
            end = start
            while end < min(start + _LONGEST, len(self.text)) and self.signs[end] and not self.taken[end]:
                end += 1
            if end > start and char != " ":
                yield start, end


def language(text: str) -> str:
    """``zh`` when most letters outside quotes are Chinese, else ``en``."""
    bare = _QUOTED.sub("", text)
    chinese = sum("\u3400" <= c <= "\u9fff" for c in bare)
    latin = len(re.findall(r"[A-Za-z]{2,}", bare))
    return "en" if latin > chinese or (latin >= 2 and latin * 3 > chinese) else "zh"


class Finder:
    """Finds them.

    Args:
        session: the opened graph.
        lang: language of the question.
    """

    def __init__(self, session: GraphSession, lang: str) -> None:
        self.session = session
        self.lang = lang

    @cached_property
    def _bases(self) -> dict[str, list[BaseNotation]]:
        """Every spelling of a base notation (also its name in the Latin alphabet) to those it may mean."""
        out: dict[str, list[BaseNotation]] = {}
        for base in self.session.inventory.bases:
            latin = re.split(r" ?[(,;]", base.labels.get("en", ""), maxsplit=1)[0].lower()
            for word in {base.name, base.traditional, base.full_name, *base.aliases, latin if len(latin) > 2 else ""}:
                if word:
                    out.setdefault(word, []).append(base)
        return out

    @cached_property
    def _terms(self) -> dict[str, list[str]]:
        """Labels and other names of everything else that the ontology states, two characters or more."""
        view = self.session.inventory.view
        bases = self.session.inventory.by_iri
        out: dict[str, list[str]] = {}
        for subject, row in view.table.items():
            if subject in bases or subject.startswith(GQ + "Compound") or "/n-" in subject:
                continue
            for predicate in (_LABEL, _ALT, GQ + "tuningName", GQ + "alias"):
                for value, _ in row.get(predicate, ()):
                    word = value.lower()
                    if 2 <= len(word) <= 40 and subject not in out.setdefault(word, []):
                        out[word].append(subject)
        return out

    @cached_property
    def _signs(self) -> frozenset[str]:
        return frozenset(c for word in self._bases if not word.isascii() for c in word if not c.isspace())

    @cached_property
    def _roles(self) -> dict[str, frozenset[str]]:
        """Every spelling in signs to what it can be."""
        words = {word: bases for word, bases in self._bases.items() if not word.isascii()}
        return {word: frozenset().union(*(base.roles for base in bases)) for word, bases in words.items()}

    @cached_property
    def _ordinary(self) -> frozenset[str]:
        """Signs that declared questions use as words of the language: in a question they name nothing."""
        from guqin_kg.dialogue.regenerate import template_folders
        from guqin_kg.dialogue.templates import load_templates

        templates = load_templates(template_folders(self.session.workspace), self.lang)
        asked = [re.sub(r"{[{%].*?[%}]}", "", phrase.source) for t in templates for phrase in t.questions]
        return frozenset("".join(asked))

    def find(self, question: str, *, strict: bool = True) -> list[Found]:
        """What ``question`` names, in its order: readings first looked for, then longer names, then single words.

        Args:
            question: any text.
            strict: refuse a text that names a notation of which only a part can be read.

        Returns:
            Each thing once.

        Raises:
            ReadingError: what a piece and the signs beside it say together cannot be read, or what quotes hold cannot.
        """
        spoken = speech().places(question, self._signs)
        refused: ReadingError | None = None
        # what looks like a word of speech may yet belong to a notation, or be asked about itself
        for places in (spoken, [False] * len(question)) if any(spoken) else (spoken,):
            try:
                if found := self._find(_Search(question, self._places(question, places)), strict):
                    return found
            except ReadingError as error:
                refused = refused or error
        if refused:
            raise refused
        return []

    def _find(self, search: _Search, strict: bool) -> list[Found]:
        self._quoted(search, strict)
        verb = -1
        for start, end in self._spans(search):
            if start == verb or any(search.taken[start:end]) or not self._reading(search.text[start:end]):
                continue
            if self._is_verb(search, start, end):
                verb = start
                continue
            end = self._uncounted(search.text, start, end)
            search.take(start, end, self._reading(search.text[start:end]), read=True)
        self._words(search)
        if all(item.kind == "term" for _, item in search.out):
            self._single(search)
        if strict:
            self._mend(search)
        seen: dict[str, Found] = {}
        for _, item in sorted(search.out, key=lambda pair: pair[0]):
            seen.setdefault(item.iri, item)
        return list(seen.values())

    def _places(self, question: str, spoken: list[bool]) -> list[bool]:
        """Where a notation may stand: signs that are no speech, Arabic numbers and spaces among them."""
        signs = [char in self._signs and not said for char, said in zip(question, spoken, strict=True)]
        for found in _DIGITS.finditer(question):
            start, end = found.span()
            if not question[:start][-1:].isalpha() or signs[start - 1]:  # else the number of a figure or the like
                signs[start:end] = [True] * (end - start)
        for at in range(1, len(question) - 1):
            if question[at] == " " and signs[at - 1] and signs[at + 1]:
                signs[at] = not question[at - 1].isascii() and not question[at + 1].isascii()
        return signs

    def _quoted(self, search: _Search, strict: bool) -> None:
        """Quotes mark a name or one notation: no part of what they hold is taken for a notation."""
        for match in _QUOTED.finditer(search.text):
            start, end = match.span(1)
            text = search.text[start:end]
            if items := self._reading(text, quoted=True) or self._named(text):
                search.take(start, end, items, read=None)
            elif strict:
                signs = all(c in self._signs or c.isdecimal() or c.isspace() for c in text)
                meant = signs and not all(c in self._ordinary or c.isspace() for c in text)
                if (meant or self._longest_part(text)) and (error := self._failure(text)):
                    raise error
                search.signs[start:end] = [False] * (end - start)

    def _spans(self, search: _Search) -> Iterator[tuple[int, int]]:
        """Pieces of the question that may be a notation, longest first at each place, those without spaces before."""
        inside = _inside_numbers(search.text)
        for start, end in search.runs():
            gap = search.text.find(" ", start, end)
            word = end if gap < 0 else gap
            for stop in (*range(word, start + 1, -1), *range(end, word + 1, -1)):
                if not {start, stop} & inside:
                    yield start, stop

    def _is_verb(self, search: _Search, start: int, end: int) -> bool:
        """Whether a reading begins with what rather is a verb: behind it a whole note begins that ends no earlier."""
        if search.text[start] not in speech().before:
            return False
        if not self._roles.get(search.text[start + 1 : start + 2], frozenset()) & HAND:
            return False
        last = next((stop for _, stop in search.runs(start + 1)), end)
        notes = (search.text[start + 1 : stop] for stop in range(last, end - 1, -1))
        return any(self._reading(note) and self._strings(note) for note in notes)

    def _uncounted(self, text: str, start: int, end: int) -> int:
        """The end of a reading, without what rather is speech: a word, a number that counts what follows."""
        inner = text[start : end - 1]
        counts = text.startswith(speech().each, end) and text[end - 1] in self.session.grammar.alphabet.digits
        word = any(len(w) > 1 and text.startswith(w, end - 1) for w in speech().behind)
        return end - 1 if (counts or word) and self._reading(inner) and self._strings(inner) else end

    def _mend(self, search: _Search) -> None:
        """Take the signs beside each piece that belong to it.

        Raises:
            ReadingError: the whole cannot be read.
        """
        free, seen = search.free(), search.free()
        for start, end, read in search.pieces:
            if not read and search.text[start:end] in self._roles:
                seen[start:end] = search.signs[start:end]
        strict = Beside(search.text, free, self._roles, speech())
        beside = Beside(search.text, seen, self._roles, speech())
        pieces = [
            Piece(start, end, read, read and self._strings(search.text[start:end]))
            for start, end, read in search.pieces
        ]
        for piece in sorted(pieces + strict.plucked(), key=lambda p: p.start):
            # names of numbers, of fingers may stand in a row; beside a note they belong to it
            start, end = (strict if strict.number(piece) else beside).whole(piece)
            if (start, end) == (piece.start, piece.end):
                continue
            text = search.text[start:end]
            if error := self._failure(text):
                raise error
            if items := self._reading(text):
                search.replace(start, end, items)

    def _failure(self, text: str) -> ReadingError | None:
        """Why a text cannot be read, and the longest part of it that can."""
        from guqin_kg.notation.parse import parse

        try:
            parse(text, self.session.grammar)
        except ReadingError as error:
            part = self._longest_part(text)
            hint, details = error.hint, error.details
            if part:
                details = {**details, "part": part}
                also = f"the longest part that can be read is {part}"
                hint = also if not hint else f"{hint} {also}" if hint.endswith("?") else f"{hint}; {also}"
            return ReadingError(error.message, code=error.code, hint=hint, **details)
        return None

    def _longest_part(self, text: str) -> str | None:
        """The longest piece of a text that is surely a reading, the first of several."""
        text = text[:MAX_LENGTH]
        inside = _inside_numbers(text)
        for length in range(min(len(text), _LONGEST), 1, -1):
            for start in range(len(text) - length + 1):
                part = text[start : start + length]
                whole = part == part.strip() and not {start, start + length} & inside
                if whole and self._reading(part):
                    return part
        return None

    def _strings(self, text: str) -> bool:
        """Whether a reading says which strings sound."""
        from guqin_kg.notation.matching import read

        notation = read(text, self.session.grammar)
        return notation is not None and any(note.strings for note in (notation, *notation.notes))

    def _reading(self, text: str, quoted: bool = False) -> list[Found]:
        from guqin_kg.notation.iri import notation_iri
        from guqin_kg.notation.matching import read

        grammar = self.session.grammar
        if not quoted and text in self._bases:
            return []
        notation = read(text, grammar)  # not `parse`: most pieces are none, and why each is not takes long to say
        if notation is None:
            return []
        if text in self._bases:
            return [Found.notation(text, notation_iri(notation, grammar)), *self._named(text)]
        return [Found.notation(text, notation_iri(notation, grammar))] if quoted or _telling(notation) else []

    def _named(self, text: str) -> list[Found]:
        bases = [Found(text, "base", b.iri, b.number) for b in self._bases.get(text, ())]
        return bases + [Found(text, "term", iri) for iri in self._terms.get(text.lower(), ())]

    def _words(self, search: _Search) -> None:
        lower = search.text.lower()
        words = {w for w in (*self._bases, *self._terms) if len(w) > 1 and w.lower() in lower}
        for word in sorted(words, key=lambda w: (-len(w), w)):
            pattern = rf"(?<![a-z]){re.escape(word.lower())}(?![a-z])" if word.isascii() else re.escape(word.lower())
            for match in re.finditer(pattern, lower):
                if not any(search.taken[match.start() : match.end()]):
                    search.take(match.start(), match.end(), self._named(word), read=False)

    def _single(self, search: _Search) -> None:
        """Single signs of techniques, when nothing longer was found."""
        for at, free in enumerate(search.free()):
            sign = search.text[at]
            bases = [b for b in self._bases.get(sign, ()) if b.roles & _TECHNIQUES]
            if bases and free and sign not in self._ordinary:
                search.take(at, at + 1, [Found(sign, "base", b.iri, b.number) for b in bases], read=False)


def _inside_numbers(text: str) -> set[int]:
    """Places between two characters of one Arabic number."""
    return {at for found in _DIGITS.finditer(text) for at in range(found.start() + 1, found.end())}


def _telling(notation: Notation) -> bool:
    """Whether a piece of a sentence that happens to be a reading is surely meant as one."""
    return bool(notation.notes) or bool(notation.techniques and (notation.strings or notation.left_finger))
