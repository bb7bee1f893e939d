"""A score interpreted: each reading in its context, with what was carried, what sounds, and what stays open."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from guqin_kg.errors import ReadingError
from guqin_kg.model import Notation
from guqin_kg.notation.grammar import Grammar
from guqin_kg.notation.parse import parse_cell
from guqin_kg.score.jianpu import Jianpu, parse_jianpu, tonic_of
from guqin_kg.score.read import Row, Score
from guqin_kg.score.scopes import Scopes
from guqin_kg.sound.performance import Profile
from guqin_kg.sound.resolve import Resolver
from guqin_kg.sound.state import Finding, Reading, Sounding
from guqin_kg.sound.tuning import OpenStrings, note_name, open_strings

_SAME = 0.5
"""Semitones by which two pitches may differ and still pass for one."""


@dataclass(slots=True)
class Event:
    """One reading of the score in context.

    Attributes:
        index: from 0, in the order of the score.
        row: the line it stands in; kind: ``main``, ``side`` or ``mark``.
        notation: its structure; None where it cannot be read (then ``error``).
        result: what it comes to.
        jianpu: the numbered notation of its line (on the first event of the line only).
    """

    index: int
    row: Row
    kind: str
    text: str
    notation: Notation | None = None
    result: Reading = field(default_factory=Reading)
    error: str | None = None
    jianpu: Jianpu | None = None
    harmonic_passage: bool = False

    @property
    def beats(self) -> float | None:
        """Length in beats where the score says so."""
        if self.jianpu is not None:
            return self.jianpu.beats
        return None

    def to_json(self, strings: OpenStrings) -> dict[str, Any]:
        """All that is known about the event; pitches as in ``guqin pitch``."""
        out: dict[str, Any] = {
            "index": self.index,
            "no": self.row.number,
            "line": self.row.line,
            "section": self.row.section,
            "kind": self.kind,
            "reading": self.text,
        }
        if self.notation is None:
            out["error"] = self.error
        else:
            out["form"] = self.notation.form
            out["harmonic_passage"] = self.harmonic_passage
            out["carried"] = self.result.carried
            out["pitches"] = [{**s.to_json(strings), "written_at": s.origin} for s in self.result.sounds]
            out["gestures"] = [
                {"string": s.string, "profile": s.profile.id, "cents": round(s.distance, 2), "into": s.into}
                for s in self.result.shapes
            ]
        out["open"] = list(self.result.left_open)
        if self.jianpu is not None:
            out["jianpu"] = self.row.jianpu
            out["jianpu_midi"] = list(self.jianpu.midi)
        return out


@dataclass(slots=True)
class Interpretation:
    """A whole score in context.

    Attributes:
        events: in order; findings: (event or None for the whole, finding).
        order: indices of events as they are played, repeats written out.
        tonic: MIDI number of an unmarked 1 of the numbered notation, or None.
    """

    score: Score
    events: list[Event]
    findings: list[tuple[Event | None, Finding]]
    strings: OpenStrings
    tradition: str
    order: list[int]
    tonic: float | None


def interpret(
    score: Score,
    grammar: Grammar,
    *,
    tuning: str | None = None,
    tradition: str | None = None,
    temperament: str | None = None,
    a4: float = 440.0,
) -> Interpretation:
    """Read ``score`` from start to end.

    Args:
        score: as written.
        grammar: of the graph to read with.
        tuning, tradition, temperament, a4: as in :func:`guqin_kg.sound.pitch.pitch`; tuning and tradition of the
            piece in the graph are used where none is given.

    Raises:
        NotFoundError, UsageError: unknown tuning, tradition or temperament.
    """
    inventory = grammar.inventory
    strings = open_strings(inventory, tuning or score.tuning, temperament, a4)
    resolver = Resolver(inventory, tradition or score.tradition)
    tonic = tonic_of(score.comments, _degrees(grammar, strings), strings.tuning.midi)
    scopes = Scopes()
    events: list[Event] = []
    findings: list[tuple[Event | None, Finding]] = []
    for row in score.rows:
        if row.label:
            scopes.label(row.label, len(events))
        cells = _cells(row, grammar, resolver)
        token = parse_jianpu(row.jianpu, tonic) if tonic is not None else None
        for number, event in enumerate(cells):
            event.index = resolver.index = len(events)
            event.jianpu = token if number == 0 else None
            events.append(event)
            if event.notation is None:
                findings.append((event, Finding("reading", "warning", event.error or "cannot be read")))
                continue
            words = fixed_profiles(event.notation, resolver)
            findings += [(event, f) for f in scopes.enter(event.index, words, row.mode, row.number)]
            if scopes.just_closed:
                resolver.forget_place()
            resolver.hands.harmonics = scopes.harmonics
            event.harmonic_passage = scopes.harmonics
            event.result = resolver.read(event.notation)
            findings += [(event, f) for f in event.result.findings]
            if event.result.joins and not event.result.sounds:
                _join(events)
            findings += [(event, f) for f in _as_one(events, strings)]
    findings += [(events[at] if at is not None else None, f) for at, f in scopes.end()]
    return Interpretation(score, events, findings, strings, resolver.tradition, scopes.played(len(events)), tonic)


def fixed_profiles(notation: Notation, resolver: Resolver) -> dict[str, Profile | None]:
    """Words of a notation that stands alone (marks, figures of both hands) with their profiles; else empty."""
    if notation.form != "standalone":
        return {}
    named = resolver.performance.named
    return {w: named(w, "marker", "two-hand") or named(w) for w in notation.techniques}


def _degrees(grammar: Grammar, strings: OpenStrings) -> dict[int, str]:
    from guqin_kg.inventory import GQ

    view = grammar.inventory.view
    out = {}
    for string in view.values(strings.tuning.iri, GQ + "openString"):
        degree = view.value(string, GQ + "jianpu")
        if degree:
            out[int(view.value(string, GQ + "stringNumber") or 0)] = degree
    return out


def _cells(row: Row, grammar: Grammar, resolver: Resolver) -> list[Event]:
    """The readings of a line in the order in which they act."""
    before = [e for text in row.marks for e in _parse(text, "mark", row, grammar)]
    main = _parse(row.main, "main", row, grammar) if row.main else []
    sides = [e for text in row.sides for e in _parse(text, "side", row, grammar)]
    joined = any(
        p is not None and p.joins_previous
        for e in sides
        if e.notation is not None
        for p in fixed_profiles(e.notation, resolver).values()
    )
    early: list[Event] = []
    if joined and main:
        # a pull-off at the same moment as the pluck acts on the note before, so it goes first
        early = [e for e in sides if _releases(e, resolver)]
        sides = [e for e in sides if e not in early]
    return [*before, *early, *main, *sides]


def _releases(event: Event, resolver: Resolver) -> bool:
    if event.notation is None:
        return False
    found = (resolver.performance.named(w) for w in event.notation.techniques)
    return any(p is not None and p.state_effect == "ReleasesString" for p in found)


def _parse(text: str, kind: str, row: Row, grammar: Grammar) -> list[Event]:
    try:
        return [Event(0, row, kind, r.text, r.notation) for r in parse_cell(text, grammar)]
    except ReadingError as error:
        said = f"{error.message}; {error.hint}" if error.hint else error.message
        return [Event(0, row, kind, text, error=said)]


def _join(events: list[Event]) -> None:
    """A mark of simultaneity: the last sound starts with the one before it."""
    for event in reversed(events):
        if any(s.role != "slide" for s in event.result.sounds):
            event.result.joins = True
            return


def _as_one(events: list[Event], strings: OpenStrings) -> list[Finding]:
    """What is to sound as one on an open and a stopped string must have one pitch, or its octaves."""
    here = [s for s in attacks(events[-1]) if s.profile is not None and s.profile.same_pitch]
    if here and len({s.string for s in here}) == 1 and events[-1].result.joins:
        before = (s for event in reversed(events[:-1]) for s in reversed(attacks(event)))
        here = [*here, *islice(before, 1)]
    by_string = {s.string: s for s in here}
    if len(by_string) != 2:
        return []
    first, second = by_string.values()
    if {first.sound, second.sound} - {"open", "stopped", None}:
        return []
    if first.sound == second.sound is not None:
        return [Finding("V25", "warning", f"both strings are {first.sound}; one is to be open and one stopped")]
    high, low = first.midi(strings), second.midi(strings)
    if high is None or low is None:
        return []
    apart = abs((high - low + 6) % 12 - 6)
    if apart <= _SAME:
        return []
    names = f"string {first.string} sounds {note_name(high)} and string {second.string} {note_name(low)}"
    return [Finding("V25", "warning", f"the two are to sound as one, but {names}, {100 * apart:.0f} cents apart")]


def attacks(event: Event) -> list[Sounding]:
    """Sounds of an event that are struck rather than reached by sliding."""
    return [s for s in event.result.sounds if s.role != "slide"]
