"""The drawn base notations of a structure, in reading order, each with the part it plays."""

from __future__ import annotations

from dataclasses import dataclass

from guqin_kg.errors import DataError
from guqin_kg.inventory import BaseNotation
from guqin_kg.model import Notation, Note, Position
from guqin_kg.notation.grammar import Grammar, default_grammar

# grammar roles in which the words of a field are looked for, the best first
FIELD_ROLES = {
    "modifiers": ("modifier", "wrap", "quality"),
    "tone": ("tone",),
    "count": ("count",),
    "left_finger": ("finger",),
    "ornaments": ("attack", "vibrato", "move", "left-sound", "quality"),
    "techniques": (
        "stroke", "figure", "run", "pinch", "skip", "left-sound", "move", "vibrato", "two-hand", "marker", "repeat",
        "repeat-from", "link", "attack", "quality", "modifier", "wrap", "tone",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One drawn component.

    Attributes:
        name: as written in the reading (a whole position is one part: ``十一``, ``七八``, ``八半``).
        role: code of its part role (``left_finger`` … ``other``).
        field: field of the structure it stands in.
        note: 0 for the notation itself, 1 … for its notes.
        bases: the base notations drawn (hui and fen of a position are two); empty for a free reference mark.
        position: the position, for that part.
        string: the string number, for a string.
        word: index of its word in the field.
    """

    name: str
    role: str
    field: str
    note: int
    bases: tuple[BaseNotation, ...]
    position: Position | None = None
    string: int | None = None
    word: int = 0


def parts(notation: Notation, grammar: Grammar | None = None) -> list[Part]:
    """All drawn components of ``notation`` in reading order.

    Raises:
        DataError: ``unknown-word`` if a word of the structure is not in the graph.
    """
    grammar = grammar or default_grammar()
    out: list[Part] = []
    aside = notation.form == "aside"
    head, tail = _note_parts(notation, grammar, 0, target=aside)
    out += head
    for index, note in enumerate(notation.notes, 1):
        first, last = _note_parts(note, grammar, index, target=aside)
        out += first + last
    return out + tail


def component_names(notation: Notation, grammar: Grammar | None = None) -> list[str]:
    """Names of :func:`parts`."""
    return [part.name for part in parts(notation, grammar)]


def position_bases(position: Position, grammar: Grammar) -> tuple[BaseNotation, ...]:
    """The base notations drawn for a position: hui, fen (or second hui), sign."""
    table: dict[Position, tuple[BaseNotation, ...]] | None = grammar.__dict__.get("_position_bases")
    if table is None:
        table = grammar.__dict__["_position_bases"] = {}
    if position not in table:
        table[position] = _position_bases(position, grammar)
    return table[position]


def _position_bases(position: Position, grammar: Grammar) -> tuple[BaseNotation, ...]:
    by_role = grammar.inventory.by_role
    if position.hui is not None and all(base.number != position.hui for base in by_role("hui")):
        raise DataError(f"there is no hui {position.hui}", code="hui-out-of-range", hint="hui are 1 to 13, or outside")
    if position.fen is not None and (position.hui is None or not 1 <= position.fen <= 10):
        raise DataError(f"there is no fen {position.fen}", code="fen-out-of-range", hint="fen are 1 to 9, after a hui")
    if position.hui is None and position.sign is None:
        raise DataError("a position names a hui or a sign", code="bad-structure")
    out = [base for base in by_role("hui") if base.number == position.hui] if position.hui else []
    if position.fen == 10:
        out += [base for base in by_role("hui") if base.number == 10]
    elif position.fen:
        out += [base for base in by_role("fen") if base.number == position.fen]
    if position.sign:
        out += [base for base in by_role("position-sign") if base.name == position.sign]
    return tuple(out)


def string_base(number: int, grammar: Grammar) -> BaseNotation:
    """The base notation of string ``number``.

    Raises:
        DataError: there is no such string.
    """
    table: dict[int | None, BaseNotation] | None = grammar.__dict__.get("_string_bases")
    if table is None:
        table = grammar.__dict__["_string_bases"] = {b.number: b for b in grammar.inventory.by_role("string")}
    if number not in table:
        raise DataError(f"there is no string {number}", code="string-out-of-range", hint="strings are 1 to 7")
    return table[number]


def position_name(position: Position, grammar: Grammar) -> str:
    """The position as one written word; with the unit where it could be taken for another (10.1 to 10.3)."""
    bases = position_bases(position, grammar)
    name = "".join(base.name for base in bases)
    if grammar.positions.get(name) != position:
        name = bases[0].name + grammar.alphabet.points + "".join(base.name for base in bases[1:])
    return name


def word_base(word: str, field: str, grammar: Grammar) -> BaseNotation | None:
    """The base notation of a word in ``field``; None for a free reference mark."""
    table: dict[tuple[str, str], BaseNotation | None] | None = grammar.__dict__.get("_word_bases")
    if table is None:
        table = grammar.__dict__["_word_bases"] = {}
    if (word, field) not in table:
        table[word, field] = grammar.base(word, *FIELD_ROLES[field])
    return table[word, field]


def _words(words: tuple[str, ...], field: str, grammar: Grammar, note: int) -> list[Part]:
    out: list[Part] = []
    free = field == "techniques" and len(words) >= 3
    for index, word in enumerate(words):
        base = word_base(word, field, grammar)
        if base is None:
            if not free:
                raise DataError(
                    f"the graph has no base notation {word} that can stand here ({field})",
                    code="unknown-word",
                    hint="add it in Turtle, or correct the word",
                )
            out.append(Part(word, "other", field, note, (), word=index))
        elif base.written_as_parts and base.steps:
            for step in base.steps:
                part = grammar.inventory.by_id[step]
                out.append(Part(part.name, part.part_role or "other", field, note, (part,), word=index))
        else:
            out.append(Part(base.name, base.part_role or "other", field, note, (base,), word=index))
    return out


def _note_parts(note: Note, grammar: Grammar, index: int, *, target: bool) -> tuple[list[Part], list[Part]]:
    """Parts before and behind the place where sub-notes stand."""
    attack = grammar.words.get("attack", frozenset())
    link = grammar.words.get("link", frozenset())
    out = _words(note.modifiers, "modifiers", grammar, index)
    if note.tone:
        out += _words((note.tone,), "tone", grammar, index)
    place = []
    if note.position:
        bases = position_bases(note.position, grammar)
        place = [Part(position_name(note.position, grammar), "hui", "position", index, bases, position=note.position)]
    behind = bool(target and place and not (note.left_finger and index))
    if note.count:
        out += _words((note.count,), "count", grammar, index)
    if note.left_finger:
        out += _words((note.left_finger,), "left_finger", grammar, index)
    if not behind:
        out += place
    before = tuple(w for w in note.ornaments if w in attack)
    after = tuple(w for w in note.ornaments if w not in attack)
    out += _words(before, "ornaments", grammar, index)
    strings = [
        Part(base.name, base.part_role or "string", "strings", index, (base,), string=number)
        for number, base in ((n, string_base(n, grammar)) for n in note.strings)
    ]
    words = _words(note.techniques, "techniques", grammar, index)
    links = [part for part in words if part.name in link]
    if links and strings:
        out += [part for part in words if part.name not in link] + strings[:-1] + links + strings[-1:]
    else:
        out += words + strings
    if behind:
        out += place
    return out, _words(after, "ornaments", grammar, index)
