"""From a reading to its structure.

``parse("大九绰勾四")`` is a :class:`~guqin_kg.model.Notation`; ``analyse`` also keeps what was folded and which
ambiguities a rule decided; ``parse_json`` is the form of ``guqin parse``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from guqin_kg.errors import ReadingError
from guqin_kg.model import Notation
from guqin_kg.notation.ambiguity import decisions
from guqin_kg.notation.components import component_names
from guqin_kg.notation.grammar import Grammar, Rule, default_grammar
from guqin_kg.notation.ids import ids_string
from guqin_kg.notation.iri import notation_iri
from guqin_kg.notation.matching import read_folded
from guqin_kg.notation.normalise import MAX_LENGTH, Coded
from guqin_kg.notation.suggest import explain_failure


@dataclass(frozen=True)
class Reading:
    """A reading and what it was understood as.

    Attributes:
        text: as given.
        notation: the structure.
        rule: the rule of the grammar that read it.
        coded: the text after folding, one sign per word.
    """

    text: str
    notation: Notation
    rule: Rule
    coded: Coded
    grammar: Grammar = field(repr=False)

    @cached_property
    def ambiguity(self) -> list[dict[str, Any]]:
        """The documented decisions that were needed: ``{"rule", "chosen", "zh", "en"}`` each."""
        return decisions(self.notation, self.rule, self.coded, self.grammar)

    @cached_property
    def components(self) -> list[str]:
        """Names of the drawn base notations in reading order, with spellings the graph wants kept."""
        names = component_names(self.notation, self.grammar)
        for name, written in self.coded.spelled.items():
            if name in names:
                names[names.index(name)] = written
        return names

    def to_json(self) -> dict[str, Any]:
        """The object ``guqin parse`` prints."""
        body = notation_json(self.notation, self.grammar)
        out = {"reading": self.text, "iri": notation_iri(self.notation, self.grammar), **body}
        out["components"] = self.components
        out["ids"] = ids_string(self.notation, self.grammar)
        out["ambiguity"] = self.ambiguity
        return out


def parse(reading: str, grammar: Grammar | None = None) -> Notation:
    """Read one notation.

    Args:
        reading: short or full, simplified or traditional, with any width of digits and inner spaces.
        grammar: compiled rules (default: those of the released ontology).

    Returns:
        The structure.

    Raises:
        ReadingError: with ``code``, ``details['at']`` (0-based character of ``reading``) and a hint.
    """
    return _read(reading, grammar or default_grammar())[0]


def analyse(reading: str, grammar: Grammar | None = None) -> Reading:
    """Like :func:`parse`, with the rule used and the ambiguities decided.

    Raises:
        ReadingError: as :func:`parse`.
    """
    grammar = grammar or default_grammar()
    notation, rule, coded = _read(reading, grammar)
    return Reading(reading, notation, rule, coded, grammar)


def parse_json(reading: str, grammar: Grammar | None = None) -> dict[str, Any]:
    """The contract's object for one reading: the structure, or ``{"reading", "error": {"code", "at", …}}``."""
    try:
        return analyse(reading, grammar).to_json()
    except ReadingError as error:
        detail = error.to_json()
        detail.pop("reading", None)
        detail.setdefault("at", 0)
        detail.setdefault("hint", "")
        return {"reading": reading, "error": detail}


def parse_cell(text: str, grammar: Grammar | None = None) -> list[Reading]:
    """Read a cell of a score: one notation, or several parted by spaces.

    Raises:
        ReadingError: neither the whole nor every part can be read.
    """
    try:
        return [analyse(text, grammar)]
    except ReadingError:
        parts = text.split()
        if len(parts) < 2:
            raise
        return [analyse(part, grammar) for part in parts]


def _read(reading: str, grammar: Grammar) -> tuple[Notation, Rule, Coded]:
    alphabet = grammar.alphabet
    if len(reading) > MAX_LENGTH:
        raise ReadingError(
            f"a reading of {len(reading)} characters is longer than any notation",
            code="too-long",
            hint=f"give one notation at a time (at most {MAX_LENGTH} characters)",
            reading=reading[:MAX_LENGTH],
            at=MAX_LENGTH,
        )
    refused: list[ReadingError] = []
    found = read_folded(alphabet.fold(reading), grammar, reading, refused)
    if found:
        return found
    if refused:
        raise refused[0]
    raise explain_failure(reading, grammar)


def notation_json(notation: Notation, grammar: Grammar) -> dict[str, Any]:
    """Structure as JSON: ornaments and right-hand words told apart, sound of a complex form from its two sides."""
    body = notation.to_json()
    link = grammar.words.get("link", frozenset())
    if notation.form == "simple" and len(notation.techniques) > 1:
        inner = ornaments_between(notation.techniques, grammar)
        body["ornaments"] = [*notation.ornaments, *inner]
        shown = list(notation.techniques)
        for word in inner:
            shown.remove(word)
        body["technique"] = "".join(w for w in shown if w not in link) or body["technique"]
    if notation.form == "complex" and notation.notes:
        sounds = {note.sound or notation.sound for note in notation.notes}
        if len(sounds) == 1:
            body["sound"] = sounds.pop()
        for note, shown_note in zip(notation.notes, body["notes"], strict=True):
            shown_note["sound"] = note.sound or notation.sound
    return body


def ornaments_between(techniques: tuple[str, ...], grammar: Grammar) -> list[str]:
    """Ornaments that stand between right-hand words (抹注挑); the last word is never one."""
    attack = grammar.words.get("attack", frozenset())
    return [word for word in techniques[:-1] if word in attack]
