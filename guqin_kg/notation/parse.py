"""From a reading to its structure.

``parse("大九绰勾四")`` is a :class:`~guqin_kg.model.Notation`; ``analyse`` also keeps what was folded and which
ambiguities a rule decided; ``parse_json`` is the form of ``guqin parse``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from guqin_kg.errors import ReadingError
from guqin_kg.model import Form, Notation, Note
from guqin_kg.notation.grammar import Grammar, Rule, default_grammar
from guqin_kg.notation.normalise import MAX_LENGTH, Coded

_WORDS = frozenset({"techniques", "ornaments", "modifiers"})


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
        from guqin_kg.notation.ambiguity import decisions

        return decisions(self)

    @cached_property
    def components(self) -> list[str]:
        """Names of the drawn base notations in reading order, with spellings the graph wants kept."""
        from guqin_kg.notation.components import component_names

        names = component_names(self.notation, self.grammar)
        for name, written in self.coded.spelled.items():
            if name in names:
                names[names.index(name)] = written
        return names

    def to_json(self) -> dict[str, Any]:
        """The object ``guqin parse`` prints."""
        from guqin_kg.notation.ids import ids_string
        from guqin_kg.notation.iri import notation_iri

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
    from guqin_kg.notation.suggest import explain_failure

    raise explain_failure(reading, grammar)


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
    from guqin_kg.notation.components import position_name

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


def notation_from_json(body: dict[str, Any], grammar: Grammar | None = None) -> Notation:
    """The structure back from the object :func:`parse_json` gives (or from a part of it that has the structure).

    Raises:
        ReadingError: a field has a value no notation can have.
    """
    grammar = grammar or default_grammar()
    from guqin_kg.notation.structure import from_json

    return from_json(body, grammar)
