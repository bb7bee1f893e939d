"""What no notation may say, whatever rule reads it: a finger on an open string, a pinch of one string with itself."""

from __future__ import annotations

from guqin_kg.errors import ReadingError
from guqin_kg.model import Notation, Note
from guqin_kg.notation.components import position_name
from guqin_kg.notation.grammar import Grammar


def check_hard_rules(notation: Notation, grammar: Grammar, reading: str) -> None:
    """Reject what a tone sign excludes, and a pinch of one string with itself.

    Raises:
        ReadingError: ``finger-on-open-string``, ``hui-on-open-string``, ``fen-on-open-string``, …, ``same-string``.
    """
    for note in (notation, *notation.notes):
        tone = note.tone or notation.tone
        excluded = grammar.excluded_by.get(tone, frozenset()) if tone else frozenset()
        if excluded:
            _check_tone(note, str(tone), excluded, grammar, reading)
    pinches = grammar.pinch_minimum
    word = next((word for word in notation.techniques if word in pinches), None)
    if word is None or notation.form not in ("simple", "complex"):
        return
    strings = notation.strings or tuple(n for note in notation.notes for n in note.strings)
    if len(strings) == 2 and strings[0] == strings[1]:
        raise ReadingError(
            f"{word} names string {strings[0]} twice: two different strings sound together",
            code="same-string",
            hint="name two different strings",
            reading=reading,
            at=max(len(reading) - 1, 0),
        )
    if 0 < len(strings) < pinches[word]:
        raise ReadingError(
            f"{word} sounds two strings and only one is named",
            code="incomplete",
            hint="name both strings, each with finger and position or with the sign of an open string",
            reading=reading,
            at=len(reading),
        )


def _check_tone(note: Note, tone: str, excluded: frozenset[str], grammar: Grammar, reading: str) -> None:
    position = note.position
    code = None
    if position and position.fen and "fen" in excluded:
        code, what = "fen", "a fen"
    elif position and ((position.hui and "hui" in excluded) or (position.sign and "position-sign" in excluded)):
        code, what = "hui", "a position"
    elif note.left_finger and "finger" in excluded:
        code, what = "finger", "a left-hand finger"
    else:
        for word in (*note.ornaments, *note.techniques):
            base = grammar.base(word)
            roles = base.roles & excluded if base else frozenset()
            if roles and not base.roles & {"stroke", "figure", "run", "pinch"}:  # type: ignore[union-attr]
                code, what = sorted(roles)[0], word
                break
    if code is None:
        return
    sound = grammar.sound_of.get(tone)
    place = {"open": "open-string", "harmonic": "harmonic"}.get(sound or "", "carried-position")
    shown = position_name(position, grammar) if position and code in ("fen", "hui") else note.left_finger or what
    folded = grammar.alphabet.fold_chars(reading)
    at = max(folded.find(shown), 0)
    if shown in folded:
        at += len(shown) - 1 if code == "fen" else 0
    elif code in ("fen", "hui"):  # in full spelling the units stand between
        at = max(folded.find(shown[0]), 0)
        at = max(folded.find(shown[-1], at), at) if code == "fen" else at
    spare = "the place" if code in ("fen", "hui") and "hui" in excluded else what
    raise ReadingError(
        f"{tone} excludes {what}",
        code=f"{code}-on-{place}",
        hint=f"leave out {tone}, or leave out {spare}",
        reading=reading,
        at=at,
    )
