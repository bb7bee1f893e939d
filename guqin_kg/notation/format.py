"""From a structure to its readings: short, full, traditional."""

from __future__ import annotations

from guqin_kg.model import Notation, Position
from guqin_kg.notation.components import Part, parts, position_bases
from guqin_kg.notation.grammar import Grammar, default_grammar
from guqin_kg.notation.matching import read


def readings(notation: Notation, grammar: Grammar | None = None) -> tuple[str, str, str]:
    """The short, the full and the traditional reading."""
    grammar = grammar or default_grammar()
    drawn = parts(notation, grammar)
    return _short(notation, drawn, grammar), _full(drawn, grammar), _traditional(notation, drawn, grammar)


def short_reading(notation: Notation, grammar: Grammar | None = None) -> str:
    """The abbreviated reading (简写): ``大九绰勾四``. Reading it again gives the same structure.

    Where the digits alone could be taken otherwise, units are written as far as they are needed.
    """
    grammar = grammar or default_grammar()
    return _short(notation, parts(notation, grammar), grammar)


def full_reading(notation: Notation, grammar: Grammar | None = None) -> str:
    """The full reading (正写): ``大指九徽绰勾四弦``."""
    grammar = grammar or default_grammar()
    return _full(parts(notation, grammar), grammar)


def traditional_reading(notation: Notation, grammar: Grammar | None = None) -> str:
    """The short reading in traditional characters: ``大九綽勾四``."""
    grammar = grammar or default_grammar()
    return _traditional(notation, parts(notation, grammar), grammar)


def _short(notation: Notation, drawn: list[Part], grammar: Grammar) -> str:
    text = "".join([part.name for part in drawn])
    if not _could_be_taken_otherwise(notation, drawn, grammar):
        return text
    explicit = "".join(_place(p.position, grammar, fen_unit=False) if p.position else p.name for p in drawn)
    for spelled in (text, explicit):
        if read(spelled, grammar) == notation:
            return spelled
    return _full(drawn, grammar)


def _full(drawn: list[Part], grammar: Grammar) -> str:
    half = {word for word, effect in grammar.sign_effect.items() if effect == "half"}
    out = []
    for part, after in zip(drawn, [*drawn[1:], None], strict=True):
        # a word that begins with the half sign would be taken for half behind the unit of hui: leave the unit out
        plain = after is not None and after.name[0] in half and part.position and not part.position.sign
        out.append(part.name if plain and part.position and not part.position.fen else _full_word(part, grammar))
    return "".join(out)


def _traditional(notation: Notation, drawn: list[Part], grammar: Grammar) -> str:
    if _could_be_taken_otherwise(notation, drawn, grammar):
        fold = {b.name: b.traditional for b in grammar.inventory.bases if len(b.name) == len(b.traditional) == 1}
        return "".join(fold.get(char, char) for char in _short(notation, drawn, grammar))
    return "".join([part.bases[0].traditional if len(part.bases) == 1 else part.name for part in drawn])


def _could_be_taken_otherwise(notation: Notation, drawn: list[Part], grammar: Grammar) -> bool:
    """True where digits of places and strings, or words of several characters, could be grouped in another way."""
    if notation.form == "aside":
        return any(note.position for note in (notation, *notation.notes))
    if notation.form == "complex":
        return any((note.position and not note.left_finger) or len(note.strings) > 1 for note in notation.notes)
    if notation.position is None:
        return notation.left_finger is not None or len(notation.strings) > 2
    heads = grammar.alphabet.word_heads
    return any(part.position and part.name[-1] in heads for part in drawn)


def _full_word(part: Part, grammar: Grammar) -> str:
    if part.position:
        return _place(part.position, grammar, fen_unit=True)
    if part.string is not None:
        return part.name + unit_word("string", grammar)
    if part.field in ("left_finger", "tone") and part.bases:
        base = part.bases[0]
        return base.name if base.extra.get("unwrittenWhenFull") == ("true",) else base.full_name
    return part.name


def _place(position: Position, grammar: Grammar, *, fen_unit: bool) -> str:
    bases = position_bases(position, grammar)
    if position.hui is None:
        return "".join(base.full_name if fen_unit else base.name for base in bases)
    if position.fen == 10:
        return "".join(base.name for base in bases)
    tail = unit_word("fen", grammar) if position.fen and fen_unit else ""
    return bases[0].name + unit_word("hui", grammar) + "".join(base.name for base in bases[1:]) + tail


def unit_word(what: str, grammar: Grammar) -> str:
    """The word of the unit of ``hui``, ``fen`` or ``string``."""
    words: dict[str, str] | None = grammar.__dict__.get("_unit_words")
    if words is None:
        words = grammar.__dict__["_unit_words"] = {}
        for base in grammar.inventory.by_role("unit"):
            kind = "hui" if base.extra.get("decimalPoint") else "string" if base.part_role == "string" else "fen"
            words[kind] = base.name
    return words.get(what, "")


def format_reading(notation: Notation, grammar: Grammar | None = None, *, style: str = "short") -> str:
    """The reading in ``style``: ``short``, ``full`` or ``traditional``.

    Raises:
        ValueError: there is no such style.
    """
    styles = {"short": short_reading, "full": full_reading, "traditional": traditional_reading}
    if style not in styles:
        raise ValueError(f"no reading style {style!r}")
    return styles[style](notation, grammar)
