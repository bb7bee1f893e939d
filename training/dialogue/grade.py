"""Answers against the graph: each is parsed back, and every fact it states is compared with the notation's own.

Nothing is judged by wording: a reading is parsed, names of strings and kinds of sound are looked up in the graph.
Facts:

``whole`` structure of the reading given; ``finger``, ``hui``, ``string``, ``technique``, ``sound`` of that structure
(only those that the notation states, so that nothing is right by being absent);
``asked-string``, ``asked-hui``, ``asked-sound``, ``asked-parts`` the questions about one fact alone;
``jianzi`` a jianzi is taken for one, and a sign of the notation named in it; ``other-refused`` a picture that is none
is not;
``false-premise`` a wrong supposition is refused and what is said instead is true.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from guqin_kg.errors import GuqinKGError
from guqin_kg.inventory import GQ
from guqin_kg.model import Notation
from guqin_kg.notation.components import component_names, parts
from guqin_kg.notation.grammar import Grammar
from guqin_kg.notation.iri import notation_iri
from guqin_kg.notation.parse import parse
from training.dialogue.records import Conversation, Turn

_QUOTED = re.compile('[“"「]([^”"」]+)[”"」]')
"""What stands in quotation marks: those of the Chinese and of the English templates."""
_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
_READING = "dialogue/reading"
_FACTS = {
    "dialogue/string": "asked-string",
    "dialogue/position": "asked-hui",
    "dialogue/sounds": "asked-sound",
    "dialogue/made-of": "asked-parts",
    "dialogue/not-hanzi": "jianzi",
}
_FALSE = "dialogue/false-"
ROLES = {
    "finger": ("left_finger",),
    "hui": ("hui",),
    "string": ("string",),
    "technique": ("right_hand", "left_hand", "both_hands"),
}
NATIVE = "zh"
"""The language in which the graph names signs in full."""
OPENING = 2
"""Characters by which a refusal is known: those that the graph's own refusals begin with."""


def other_words(lang: str) -> dict[str, list[str]]:
    """Questions, answers and refusals about pictures that are no jianzi."""
    found = yaml.safe_load((Path(__file__).parent / "other.yaml").read_text("utf-8"))[lang]
    return {key: list(map(str, value)) for key, value in found.items()}


@dataclass(frozen=True)
class Question:
    """One thing asked about one picture: the turn, and the facts its answer is judged by."""

    conversation: Conversation | None
    turn: Turn
    facts: tuple[str, ...]


@dataclass
class Tally:
    """Right and asked, by fact, and some of what went wrong."""

    right: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    wrong: list[dict[str, str]] = field(default_factory=list)

    def add(self, marks: Mapping[str, bool]) -> None:
        """Count the marks of one answer."""
        for fact, good in marks.items():
            self.asked[fact] += 1
            self.right[fact] += good

    def to_json(self) -> dict[str, Any]:
        """``{fact: {"right", "asked", "share"}}``; ``facts`` is the share over the five facts of a reading."""
        rows = {
            fact: {"right": self.right[fact], "asked": n, "share": round(self.right[fact] / n, 4)}
            for fact, n in sorted(self.asked.items())
        }
        read = [fact for fact in (*ROLES, "sound") if fact in self.asked]
        asked = sum(self.asked[fact] for fact in read)
        if asked:
            right = sum(self.right[fact] for fact in read)
            rows["facts"] = {"right": right, "asked": asked, "share": round(right / asked, 4)}
        return rows


class Grader:
    """Judges answers by the graph.

    Args:
        grammar: the graph's rules.
        lang: language of the answers.
        references: conversations whose own refusals show how a refusal begins.
    """

    def __init__(self, grammar: Grammar, lang: str, references: Iterable[Conversation] = ()) -> None:
        self.grammar = grammar
        self.lang = lang
        self.denies = other_words(lang)["denies"]
        self.openings = {t.answer[:OPENING] for c in references for t in c.turns if t.template.startswith(_FALSE)}

    @cached_property
    def _strings(self) -> re.Pattern[str]:
        strings = self.grammar.inventory.by_role("string")
        if self.lang == NATIVE:
            names = {base.full_name for base in strings if base.full_name}
        else:  # the opening words of the definition, which the templates use
            names = {re.split(r"[(.;]", base.definitions.get(self.lang, ""))[0].strip() for base in strings} - {""}
        return re.compile("|".join(sorted(map(re.escape, names), key=len, reverse=True)), re.IGNORECASE)

    @cached_property
    def _signs(self) -> frozenset[str]:
        return frozenset(base.name for base in self.grammar.inventory.bases)

    @cached_property
    def _sounds(self) -> dict[str, str]:
        """Label of a kind of sound to its code."""
        view = self.grammar.inventory.view
        labels = {code: view.by_lang(GQ + code, _LABEL).get(self.lang) for code in ("open", "stopped", "harmonic")}
        return {label.lower(): code for code, label in labels.items() if label}

    def questions(self, conversation: Conversation) -> list[Question]:
        """What to ask about a held-out notation: those turns of its conversation whose answers state a fact."""
        out = []
        for turn in conversation.turns:
            if turn.template == _READING:
                out.append(Question(conversation, turn, ("whole", *ROLES, "sound")))
            elif turn.template in _FACTS:
                out.append(Question(conversation, turn, (_FACTS[turn.template],)))
            elif turn.template.startswith(_FALSE):
                out.append(Question(conversation, turn, ("false-premise",)))
        return out

    def other_questions(self, count: int) -> list[Question]:
        """Questions about pictures that are no jianzi."""
        asked = other_words(self.lang)["questions"]
        return [Question(None, Turn(asked[at % len(asked)], "", ""), ("other-refused",)) for at in range(count)]

    def read(self, answer: str) -> Notation | None:
        """The first reading quoted in ``answer`` that the grammar allows."""
        for text in (*_QUOTED.findall(answer), answer.strip(" 。.")):
            try:
                return parse(text, self.grammar)
            except GuqinKGError:
                continue
        return None

    def grade(self, question: Question, answer: str) -> dict[str, bool]:
        """Fact to whether ``answer`` has it right."""
        denied = any(words in answer for words in self.denies)
        if question.conversation is None:
            return {"other-refused": denied}
        truth = parse(question.conversation.reading, self.grammar)
        if question.facts[0] == "whole":
            return self._structure(truth, None if denied else self.read(answer))
        fact = question.facts[0]
        quoted = _QUOTED.findall(answer)
        if fact == "jianzi":
            return {fact: not denied and any(self._is_notation(text) for text in quoted)}
        if fact == "false-premise":
            refused = answer[:OPENING] in self.openings
            return {fact: refused and self._said(answer) == self._said(question.turn.answer)}
        if fact == "asked-parts":
            return {fact: quoted == component_names(truth, self.grammar)}
        if fact == "asked-hui":
            return {fact: quoted == self._names(truth, ("hui",))}
        if fact == "asked-string":
            return {fact: self._strings_in(answer) == self._strings_in(question.turn.answer)}
        return {fact: self._sound(answer) == truth.sound}

    def _structure(self, truth: Notation, found: Notation | None) -> dict[str, bool]:
        marks = {"whole": found is not None and notation_iri(found, self.grammar) == notation_iri(truth, self.grammar)}
        for fact, roles in ROLES.items():
            if wanted := self._names(truth, roles):
                marks[fact] = found is not None and self._names(found, roles) == wanted
        if truth.sound is not None:
            marks["sound"] = found is not None and found.sound == truth.sound
        return marks

    def _names(self, notation: Notation, roles: Sequence[str]) -> list[str]:
        return [part.name for part in parts(notation, self.grammar) if part.role in roles]

    def _sound(self, answer: str) -> str | None:
        bare = _QUOTED.sub("", answer).lower()
        places = sorted((bare.find(label), code) for label, code in self._sounds.items() if label in bare)
        return places[0][1] if places else None

    def _said(self, answer: str) -> tuple[frozenset[str], frozenset[str], str | None]:
        """Components quoted, strings named, sound named: what an answer states, whatever its wording."""
        quoted = frozenset(text for text in _QUOTED.findall(answer) if text in self._signs)
        return quoted, self._strings_in(answer), self._sound(answer)

    def _strings_in(self, answer: str) -> frozenset[str]:
        return frozenset(name.lower() for name in self._strings.findall(answer))

    def _is_notation(self, text: str) -> bool:
        return text in self._signs or self.read(f"“{text}”") is not None
