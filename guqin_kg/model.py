"""The one value that crosses module borders: a notation as a structure.

Words in these records are the *reading words* of base notations (as the graph spells them); numbers are integers.
Reading, RDF, layout, drawing and pitch are functions of a ``Notation`` and of the graph.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Form = Literal["simple", "complex", "aside", "standalone"]
Sound = Literal["open", "stopped", "harmonic"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Position(_Frozen):
    """A position as it is *written*; what it means depends on the tradition of its source.

    Attributes:
        hui: 1-13, or None for a sign that stands alone (outside the last hui).
        fen: the second written digit, 1-9; 10 only where two neighbouring hui are written (9 and 10).
        sign: reading word of a position sign of the graph (half, outside, slightly above or below).
        effect: what the graph says the sign does: ``half``, ``outside``, ``above``, ``below`` (None without sign).
    """

    hui: int | None = None
    fen: int | None = None
    sign: str | None = None
    effect: Literal["half", "outside", "above", "below"] | None = None

    def to_json(self) -> dict[str, Any]:
        """``{"hui", "fen", "outside"}`` and, only where set, ``half``, ``between``, ``near``."""
        fen = 5 if self.effect == "half" else self.fen
        out: dict[str, Any] = {
            "hui": self.hui,
            "fen": None if fen == 10 else fen,
            "outside": self.effect == "outside",
        }
        if self.effect == "half":
            out["half"] = True
        if fen == 10:
            out["between"] = 10
        if self.effect in ("above", "below"):
            out["near"] = self.effect
        return out


class Note(_Frozen):
    """What one sub-phrase writes: left hand, ornaments before the pluck, right hand, strings."""

    sound: Sound | None = None
    tone: str | None = None
    left_finger: str | None = None
    position: Position | None = None
    ornaments: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    strings: tuple[int, ...] = ()
    modifiers: tuple[str, ...] = ()
    count: str | None = None

    @property
    def technique(self) -> str | None:
        """The techniques as one word, or None."""
        return "".join(self.techniques) or None

    def to_json(self) -> dict[str, Any]:
        """The fields of the contract's parse form that a sub-note has."""
        return {
            "sound": self.sound,
            "left_finger": self.left_finger,
            "hui": self.position.to_json() if self.position else None,
            "ornaments": list(self.ornaments),
            "technique": self.technique,
            "strings": list(self.strings),
            **({"modifiers": list(self.modifiers)} if self.modifiers else {}),
            **({"tone": self.tone} if self.tone else {}),
            **({"count": self.count} if self.count else {}),
        }


class Notation(Note):
    """A whole notation.

    Attributes:
        form: simple, complex (two sub-phrases), aside (acts on the sounding note), standalone (a fixed word).
        notes: the two sub-phrases of a complex form, or the steps of an aside of several steps.
    """

    form: Form
    notes: tuple[Note, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Structure in the order of the contract; reading, iri, components and ids are added by the parser."""
        base = super().to_json()
        return {
            "form": self.form,
            **base,
            "techniques": list(self.techniques),
            "notes": [note.to_json() for note in self.notes],
        }
