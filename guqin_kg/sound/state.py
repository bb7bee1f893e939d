"""Records of the interpretation: what sounds, where the hands are, what is found wanting."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from guqin_kg.model import Position
from guqin_kg.sound.performance import Profile
from guqin_kg.sound.position import Place
from guqin_kg.sound.tuning import OpenStrings, deviation, note_name

Severity = Literal["violation", "warning", "info"]
Role = Literal["pluck", "left hand", "slide"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something the sequence gets wrong or leaves unclear: rule id of the validity table, severity, sentence."""

    rule: str
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class Sounding:
    """One sound: an attack on one string, or a place the sounding string slides to.

    Attributes:
        string: 1-7, or None where the score leaves it open.
        sound: ``open``, ``stopped``, ``harmonic``, or None.
        place: where the string is stopped or touched; None for an open string or where it is left open.
        harmonic: number of the harmonic.
        role: plucked, sounded by the left hand, or reached by sliding.
        group: sounds with the same number start together; groups follow each other.
        profile: how it is excited or moved; offset: seconds after the notation's start.
        origin: index of the event that wrote the place (a score), for pointing at slips.
    """

    string: int | None
    sound: str | None
    place: Place | None = None
    harmonic: int | None = None
    role: Role = "pluck"
    group: int = 0
    offset: float = 0.0
    profile: Profile | None = None
    origin: int | None = None
    written: Position | None = None

    @property
    def ratio(self) -> Fraction | None:
        """Frequency over that of the open string, exact; None where it is not determined."""
        if self.sound == "open":
            return Fraction(1)
        if self.sound == "harmonic":
            return Fraction(self.harmonic) if self.harmonic else None
        return 1 / self.place.fraction if self.place is not None else None

    def midi(self, strings: OpenStrings) -> float | None:
        """MIDI number (a real number), or None where it is not determined."""
        if self.string is None or self.ratio is None:
            return None
        return strings.midi[self.string - 1] + 12.0 * math.log2(self.ratio)

    def midi_range(self, strings: OpenStrings) -> tuple[float, float] | None:
        """Lowest and highest MIDI number the sources allow, or None where they agree or nothing is known."""
        if self.string is None or self.sound != "stopped" or self.place is None or self.place.certain:
            return None
        base = strings.midi[self.string - 1]
        return base - 12.0 * math.log2(self.place.high), base - 12.0 * math.log2(self.place.low)

    def to_json(self, strings: OpenStrings) -> dict[str, Any]:
        """String, sound, fraction, ratio, cents, midi, hz, note, and where the sources differ the range."""
        out: dict[str, Any] = {"string": self.string, "sound": self.sound, "role": self.role, "group": self.group}
        out["fraction"] = str(self.place.fraction) if self.place is not None else None
        if self.harmonic:
            out["harmonic"] = self.harmonic
        ratio, midi = self.ratio, self.midi(strings)
        out["ratio"] = f"{ratio.numerator}/{ratio.denominator}" if ratio is not None else None
        out["cents"] = round(1200.0 * math.log2(ratio), 3) if ratio is not None else None
        out["midi"] = round(midi, 4) if midi is not None else None
        out["hz"] = round(strings.hz(midi), 3) if midi is not None else None
        out["note"] = note_name(midi) if midi is not None else None
        out["deviation_cents"] = round(deviation(midi), 2) if midi is not None else None
        span = self.midi_range(strings)
        if span is not None:
            low, high = span
            out["range"] = {
                "midi": [round(low, 4), round(high, 4)],
                "hz": [round(strings.hz(low), 3), round(strings.hz(high), 3)],
                "notes": [note_name(low), note_name(high)],
            }
        return out


@dataclass(slots=True)
class StringState:
    """The last sound of one string."""

    sound: str | None
    place: Place | None = None
    position: Position | None = None
    finger: str | None = None
    origin: int | None = None


@dataclass(slots=True)
class Hands:
    """Where the hands are, as later notations take it up.

    Attributes:
        finger, place, position: of the left hand; ``before`` is the place before the last slide.
        held: finger to the string and place it was last put on.
        strings: the last sound of each string.
        current: the string that sounds.
        techniques: the right hand's last.
        open_left: for how many notations an open tone is still carried.
        harmonics: inside a harmonic passage; touched: the place was only touched, outside such a passage.
        recent: the last plucked sounds, oldest first.
        run: string, profile and techniques of an unfinished run.
        writer: index of the event that wrote the place.
    """

    finger: str | None = None
    place: Place | None = None
    position: Position | None = None
    before: Place | None = None
    held: dict[str, tuple[int, Place]] = field(default_factory=dict)
    strings: dict[int, StringState] = field(default_factory=dict)
    current: int | None = None
    techniques: tuple[str, ...] = ()
    open_left: int = 0
    harmonics: bool = False
    touched: bool = False
    recent: list[Sounding] = field(default_factory=list)
    run: tuple[int, Profile] | None = None
    writer: int | None = None


@dataclass(slots=True)
class Shape:
    """A movement of the left hand on the sounding string.

    Attributes:
        string: the string it acts on.
        profile: its parameters in the graph.
        distance: cents to the target (for slides).
        into: before the attack rather than after it.
    """

    string: int
    profile: Profile
    distance: float = 0.0
    into: bool = False


@dataclass(slots=True)
class Reading:
    """What one notation comes to.

    Attributes:
        sounds: in order of time.
        shapes: movements on sounding strings.
        carried: field to the words it was completed with.
        left_open: what the notation (in its context) does not determine, in sentences.
        findings: breaches of the validity rules.
        rest_beats, time_factor, joins: effect on time; damps: whatever sounds is stopped.
    """

    sounds: list[Sounding] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    carried: dict[str, Any] = field(default_factory=dict)
    left_open: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    rest_beats: float = 0.0
    time_factor: float = 1.0
    joins: bool = False
    damps: bool = False
