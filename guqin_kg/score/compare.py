"""Comparison of a score's readings with the numbered notation beside them, and where a slip would explain a miss."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from guqin_kg.model import Position
from guqin_kg.score.context import Event, Interpretation, attacks
from guqin_kg.sound.position import Fingerboard
from guqin_kg.sound.state import Sounding
from guqin_kg.sound.tuning import note_name

TOLERANCE = 50.0  # cents


@dataclass(frozen=True, slots=True)
class Pair:
    """One sound of a reading and the note beside it; ``cents`` = sound minus note; ``kind``: note, left hand, slide."""

    event: Event
    sound: Sounding
    note: float
    cents: float
    kind: str

    @property
    def agrees(self) -> bool:
        """Within 50 cents."""
        return abs(self.cents) <= TOLERANCE


@dataclass(slots=True)
class Slip:
    """Misses that one other position would explain."""

    pairs: list[Pair]
    written: str
    instead: str
    writer: Event

    @property
    def message(self) -> str:
        """The finding as a sentence."""
        numbers = ", ".join(p.event.row.number for p in self.pairs)
        return (
            f"no. {self.writer.row.number} writes position {self.written} in {self.writer.text}: "
            f"with {self.instead} all {len(self.pairs)} notes that rest on it (no. {numbers}) agree with the numbered "
            f"notation; a slip of the source"
        )


@dataclass(slots=True)
class Comparison:
    """All pairs, and the slips that explain misses."""

    pairs: list[Pair] = field(default_factory=list)
    slips: list[Slip] = field(default_factory=list)

    def count(self, kind: str | None = None, sound: str | None = None) -> tuple[int, int]:
        """(compared, agreeing) pairs of a kind and sound type."""
        chosen = [p for p in self.pairs if kind in (None, p.kind) and sound in (None, p.sound.sound)]
        return len(chosen), sum(p.agrees for p in chosen)

    def to_json(self) -> dict[str, Any]:
        """Counts by kind and by sound type, misses with their place, slips."""
        out: dict[str, Any] = {"tolerance_cents": TOLERANCE}
        for kind in ("note", "left hand", "slide"):
            compared, agreeing = self.count(kind)
            out[kind.replace(" ", "_") + "s"] = {"compared": compared, "within_tolerance": agreeing}
        out["notes"]["by_sound"] = {
            sound: dict(zip(("compared", "within_tolerance"), self.count("note", sound), strict=True))
            for sound in ("open", "stopped", "harmonic")
        }
        out["misses"] = [
            {
                "index": p.event.index,
                "no": p.event.row.number,
                "line": p.event.row.line,
                "reading": p.event.text,
                "jianpu": p.event.row.jianpu,
                "expected_midi": p.note,
                "expected_note": note_name(p.note),
                "cents": round(p.cents, 1),
                "octaves": round(p.cents / 1200) if abs(p.cents - 1200 * round(p.cents / 1200)) <= TOLERANCE else None,
                "slip": next((s.instead for s in self.slips if p in s.pairs), None),
            }
            for p in self.pairs
            if not p.agrees
        ]
        out["slips"] = [
            {
                "no": s.writer.row.number,
                "line": s.writer.row.line,
                "reading": s.writer.text,
                "written": s.written,
                "instead": s.instead,
                "notes": [p.event.row.number for p in s.pairs],
                "message": s.message,
            }
            for s in self.slips
        ]
        return out


def compare(found: Interpretation, board: Fingerboard, names: dict[int, str]) -> Comparison | None:
    """Compare where the score has numbered notation; None where it has none.

    Args:
        found: the interpreted score.
        board: positions of the graph.
        names: reading word of each hui, for naming the position that would fit.
    """
    if found.tonic is None or not any(e.jianpu for e in found.events):
        return None
    out = Comparison(_pairs(found))
    if not out.pairs:
        return None
    for writer, group in groupby(_missed_runs(out.pairs), key=lambda pair: pair.sound.origin):
        pairs = list(group)
        if writer is None or pairs[0].sound.written is None:
            continue
        slip = _explain(pairs, found.events[writer], found, board, names)
        if slip is not None:
            out.slips.append(slip)
    return out


def _missed_runs(pairs: list[Pair]) -> list[Pair]:
    """Misses whose place was written in one event where *all* that rests on that place misses."""
    wrong = {p.sound.origin for p in pairs if not p.agrees}
    right = {p.sound.origin for p in pairs if p.agrees}
    return [p for p in pairs if not p.agrees and p.sound.origin in wrong - right]


def _pairs(found: Interpretation) -> list[Pair]:
    out: list[Pair] = []
    chord: list[tuple[Event, Sounding]] = []
    notes: tuple[float, ...] = ()
    for _, group in groupby(found.events, key=lambda e: id(e.row)):
        events = list(group)
        token = events[0].jianpu
        sounds = [(e, s) for e in events for s in e.result.sounds]
        if token is None:
            continue
        if token.prolongs:
            chord += [(e, s) for e, s in sounds if e.result.joins and s.role != "slide"]
            continue
        out += _match(chord, notes, found)
        first = [(e, e.result.sounds[0]) for e in events if e.result.sounds][:1]
        several = len(token.midi) > 1
        chord = [(e, s) for e, s in sounds if s in attacks(e)] if several else first
        notes = token.midi
    return out + _match(chord, notes, found)


def _match(chord: list[tuple[Event, Sounding]], notes: tuple[float, ...], found: Interpretation) -> list[Pair]:
    """Pair each written note with the nearest sound of its line."""
    out: list[Pair] = []
    left = [(e, s, m) for e, s in chord if (m := s.midi(found.strings)) is not None and not _stepwise(s)]
    for note in notes:
        if not left:
            break
        best = min(left, key=lambda item: abs(item[2] - note))
        left.remove(best)
        event, sound, midi = best
        kind = {"slide": "slide", "left hand": "left hand"}.get(sound.role, "note")
        out.append(Pair(event, sound, note, 100.0 * (midi - note), kind))
    return out


def _stepwise(sound: Sounding) -> bool:
    """A slide in several steps of which only the last place is written: the note beside it is an earlier step."""
    shape = sound.profile.shape if sound.role == "slide" and sound.profile is not None else ()
    return any(scaled and 0.0 < height < 1.0 for _, height, scaled in shape)


def _explain(
    pairs: list[Pair], writer: Event, found: Interpretation, board: Fingerboard, names: dict[int, str]
) -> Slip | None:
    """The hui nearest to the written one with which all ``pairs`` agree."""
    written = pairs[0].sound.written
    if written is None or written.hui is None:
        return None
    for hui in sorted(board.hui, key=lambda h: abs(h - (written.hui or 0))):
        if hui == written.hui and written.fen is None and written.effect is None:
            continue
        if all(abs(_cents(p, hui, board, found)) <= TOLERANCE for p in pairs):
            return Slip(pairs, _word(written, names), names.get(hui, str(hui)), writer)
    return None


def _cents(pair: Pair, hui: int, board: Fingerboard, found: Interpretation) -> float:
    from dataclasses import replace

    place = board.place(Position(hui=hui))
    harmonic = board.harmonic(Position(hui=hui)) if pair.sound.sound == "harmonic" else None
    midi = replace(pair.sound, place=place, harmonic=harmonic).midi(found.strings)
    return 100.0 * (midi - pair.note) if midi is not None else float("inf")


def _word(position: Position, names: dict[int, str]) -> str:
    return names.get(position.hui or 0, "") + (names.get(position.fen, "") if position.fen else position.sign or "")
