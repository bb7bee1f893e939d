"""Filters that templates may use: they arrange, join and compute, and know no fact about the notation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from operator import attrgetter
from typing import Any

_NOTES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


class UnboundValueError(ValueError):
    """A template would have printed a value that the query left unbound."""


def printable(value: Any) -> Any:
    """Refuse to print an unbound value: an answer is never filled with nothing."""
    if value is None:
        raise UnboundValueError("the template prints a column that is unbound in this row")
    return value


@lru_cache(maxsize=4096)
def _column(name: str) -> Callable[[Any], Any]:
    """Reads a column of a row; nothing but a plain name is one."""
    if not name.isidentifier() or name.startswith("_"):
        raise ValueError(f"{name!r} is no column")
    return attrgetter(name)


def distinct(rows: Iterable[Any], column: str) -> list[Any]:
    """Values of ``column`` in row order, each once, unbound ones left out."""
    found = dict.fromkeys(map(_column(column), rows))
    found.pop(None, None)
    return list(found)


def where(rows: Iterable[Any], column: str, value: Any) -> list[Any]:
    """Rows whose ``column`` equals ``value``."""
    of = _column(column)
    return [row for row in rows if of(row) == value]


def bound(rows: Iterable[Any], column: str) -> list[Any]:
    """Rows in which ``column`` is bound."""
    of = _column(column)
    return [row for row in rows if of(row) is not None]


def unbound(rows: Iterable[Any], column: str) -> list[Any]:
    """Rows in which ``column`` is not bound."""
    of = _column(column)
    return [row for row in rows if of(row) is None]


def by(rows: Iterable[Any], column: str) -> list[list[Any]]:
    """Rows grouped by ``column``, groups in the order of their first row."""
    groups: dict[Any, list[Any]] = {}
    of = _column(column)
    for row in rows:
        value = of(row)
        if value in groups:
            groups[value].append(row)
        else:
            groups[value] = [row]
    return list(groups.values())


def listing(values: Iterable[Any], lang: str = "zh") -> str:
    """The values as a list in running text."""
    words = [str(v) for v in values]
    if lang == "zh":
        return "、".join(words)
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"


def numbers_between(first: int, last: int) -> list[int]:
    """All numbers from ``first`` to ``last`` in that direction, both included."""
    step = 1 if last >= first else -1
    return list(range(first, last + step, step))


@lru_cache(maxsize=65536)
def cents_stopped(fraction: str) -> float:
    """Cents above the open string of a string stopped at ``fraction`` of its length from the bridge."""
    return 1200 * math.log2(1 / Fraction(fraction))


@lru_cache(maxsize=4096)
def cents_harmonic(number: int) -> float:
    """Cents above the open string of harmonic ``number``."""
    return 1200 * math.log2(number)


@lru_cache(maxsize=65536)
def note(midi: float, cents: float = 0.0) -> str:
    """Nearest tempered note of ``midi`` plus ``cents``; a deviation of more than 2 cents is added: ``D3 (+4)``."""
    exact = midi + cents / 100
    nearest = round(exact)
    off = round((exact - nearest) * 100)
    name = f"{_NOTES[nearest % 12]}{nearest // 12 - 1}"
    return name if abs(off) <= 2 else f"{name} ({off:+d})"


@lru_cache(maxsize=65536)
def hertz(midi: float, cents: float = 0.0) -> str:
    """Frequency of ``midi`` plus ``cents`` at A4 = 440 Hz, one decimal."""
    return f"{440 * 2 ** ((midi + cents / 100 - 69) / 12):.1f}"


def whole(value: float) -> int:
    """The nearest whole number."""
    return round(value)


def attribute_list(rows: Iterable[Any], column: str) -> list[Any]:
    """Values of ``column`` in row order, repeats kept, unbound ones left out."""
    return [v for v in map(_column(column), rows) if v is not None]


def last_word(text: str) -> str:
    """The text without a closing full stop, to be built into a sentence."""
    return text.rstrip("。.；; ")


def first_sentence(text: str) -> str:
    """The text up to its first full stop, which is left out."""
    for stop in ("。", ". "):
        text = text.split(stop, 1)[0]
    return last_word(text)


def lower_first(text: str) -> str:
    """The text with a small first letter, unless its first word is an abbreviation or a single letter."""
    return text if len(text) < 2 or text[1].isupper() or text[:2] == "A " else text[0].lower() + text[1:]


def upper_first(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def ordinal(number: int) -> str:
    """English ordinal: ``1st``."""
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def first(values: Sequence[Any]) -> Any:
    """The first value, or None."""
    return values[0] if values else None


def choose(values: Sequence[Any], chance: int) -> Any:
    """One of the values, picked by ``chance``."""
    return values[chance % len(values)]


FILTERS: dict[str, Callable[..., Any]] = {
    "attribute_list": attribute_list,
    "bound": bound,
    "by": by,
    "cents_harmonic": cents_harmonic,
    "cents_stopped": cents_stopped,
    "choose": choose,
    "distinct": distinct,
    "first_sentence": first_sentence,
    "hertz": hertz,
    "last_word": last_word,
    "listing": listing,
    "lower_first": lower_first,
    "note": note,
    "numbers_between": numbers_between,
    "ordinal": ordinal,
    "unbound": unbound,
    "upper_first": upper_first,
    "where": where,
    "whole": whole,
}
COLUMN_FILTERS = frozenset({"attribute_list", "bound", "by", "distinct", "unbound", "where"})
NOT_COLUMNS = frozenset({"first", "last", "index", "index0", "length", "previtem", "nextitem"})
