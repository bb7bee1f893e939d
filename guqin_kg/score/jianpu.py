"""Numbered notation (jianpu) beside the readings: pitches and lengths to compare with."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DEGREES = (0, 2, 4, 5, 7, 9, 11)
_LENGTHS = {"q": 0.5, "s": 0.25, "d": 0.125}
_STEP = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_TOKEN = re.compile(r"(?P<before>[,']*)(?P<accidental>[#b]?)(?P<degree>[1-7])(?P<after>[,']*)")


@dataclass(frozen=True, slots=True)
class Jianpu:
    """One token: MIDI numbers of its notes, length in beats, whether it prolongs the note before."""

    midi: tuple[float, ...]
    beats: float | None
    prolongs: bool = False


def parse_jianpu(text: str | None, tonic: float) -> Jianpu | None:
    """Read a token such as ``q3'.`` (quaver, third degree, octave up, dotted) or the chord ``,3,,6.``.

    In a chord the octave marks stand before their digit, after it otherwise. ``-`` prolongs the note before. Slurs and
    ties say nothing about pitch and give None.

    Args:
        text: the token.
        tonic: MIDI number of an unmarked ``1``.
    """
    if not text:
        return None
    token = text.strip()
    if token == "-":  # noqa: S105 - a sign of the notation
        return Jianpu((), 1.0, prolongs=True)
    length = 1.0
    if token[0] in _LENGTHS:
        length, token = _LENGTHS[token[0]], token[1:]
    dots = len(token) - len(token.rstrip("."))
    token = token.rstrip(".")
    length *= 2 - 0.5**dots
    chord = token.startswith((",", "'"))
    pitches, at = [], 0
    while at < len(token):
        found = _TOKEN.match(token, at)
        if found is None:
            return None
        marks = found["before"] if chord else found["after"]
        at = found.start("after") if chord else found.end()
        accidental = {"#": 1, "b": -1, "": 0}[found["accidental"]]
        octave = marks.count("'") - marks.count(",")
        pitches.append(tonic + _DEGREES[int(found["degree"]) - 1] + accidental + 12 * octave)
    return Jianpu(tuple(pitches), length) if pitches else None


def tonic_of(comments: tuple[str, ...], open_degrees: dict[int, str], open_midi: tuple[float, ...]) -> float | None:
    """MIDI number of an unmarked 1: as the file's comment says (``1 = F3``), else from the tuning's own degrees.

    Args:
        comments: of the score file.
        open_degrees: string number to its degree in the tuning (``{3: "1"}``).
        open_midi: MIDI numbers of strings 1-7.
    """
    for comment in comments:
        found = re.search(r"\b1\s*=\s*([A-G])([#b]?)(\d)", comment)
        if found:
            shift = {"#": 1, "b": -1, "": 0}[found[2]]
            return 12.0 * (int(found[3]) + 1) + _STEP[found[1]] + shift
    for string, degree in sorted(open_degrees.items()):
        if degree == "1":
            return open_midi[string - 1] + 12.0
    return None
