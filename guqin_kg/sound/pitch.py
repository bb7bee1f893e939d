"""The pitch of a notation alone: what sounds, how high, and what only a score could say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from guqin_kg.inventory import Inventory
from guqin_kg.model import Notation
from guqin_kg.sound.resolve import Resolver
from guqin_kg.sound.state import Reading
from guqin_kg.sound.tuning import OpenStrings, open_strings


@dataclass(frozen=True, slots=True)
class PitchReport:
    """What one notation sounds.

    Attributes:
        reading: the sounds, gestures and open questions.
        strings: the tuning they were computed in.
        tradition: how two-digit positions were understood.
    """

    reading: Reading
    strings: OpenStrings
    tradition: str

    def to_json(self) -> dict[str, Any]:
        """``{"tuning", "tradition", "events": [...], "open": [...]}``; a single pitch is repeated at the top level."""
        events = [sound.to_json(self.strings) for sound in self.reading.sounds]
        out: dict[str, Any] = {
            "tuning": tuning_json(self.strings),
            "tradition": self.tradition,
            "events": events,
            "open": list(self.reading.left_open),
            "findings": [{"rule": f.rule, "severity": f.severity, "message": f.message} for f in self.reading.findings],
        }
        pitches = {(e["string"], e["midi"]) for e in events}
        if len(pitches) == 1 and events[0]["midi"] is not None:
            for key in ("string", "fraction", "ratio", "cents", "midi", "hz", "note", "deviation_cents"):
                out[key] = events[0][key]
        return out


def tuning_json(strings: OpenStrings) -> dict[str, Any]:
    """Name, temperament, reference and open strings of a tuning."""
    return {
        "id": strings.tuning.id,
        "name": strings.tuning.name,
        "iri": strings.tuning.iri,
        "temperament": strings.temperament.id,
        "a4": strings.a4,
        "open_strings": [
            {"string": n, "midi": round(m, 4), "hz": round(strings.hz(m), 3)} for n, m in enumerate(strings.midi, 1)
        ],
        "notes": list(strings.tuning.notes),
    }


def pitch(
    notation: Notation,
    inventory: Inventory,
    *,
    tuning: str | None = None,
    tradition: str | None = None,
    temperament: str | None = None,
    a4: float = 440.0,
) -> PitchReport:
    """What ``notation`` sounds, read alone.

    Args:
        tuning: name or id of a tuning of the graph (default: the standard one).
        tradition: how two-digit positions are meant (default: the graph's default).
        temperament: of the open strings among themselves (default: the graph's preferred one).
        a4: reference pitch in Hz.

    Raises:
        NotFoundError, UsageError: unknown tuning, tradition or temperament.
    """
    strings = open_strings(inventory, tuning, temperament, a4)
    resolver = Resolver(inventory, tradition, alone=True)
    return PitchReport(resolver.read(notation), strings, resolver.tradition)
