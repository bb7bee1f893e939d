"""A structure from outside (JSON) checked against the grammar."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError as PydanticError

from guqin_kg.errors import DataError, ReadingError
from guqin_kg.model import Notation, Position
from guqin_kg.notation.format import short_reading
from guqin_kg.notation.grammar import Grammar, default_grammar
from guqin_kg.notation.parse import ornaments_between, parse


def notation_from_json(body: dict[str, Any], grammar: Grammar | None = None) -> Notation:
    """The structure back from the object :func:`parse_json` gives (or from a part of it that has the structure).

    Raises:
        ReadingError: a field has a value no notation can have.
    """
    grammar = grammar or default_grammar()
    try:
        top = _fields(body, grammar, infer=True)
        tone = grammar.sound_of.get(str(top.get("tone"))) if top.get("tone") else None
        notes = tuple(_fields(note, grammar, infer=tone is None) for note in body.get("notes") or ())
        draft = Notation.model_validate({**top, "form": body["form"], "notes": notes})
        return parse(short_reading(draft, grammar), grammar)
    except (PydanticError, KeyError, TypeError, ValueError) as error:
        raise ReadingError(
            f"this is not the structure of a notation: {error}".splitlines()[0],
            code="bad-structure",
            hint="see docs/readings.md for the fields",
        ) from None
    except DataError as error:
        if isinstance(error, ReadingError):
            raise
        raise ReadingError(error.message, code=error.code, hint=error.hint) from None


def _fields(body: dict[str, Any], grammar: Grammar, *, infer: bool) -> dict[str, Any]:
    techniques = tuple(body.get("techniques") or _split(body.get("technique"), grammar))
    ornaments = list(body.get("ornaments") or ())
    inner = ornaments_between(techniques, grammar) if body.get("form") == "simple" else []
    if inner and ornaments[-len(inner) :] == inner:
        del ornaments[-len(inner) :]
    out: dict[str, Any] = {
        "left_finger": body.get("left_finger"),
        "position": _position(body.get("hui"), grammar),
        "ornaments": tuple(ornaments),
        "techniques": techniques,
        "strings": tuple(body.get("strings") or ()),
        "modifiers": tuple(body.get("modifiers") or ()),
        "count": body.get("count"),
        "tone": body.get("tone"),
    }
    sound = body.get("sound")
    if infer and sound and not out["tone"] and body.get("form") != "complex":
        implied = {grammar.sound_of.get(word) for word in techniques}
        if sound != "stopped" and sound not in implied:
            tones = [b.name for b in grammar.inventory.by_role("tone") if grammar.sound_of.get(b.name) == sound]
            out["tone"] = tones[0] if tones else None
    return out


def _split(technique: str | None, grammar: Grammar) -> tuple[str, ...]:
    if not technique:
        return ()
    alphabet = grammar.alphabet
    return tuple(alphabet.name_of(sign) or sign for sign in alphabet.code(alphabet.fold_chars(technique)).text)


def _position(body: dict[str, Any] | None, grammar: Grammar) -> Position | None:
    if not body:
        return None
    effect = "outside" if body.get("outside") else "half" if body.get("half") else body.get("near")
    sign = next((word for word, does in grammar.sign_effect.items() if does == effect), None) if effect else None
    if effect and sign is None:
        raise ValueError(f"the graph has no sign for {effect}")
    fen = body.get("between") or (None if effect == "half" else body.get("fen"))
    return Position(hui=body.get("hui"), fen=fen, sign=sign, effect=effect)
