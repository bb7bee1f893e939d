"""The layout of a notation as an ideographic description sequence (IDS).

Written forms, their templates (〇 is the place of what a sign holds) and layout roles come from the graph; the way the
halves stand together follows the families of ``docs/readings.md``: left hand above right hand, strings inside the
technique, two arms under a pinch, asides in a column.
"""

from __future__ import annotations

from guqin_kg.inventory import BaseNotation
from guqin_kg.model import Notation, Note, Position
from guqin_kg.notation.components import position_bases, string_base, word_base
from guqin_kg.notation.grammar import Grammar, default_grammar

HOLE = "〇"
_BESIDE = "⿰"
_ABOVE = "⿱"
_THREE_ROWS = "⿳"
_BETWEEN_HALVES = frozenset({"between-halves", "between-halves-top-of-right-part"})


def ids_string(notation: Notation, grammar: Grammar | None = None) -> str:
    """The layout of ``notation`` as one IDS.

    Args:
        notation: any form.
        grammar: where written forms are looked up.
    """
    grammar = grammar or default_grammar()
    if notation.form == "complex":
        return _complex(notation, grammar)
    if notation.form == "aside":
        return _column([_aside(note, grammar) for note in (notation, *notation.notes)])
    if notation.form == "standalone":
        return _column([form_of(base, word) for word, base in _bases(notation.techniques, "techniques", grammar)])
    return _simple(notation, grammar)


def form_of(base: BaseNotation | None, word: str) -> str:
    """The preferred written form of a base notation, without what it holds; its name where the graph has no form."""
    for form in base.forms if base else ():
        if form.character or form.ids:
            return form.ids or form.character or ""
    return _stack(word)


def template_of(base: BaseNotation | None, word: str) -> str:
    """The preferred template with ``〇`` for what the sign holds; the sign above it where the graph has none."""
    for form in base.forms if base else ():
        if form.ids_template and HOLE in form.ids_template:
            return form.ids_template
    return _ABOVE + form_of(base, word) + HOLE


def _stack(word: str) -> str:
    return word if len(word) == 1 else _ABOVE + word[0] + _stack(word[1:])


def _column(rows: list[str]) -> str:
    rows = [row for row in rows if row]
    if not rows:
        return ""
    out = rows[-1]
    for row in reversed(rows[:-1]):
        out = _ABOVE + row + out
    return out


def _bases(words: tuple[str, ...], field: str, grammar: Grammar) -> list[tuple[str, BaseNotation | None]]:
    return [(word, word_base(word, field, grammar)) for word in words]


def place_ids(position: Position, grammar: Grammar) -> str:
    """Hui, with fen or sign below it."""
    return _column([form_of(base, base.name) for base in position_bases(position, grammar)])


def _left_hand(note: Note, grammar: Grammar) -> str:
    place = place_ids(note.position, grammar) if note.position else ""
    if not note.left_finger:
        return place
    finger = form_of(word_base(note.left_finger, "left_finger", grammar), note.left_finger)
    return _BESIDE + finger + place if place else finger


def _strings(note: Note, grammar: Grammar) -> str:
    return _column([form_of(string_base(n, grammar), str(n)) for n in note.strings])


def _right_hand(note: Note, grammar: Grammar) -> str:
    """Techniques from top to bottom, the last one holding the strings."""
    held = _strings(note, grammar)
    words = _bases(note.techniques, "techniques", grammar)
    if not words:
        return held
    link = grammar.words.get("link", frozenset())
    rows = [form_of(base, word) for word, base in words[:-1]]
    word, base = words[-1]
    if word in link and len(words) > 1 and len(note.strings) > 1:
        # from one string to another: 〇 of the technique holds the first, the link the last
        first, last = note.strings[:-1], note.strings[-1:]
        head = _right_hand(note.model_copy(update={"techniques": note.techniques[:-1], "strings": first}), grammar)
        return _column([head, template_of(base, word).replace(HOLE, _strings(Note(strings=last), grammar))])
    return _column([*rows, template_of(base, word).replace(HOLE, held) if held else form_of(base, word)])


def _with_ornaments(note: Note, body: str, grammar: Grammar, top: str) -> str:
    """Ornaments and modifiers around the right-hand part, then the left hand above it."""
    attack = grammar.words.get("attack", frozenset())
    between = ""
    behind: list[str] = []
    for word, base in reversed(_bases(note.ornaments, "ornaments", grammar)):
        if word not in attack:
            behind.insert(0, form_of(base, word))
        elif base is not None and (base.layout_role in _BETWEEN_HALVES) and top and not between:
            between = form_of(base, word)
        else:
            body = template_of(base, word).replace(HOLE, body)
    body = _column([body, *behind])
    for word, base in reversed(_bases(note.modifiers, "modifiers", grammar)):
        body = template_of(base, word).replace(HOLE, body)
    if between:
        return _THREE_ROWS + top + between + body
    return _column([top, body])


def _with_tone(note: Note, body: str, grammar: Grammar) -> str:
    if not note.tone:
        return body
    return template_of(word_base(note.tone, "tone", grammar), note.tone).replace(HOLE, body)


def _simple(note: Note, grammar: Grammar) -> str:
    body = _with_ornaments(note, _right_hand(note, grammar), grammar, _left_hand(note, grammar))
    return _with_tone(note, body, grammar)


def _complex(notation: Notation, grammar: Grammar) -> str:
    arms = [_simple(note, grammar) for note in notation.notes]
    words = _bases(notation.techniques, "techniques", grammar)
    word, base = words[-1]
    template = template_of(base, word)
    if template.count(HOLE) == len(arms):
        for arm in arms:
            template = template.replace(HOLE, arm, 1)
        body = template
    else:
        beside = arms[-1]
        for arm in reversed(arms[:-1]):
            beside = _BESIDE + arm + beside
        body = template.replace(HOLE, beside, 1).replace(HOLE, "")
    body = _column([*(form_of(b, w) for w, b in words[:-1]), body])
    return _with_tone(notation, _with_ornaments(notation, body, grammar, _left_hand(notation, grammar)), grammar)


def _aside(note: Note, grammar: Grammar) -> str:
    rows = [form_of(base, word) for word, base in _bases(note.modifiers, "modifiers", grammar)]
    if note.tone:
        rows.append(form_of(word_base(note.tone, "tone", grammar), note.tone))
    if note.count:
        rows.append(form_of(word_base(note.count, "count", grammar), note.count))
    if note.left_finger:
        rows.append(form_of(word_base(note.left_finger, "left_finger", grammar), note.left_finger))
    rows += [form_of(base, word) for word, base in _bases(note.techniques, "techniques", grammar)]
    if note.position:
        rows.append(place_ids(note.position, grammar))
    return _column(rows)
