"""Folded text to a structure: the rules of the graph tried in their order."""

from __future__ import annotations

import re
from typing import Any

from guqin_kg.errors import ReadingError
from guqin_kg.model import Form, Notation, Note
from guqin_kg.notation.grammar import Grammar, Rule
from guqin_kg.notation.hard_rules import check_hard_rules
from guqin_kg.notation.normalise import Coded

_WORDS = frozenset({"techniques", "ornaments", "modifiers"})


def read(reading: str, grammar: Grammar) -> Notation | None:
    """What a reading says; None where no rule reads it or a hard rule is broken."""
    found = read_folded(grammar.alphabet.fold(reading), grammar, reading, [])
    return found[0] if found else None


def read_folded(
    folded: str, grammar: Grammar, reading: str, refused: list[ReadingError]
) -> tuple[Notation, Rule, Coded] | None:
    """Read folded text: whole words first, then with words behind digits, then character by character."""
    alphabet = grammar.alphabet
    coded = alphabet.code(folded)
    found = _first(coded, grammar, reading, refused)
    if found:
        return found
    for other in (alphabet.code(folded, greedy=True), Coded(folded, {})):
        found = _first(other, grammar, reading, refused) if other.text != coded.text else None
        if found:
            return found
    return None


def _first(
    coded: Coded, grammar: Grammar, reading: str, refused: list[ReadingError]
) -> tuple[Notation, Rule, Coded] | None:
    """The first rule whose reading breaks no hard rule; broken ones are noted in ``refused``."""
    for rule in grammar.rules:
        found = rule.regex.fullmatch(coded.text)
        if found:
            try:
                return _build(found, rule, grammar, reading), rule, coded
            except ReadingError as error:
                refused.append(error)
    return None


def _build(found: re.Match[str], rule: Rule, grammar: Grammar, reading: str) -> Notation:
    notes: list[dict[str, Any]] = [{} for _ in range(rule.notes + 1)]
    for slot, text in zip(rule.slots, found.groups(), strict=True):
        if not text:
            continue
        fields, table, name = notes[slot.note], slot.table, slot.field
        if name in _WORDS:
            words = tuple(table[c] for c in text) if _all_in(text, table) else _with_free_text(text, table)
            fields[name] = fields[name] + words if name in fields else words
        elif name == "strings":
            strings = tuple(table[c] for c in text if c in table)
            fields[name] = fields[name] + strings if name in fields else strings
        else:
            fields[name] = table[text]
    return assemble(notes, rule.form, grammar, reading)


def assemble(notes: list[dict[str, Any]], form: Form, grammar: Grammar, reading: str) -> Notation:
    """A notation from the fields of its notes (the first is the notation itself); what sounds is worked out.

    Raises:
        ReadingError: a hard rule is broken.
    """
    for fields in notes:
        if fields.get("tone") in grammar.unwritten_tones and "left_finger" in fields:
            del fields["tone"]  # finger and position say it already
    top = notes[0]
    inner = [note for note in notes[1:] if note]
    if inner:
        # fields filled by the top of a pattern stay there; notes are filled by their brackets
        top["notes"] = tuple(_note(fields, grammar, form, top.get("tone")) for fields in inner)
    elif form in ("simple", "complex"):
        _sound(top, grammar)
    if inner and "tone" in top:
        _sound(top, grammar)
    notation = Notation(form=form, **top)
    if notation.tone or notation.notes or not grammar.pinch_minimum.keys().isdisjoint(notation.techniques):
        check_hard_rules(notation, grammar, reading)
    return notation


def _all_in(text: str, table: dict[str, Any]) -> bool:
    return all(char in table for char in text)


def _with_free_text(text: str, table: dict[str, Any]) -> tuple[str, ...]:
    words: list[str] = []
    free = ""
    for char in text:
        if char in table:
            if free:
                words.append(free)
                free = ""
            words.append(table[char])
        else:
            free += char
    return (*words, free) if free else tuple(words)


def _note(fields: dict[str, Any], grammar: Grammar, form: str, tone: str | None) -> Note:
    if form in ("simple", "complex"):
        _sound(fields, grammar, tone)
    return Note(**fields)


def _sound(fields: dict[str, Any], grammar: Grammar, above: str | None = None) -> None:
    """What sounds, as far as the written signs decide it: the tone sign, then the technique, then the left hand.

    A part without a tone sign of its own has that written ``above`` it.
    """
    implied = grammar.sound_of
    tone = fields.get("tone") or above
    sound = implied.get(tone) if tone else None
    if sound is None:
        for word in fields.get("techniques", ()):
            sound = implied.get(word) or sound
    if sound is None and ("left_finger" in fields or "position" in fields):
        sound = "stopped"
    if sound is None:
        for word in fields.get("ornaments", ()):
            sound = implied.get(word) or sound
    if sound is not None:
        fields["sound"] = sound
