"""Which documented decisions a reading needed.

Codes and texts are ``gq:AmbiguityRule`` individuals of the graph (A1 to A15, and O for order); here is only when each
applies, told from the structure and the way it was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from guqin_kg.model import Notation, Note, Position
from guqin_kg.notation.grammar import Grammar, Rule
from guqin_kg.notation.normalise import Coded


def decisions(notation: Notation, rule: Rule, coded: Coded, grammar: Grammar) -> list[dict[str, Any]]:
    """The decisions behind a reading, in the order of their codes: rule, what was chosen, and why in zh and en.

    Args:
        notation: what it was understood as.
        rule: what read it.
        coded: the folded text, one sign per word.
        grammar: the graph's rules.
    """
    rules = grammar.ambiguities
    found: dict[str, str] = {}
    for code, chosen in _decisions(notation, rule, coded, grammar):
        if code in rules:
            found.setdefault(code, chosen)
    return [
        {
            "rule": code,
            "chosen": chosen,
            "zh": rules[code].definitions.get("zh", ""),
            "en": rules[code].definitions.get("en", ""),
            "iri": rules[code].iri,
        }
        for code, chosen in sorted(found.items(), key=lambda item: (len(item[0]), item[0]))
    ]


def _decisions(notation: Notation, rule: Rule, coded: Coded, grammar: Grammar) -> Iterator[tuple[str, str]]:
    unit = grammar.alphabet.points
    explicit = bool(unit) and unit in coded.text
    for note in (notation, *notation.notes):
        if note.position and not explicit:
            yield from _of_position(note, note.position, notation, grammar)
        yield from _of_words(note, notation, grammar)
    if len(notation.notes) > 1 and notation.form == "aside" and not explicit:
        bare = [n for n in notation.notes if n.position and not (n.techniques or n.left_finger)]
        if bare:
            yield "A15", " ".join(_say(n.position) for n in notation.notes if n.position)
    carried = not (notation.tone or notation.left_finger or notation.position or notation.sound)
    if notation.form == "simple" and carried and notation.techniques and notation.strings:
        yield "A12", "null"
    for sign in coded.text:
        word = grammar.alphabet.many.get(sign)
        if word and grammar.base(word[0], "finger", "count", "position-sign"):
            yield "A11", word
    if rule.normalises_order:
        yield "O", rule.labels.get("en", rule.name)


def _of_position(note: Note, position: Position, notation: Notation, grammar: Grammar) -> Iterator[tuple[str, str]]:
    place = _say(position)
    aside = notation.form == "aside"
    if position.hui and position.hui > 10:
        yield "A1", place
    if position.fen and position.hui == 10:
        yield "A2", place
    if position.fen and position.fen == (position.hui or 0) + 1:
        yield "A13", place
    if position.fen and not aside and note.techniques:
        yield "A3", place
    if note.strings and not note.techniques and not note.ornaments:
        code = "A6" if position.fen else "A5" if position.hui == 10 and note.strings[0] <= 3 else "A4"
        yield code, f"{place}, string {note.strings[0]}"
    if aside and position.fen:
        yield "A7", place


def _of_words(note: Note, notation: Notation, grammar: Grammar) -> Iterator[tuple[str, str]]:
    if note.count and note.position:
        yield "A8", f"{note.count} + {_say(note.position)}"
    if len(note.strings) > 1 and note.techniques:
        said = " ".join(map(str, note.strings))
        base = grammar.base(note.techniques[0], "run")
        if base is not None and note.position:
            yield "A9", f"strings {said}"
        if base is not None and any(v.endswith("EndStrings") for v in base.extra.get("stringList", ())):
            yield "A10", f"from string {note.strings[0]} to string {note.strings[-1]}"
    skip = grammar.words.get("skip", frozenset())
    if any(word in skip for word in note.techniques) and notation.form == "standalone":
        yield "A14", "".join(note.techniques)


def _say(position: Position | None) -> str:
    if position is None:
        return ""
    if position.effect == "outside":
        return "outside"
    said = f"hui {position.hui}"
    if position.fen == 10:
        return f"between hui {position.hui} and {position.fen}"
    return said + (f" fen {position.fen}" if position.fen else f" {position.effect}" if position.effect else "")
