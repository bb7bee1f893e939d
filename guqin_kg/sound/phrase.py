"""A phrase: readings laid out in time, turned into tones of the string model and mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from guqin_kg.sound.state import Reading, Shape, Sounding
from guqin_kg.sound.synth import Material, Shake, Tone, sound
from guqin_kg.sound.tuning import OpenStrings
from guqin_kg.sound.wav import RATE

if TYPE_CHECKING:
    import numpy as np

_RING = 5.0  # seconds a string is left to ring at most
_TAIL = 2.5  # seconds after the last attack
_PEAK = 0.7  # level of the loudest sample


@dataclass(frozen=True, slots=True)
class Timed:
    """A reading with its place in time, in seconds."""

    start: float
    seconds: float
    reading: Reading


@dataclass(slots=True)
class Voice:
    """One attack on one string with everything the left hand does to it until the string is struck again."""

    start: float
    string: int
    sounding: Sounding
    hz: float
    points: list[tuple[float, float]] = field(default_factory=list)
    shakes: list[Shake] = field(default_factory=list)
    until: float | None = None

    def travel(self, at: float, shape: Shape) -> None:
        """Add a gesture ``at`` seconds after the attack, starting from where the hand is."""
        profile = shape.profile
        if profile.shape:
            base = self.points[-1][1] if self.points and not shape.into else 0.0
            begin = 0.0 if shape.into else max(at, self.points[-1][0] if self.points else 0.0)
            if not shape.into and (not self.points or begin > self.points[-1][0]):
                self.points.append((begin, base))
            for time, height, scaled in profile.shape:
                cents = base + height * (shape.distance if scaled else 1.0)
                self.points.append((begin + time * profile.gesture_seconds, cents))
            at = begin + profile.gesture_seconds
        if profile.shake_seconds > 0 and profile.shake_extent > 0:
            self.shakes.append(
                Shake(at, profile.shake_seconds, profile.shake_extent, profile.shake_rate, profile.shake_above)
            )


def arrange(readings: Sequence[tuple[Reading, float | None]], beat: float = 1.0) -> list[Timed]:
    """Give each reading its start: ``(reading, beats or None)`` in order; ``beat`` in seconds.

    Without written beats a sound takes one beat, a slide half a beat, a shake or dart none of its own, a rest its own
    length. A reading that joins the one before starts with it.
    """
    out: list[Timed] = []
    clock = last = 0.0
    for reading, beats in readings:
        attacks = [s for s in reading.sounds if s.role != "slide"]
        length = max((s.offset for s in attacks), default=0.0)
        if beats is None:
            natural = 1.0 if attacks else 0.5 * sum(1 for s in reading.shapes if _moves(s))
            seconds = max(natural * beat * reading.time_factor, length + 0.2 if attacks else 0.0)
        else:
            seconds = max(beats * beat, length + 0.1 if attacks else 0.0)
        start = last if reading.joins and attacks else clock
        if not attacks and not reading.damps and not any(_moves(s) for s in reading.shapes) and beats is None:
            start = max(last, clock - 0.65 * beat)
        out.append(Timed(start, seconds, reading))
        if attacks:
            last = start
        clock = max(clock, start + seconds if attacks or beats is not None or reading.shapes else clock)
        if not attacks and not reading.shapes and beats is None:
            clock += reading.rest_beats * beat
    return out


def _moves(shape: Shape) -> bool:
    return any(scaled for _, _, scaled in shape.profile.shape)


def voices(timed: Sequence[Timed], strings: OpenStrings) -> list[Voice]:
    """One voice for each attack whose pitch is determined, with the gestures that act on it."""
    out: list[Voice] = []
    sounding: dict[int, Voice] = {}
    for event in timed:
        if event.reading.damps and not event.reading.sounds:
            for voice in sounding.values():
                voice.until = event.start
            sounding.clear()
        for item in event.reading.sounds:
            midi = item.midi(strings)
            if item.role == "slide" or item.string is None or midi is None:
                continue
            voice = Voice(event.start + item.offset, item.string, item, strings.hz(midi))
            if item.string in sounding:
                sounding[item.string].until = voice.start
            sounding[item.string] = voice
            out.append(voice)
            for shape in event.reading.shapes:
                if shape.into and shape.string == item.string:
                    voice.travel(0.0, shape)
        for number, shape in enumerate(s for s in event.reading.shapes if not s.into):
            struck = sounding.get(shape.string)
            if struck is not None:
                struck.travel(
                    max(event.start - struck.start, 0.0) + 0.25 * (number + (struck.start >= event.start)), shape
                )
    return out


def render(
    found: Sequence[Voice], strings: OpenStrings, material: Material, *, rate: int = RATE, seed: int = 0
) -> np.ndarray:
    """Mix voices to samples (float, loudest 0.7, shape ``(n,)``); 0.1 s of silence when there are none."""
    import numpy as np

    if not found:
        return np.zeros(rate // 10)
    end = max(_last(v) for v in found) + _TAIL
    mix = np.zeros(int(end * rate) + 1)
    for number, voice in enumerate(found):
        seconds = min(_RING, end - voice.start)
        if voice.until is not None:
            seconds = min(seconds, max(voice.until - voice.start, 0.02) + 0.03)
        profile = voice.sounding.profile
        tone = Tone(
            hz=voice.hz,
            open_hz=strings.hz(strings.midi[voice.string - 1]),
            seconds=seconds,
            node=_node(voice.sounding),
            points=tuple(voice.points),
            shakes=tuple(voice.shakes),
            strength=profile.strength if profile else 1.0,
            brightness=profile.brightness if profile else 0.5,
            place=profile.pluck_place if profile else 0.08,
            stopped=voice.sounding.sound == "stopped",
        )
        samples = sound(tone, material, rate=rate, seed=seed * 1_000_003 + number)
        at = round(voice.start * rate)
        samples = samples[: len(mix) - at]
        mix[at : at + len(samples)] += samples
    peak = float(np.max(np.abs(mix)))
    mix *= _PEAK / max(peak, 1e-9)
    fall = min(int(0.02 * rate), len(mix))
    mix[-fall:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(fall) / max(fall - 1, 1))
    return mix


def _last(voice: Voice) -> float:
    moves = [t for t, _ in voice.points] + [s.start + s.seconds for s in voice.shakes]
    return voice.start + max(moves, default=0.0)


def _node(item: Sounding) -> Fraction | None:
    return item.place.fraction if item.sound == "harmonic" and item.place is not None else None
