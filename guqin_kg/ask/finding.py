"""What a question names: readings, base notations and terms, by the words of the graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from guqin_kg.errors import ReadingError
from guqin_kg.inventory import GQ, BaseNotation

if TYPE_CHECKING:
    from guqin_kg.model import Notation
    from guqin_kg.query.session import GraphSession

_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_ALT = "http://www.w3.org/2004/02/skos/core#altLabel"
_QUOTED = re.compile("[“\"「『《'‘]([^”\"」』》'’]{1,40})[”\"」』》'’]")
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


Take: TypeAlias = Callable[[int, int, list[Found]], None]


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
    def _ordinary(self) -> frozenset[str]:
        """Signs that declared questions use as words of the language: in a question they name nothing."""
        from guqin_kg.dialogue.regenerate import template_folders
        from guqin_kg.dialogue.templates import load_templates

        templates = load_templates(template_folders(self.session.workspace), self.lang)
        asked = [re.sub(r"{[{%].*?[%}]}", "", phrase.source) for t in templates for phrase in t.questions]
        return frozenset("".join(asked))

    def find(self, question: str) -> list[Found]:
        """What ``question`` names, in its order: readings first looked for, then longer names, then single words."""
        taken = [False] * len(question)
        out: list[tuple[int, Found]] = []

        def take(start: int, end: int, items: list[Found]) -> None:
            taken[start:end] = [True] * (end - start)
            out.extend((start, item) for item in items)

        quoted = [(m.start(1), m.end(1)) for m in _QUOTED.finditer(question)]
        for start, end in quoted:
            text = question[start:end]
            items = self._reading(text, quoted=True) or self._named(text)
            if items:
                take(start, end, items)
        for start, end in self._spans(question, taken):
            if not any(taken[start:end]) and (items := self._reading(question[start:end])):
                take(start, end, items)
        self._words(question, taken, take)
        if all(item.kind == "term" for _, item in out):
            self._single(question, taken, take)
        seen: dict[str, Found] = {}
        for _, item in sorted(out, key=lambda pair: pair[0]):
            seen.setdefault(item.iri, item)
        return list(seen.values())

    def _spans(self, question: str, taken: list[bool]) -> Iterator[tuple[int, int]]:
        """Pieces of the question made of signs of the notation alone, longest first at each place."""
        for start in range(len(question)):
            end = start
            while end < len(question) and end - start < _LONGEST and question[end] in self._signs and not taken[end]:
                end += 1
            for stop in range(end, start + 1, -1):
                yield start, stop

    def _reading(self, text: str, quoted: bool = False) -> list[Found]:
        from guqin_kg.notation.iri import notation_iri
        from guqin_kg.notation.parse import parse

        grammar = self.session.grammar
        if not quoted and text in self._bases:
            return []
        try:
            notation = parse(text, grammar)
        except ReadingError:
            return []
        if text in self._bases:
            return [Found.notation(text, notation_iri(notation, grammar)), *self._named(text)]
        return [Found.notation(text, notation_iri(notation, grammar))] if quoted or _telling(notation) else []

    def _named(self, text: str) -> list[Found]:
        bases = [Found(text, "base", b.iri, b.number) for b in self._bases.get(text, ())]
        return bases + [Found(text, "term", iri) for iri in self._terms.get(text.lower(), ())]

    def _words(self, question: str, taken: list[bool], take: Take) -> None:
        lower = question.lower()
        words = {w for w in (*self._bases, *self._terms) if len(w) > 1 and w.lower() in lower}
        for word in sorted(words, key=lambda w: (-len(w), w)):
            pattern = rf"(?<![a-z]){re.escape(word.lower())}(?![a-z])" if word.isascii() else re.escape(word.lower())
            for match in re.finditer(pattern, lower):
                if not any(taken[match.start() : match.end()]):
                    take(match.start(), match.end(), self._named(word))

    def _single(self, question: str, taken: list[bool], take: Take) -> None:
        """Single signs of techniques, when nothing longer was found."""
        for at, sign in enumerate(question):
            bases = [b for b in self._bases.get(sign, ()) if b.roles & _TECHNIQUES]
            if bases and not taken[at] and sign not in self._ordinary:
                take(at, at + 1, [Found(sign, "base", b.iri, b.number) for b in bases])


def _telling(notation: Notation) -> bool:
    """Whether a piece of a sentence that happens to be a reading is surely meant as one."""
    return bool(notation.notes) or bool(notation.techniques and (notation.strings or notation.left_finger))
