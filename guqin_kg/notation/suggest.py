"""Why a reading cannot be read, at which character, and what it was probably meant to be.

The nearest valid reading is found by trying it: one word of the graph put in, taken out or exchanged, the cheapest
change first; further away, the most alike of the notations shipped in the graph.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from guqin_kg.errors import ReadingError
from guqin_kg.model import Notation
from guqin_kg.notation.grammar import Grammar
from guqin_kg.notation.matching import read_folded

_ROLE_ORDER = ("string", "stroke", "finger", "hui", "figure", "pinch", "run", "tone", "attack", "left-sound", "move")


def explain_failure(reading: str, grammar: Grammar) -> ReadingError:
    """The error for a reading no rule can read: code, character index, message and hint."""
    alphabet = grammar.alphabet
    chars, where = _folded(reading, grammar)
    text = "".join(chars)
    if not text:
        return _error(
            "empty",
            reading,
            0,
            "there is nothing to read",
            "give a reading; `guqin lexicon --limit 20` shows some",
            None,
        )
    unknown = [i for i, char in enumerate(chars) if char not in _known(grammar)]
    if unknown:
        at = unknown[0]
        nearest = _repair(text, grammar, only=at) or _most_alike(text, grammar)
        return _error(
            "unknown-character",
            reading,
            where[at],
            f"{reading[where[at]]} is not a sign of the notation",
            _meant(nearest) or "write the reading with the signs of the graph, or add the sign in Turtle",
            nearest,
        )
    for check in (_hui_out_of_range, _string_out_of_range, _incomplete):
        found = check(text, grammar)
        if found:
            code, at, message, nearest = found
            index = where[at] if at < len(where) else len(reading)
            return _error(code, reading, index, message, _meant(nearest) or _RANGES[code], nearest)
    repaired = _repair(text, grammar)
    at = _first_difference(text, repaired) if repaired else _readable_prefix(text, grammar)
    nearest = repaired or _most_alike(text, grammar)
    index = where[min(at, len(where) - 1)]
    return _error(
        "unreadable",
        reading,
        index,
        f"{alphabet.decode(text[at : at + 1]) or reading[-1]} cannot stand here",
        _meant(nearest) or "see docs/readings.md for the forms a reading can have",
        nearest,
    )


_RANGES = {
    "hui-out-of-range": "hui are 1 to 13, or outside",
    "string-out-of-range": "strings are 1 to 7",
    "incomplete": "a plucked note names a technique and a string",
}


def _error(code: str, reading: str, at: int, message: str, hint: str, nearest: str | None) -> ReadingError:
    details: dict[str, Any] = {"suggestion": nearest} if nearest else {}
    return ReadingError(message, code=code, hint=hint, reading=reading, at=at, **details)


def _meant(nearest: str | None) -> str:
    return f"did you mean {nearest}?" if nearest else ""


def _folded(reading: str, grammar: Grammar) -> tuple[list[str], list[int]]:
    """Folded characters and the index each came from; as far as that can be said, equal to ``Alphabet.fold``."""
    whole = grammar.alphabet.fold(reading)
    chars: list[str] = []
    where: list[int] = []
    for index, char in enumerate(reading):
        for folded in grammar.alphabet.fold(unicodedata.normalize("NFKC", char)):
            chars.append(folded)
            where.append(index)
    if len(chars) != len(whole):
        chars = list(whole)
        where = [min(i, len(reading) - 1) for i in range(len(whole))]
    return chars, where


def _known(grammar: Grammar) -> frozenset[str]:
    found: frozenset[str] | None = grammar.__dict__.get("_known_characters")
    if found is None:
        found = frozenset(char for word in grammar.alphabet.spellings for char in word) | frozenset(
            grammar.alphabet.digits
        )
        grammar.__dict__["_known_characters"] = found
    return found


def _read(text: str, grammar: Grammar) -> Notation | None:
    found = read_folded(text, grammar, text, [])
    return found[0] if found else None


def _shown(notation: Notation, grammar: Grammar) -> str:
    from guqin_kg.notation.format import short_reading

    return short_reading(notation, grammar)


def _hui_out_of_range(text: str, grammar: Grammar) -> tuple[str, int, str, str | None] | None:
    """A number before the unit of hui that is no hui."""
    digits, unit = grammar.alphabet.digits, grammar.alphabet.points
    at = text.find(unit) if unit else -1
    start = at
    while start > 0 and text[start - 1] in digits:
        start -= 1
    if at <= 0 or start == at:
        return None
    value = 0
    for char in text[start:at]:
        number = digits[char]
        value = max(value, 1) * 10 if number == 10 else value + number if value % 10 == 0 else value * 10 + number
    known = {base.number for base in grammar.inventory.by_role("hui")}
    if value in known:
        return None
    nearest_hui = min((n for n in known if n is not None), key=lambda n: (abs(n - value), n))
    name = next(base.name for base in grammar.inventory.by_role("hui") if base.number == nearest_hui)
    meant = _read(text[:start] + name + text[at:], grammar)
    message = f"there is no hui {value}: hui are 1 to {max(n for n in known if n is not None)}"
    return "hui-out-of-range", start, message, _shown(meant, grammar) if meant else None


def _string_out_of_range(text: str, grammar: Grammar) -> tuple[str, int, str, str | None] | None:
    """A digit that stands for a string and is no string."""
    strings = {base.number: base.name for base in grammar.inventory.by_role("string")}
    last = max(n for n in strings if n is not None)
    for at in range(len(text) - 1, -1, -1):
        number = grammar.alphabet.digits.get(text[at])
        if number is None or number <= last:
            continue
        if at and text[at - 1] in grammar.words.get("finger", ()):
            missing = _incomplete(text, grammar)
            if missing:
                return missing
        meant = [_read(text[:at] + strings[n] + text[at + 1 :], grammar) for n in (last, last - 1)]
        if meant[0] and meant[1] and _strings(meant[0]) != _strings(meant[1]):
            message = f"there is no string {number}: the qin has {last} strings"
            return "string-out-of-range", at, message, _shown(meant[0], grammar)
    return None


def _strings(notation: Notation) -> list[tuple[int, ...]]:
    return [note.strings for note in (notation, *notation.notes)]


def _incomplete(text: str, grammar: Grammar) -> tuple[str, int, str, str | None] | None:
    """A reading that becomes one when something is added at the end."""
    usual = _vocabulary(grammar)
    words = {
        role: sorted((w for w in grammar.words.get(role, ()) if w in usual), key=usual.index)
        for role in ("string", "stroke", "tone")
    }
    ends = [(s, "a string") for s in words["string"][:1]]
    ends += [(t + s, "the second string") for t in words["tone"] for s in words["string"][:2]]
    ends += [(w + s, "a right-hand technique and a string") for w in words["stroke"] for s in words["string"][:1]]
    for end, what in ends:
        notation = _read(text + grammar.alphabet.fold_chars(end), grammar)
        if notation:
            return "incomplete", len(text), f"{what} is missing at the end", _shown(notation, grammar)
    return None


def _vocabulary(grammar: Grammar) -> list[str]:
    """The words that may be put in: those of the core of the lexicon first, then by role."""
    found: list[str] | None = grammar.__dict__.get("_suggest_words")
    if found is None:
        from guqin_kg.notation.lexicon import Lexicon
        from guqin_kg.notation.pattern import terms

        core = [rule for rule in Lexicon(grammar).rules if rule.curated]
        usual = [b.name for rule in reversed(core) for t in terms(rule.tree) for b in grammar.alphabet.matching(t)]
        order = {role: i for i, role in enumerate(_ROLE_ORDER)}
        bases = sorted(
            (b for b in grammar.alphabet.bases if "unit" not in b.roles),
            key=lambda b: (min(order.get(r, 99) for r in b.roles), b.number or 0, b.id),
        )
        names = dict.fromkeys([*usual, *(base.name for base in bases)])
        found = grammar.__dict__["_suggest_words"] = [grammar.alphabet.fold_chars(name) for name in names]
    return found


def _changes(text: str, grammar: Grammar, only: int | None) -> Iterator[tuple[float, str]]:
    """Texts one change away, with the weight of the change: words exchanged, swapped, taken out, put in."""
    places = range(len(text)) if only is None else range(only, only + 1)
    for at in places:
        for word in _vocabulary(grammar):
            if word != text[at]:
                yield 0, text[:at] + word + text[at + 1 :]
    for at in range(len(text) - 1) if only is None else ():
        yield 0, text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    for at in reversed(places):
        yield 0.5, text[:at] + text[at + 1 :]
    for at in reversed(range(len(text) - 1)) if only is None else ():
        yield 0.9, text[:at] + text[at + 2 :]  # a place: a number and its unit
    for at in range(len(text), -1, -1) if only is None else ():
        for word in _vocabulary(grammar):
            yield 0.75, text[:at] + word + text[at:]


def _repair(text: str, grammar: Grammar, *, only: int | None = None) -> str | None:
    """The best valid reading one change away (``only``: a change of that character)."""
    if not 1 < len(text) <= 12:
        return None
    best: tuple[float, Notation] | None = None
    for weight, changed in _changes(text, grammar, only):
        notation = _read(changed, grammar) if changed else None
        if notation:
            score = _fullness(notation) - weight
            if best is None or score > best[0]:
                best = (score, notation)
    return _shown(best[1], grammar) if best else None


def _fullness(notation: Notation) -> float:
    """How much a structure looks like an ordinary note: each part of it once."""
    notes = notation.notes or (notation,)
    out = 0.0
    for note in notes:
        out += bool(note.left_finger or note.tone) + bool(note.position or note.tone) + bool(note.strings)
        out += bool(note.techniques or notation.techniques)
        out -= max(len(note.strings) - 1, 0) + max(len(note.techniques) - 1, 0)
        out -= len(note.ornaments) + len(note.modifiers)
    return out / len(notes)


def _most_alike(text: str, grammar: Grammar) -> str | None:
    """The most alike notation of the shipped set."""
    from rapidfuzz import process

    from guqin_kg.notation.format import short_reading
    from guqin_kg.notation.lexicon import curated

    names: list[str] | None = grammar.__dict__.get("_curated_names")
    if names is None:
        names = grammar.__dict__["_curated_names"] = [short_reading(n, grammar) for n in curated(grammar)]
    found = process.extractOne(text, names, score_cutoff=50)
    return str(found[0]) if found else None


def _first_difference(text: str, other: str) -> int:
    for at, (a, b) in enumerate(zip(text, other, strict=False)):
        if a != b:
            return at
    return min(len(text), len(other))


def _readable_prefix(text: str, grammar: Grammar) -> int:
    """Length of the longest beginning that is a reading of its own."""
    for end in range(len(text) - 1, 0, -1):
        if _read(text[:end], grammar):
            return end
    return 0
