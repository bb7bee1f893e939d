"""Scopes over a score: harmonic passages and repeats, opened and closed by marks whose effect the graph states."""

from __future__ import annotations

from guqin_kg.sound.performance import Profile
from guqin_kg.sound.state import Finding

HARMONIC = "HarmonicScope"
REPEAT = "RepeatScope"


class Scopes:
    """Follows the marks of a score; reports what is opened twice, never closed, or repeated from nowhere."""

    def __init__(self) -> None:
        self.opened: dict[str, int] = {}
        self.by_column = False
        self.just_closed = False
        self._anchor: int | None = None
        self._repeats: list[tuple[int, int, int]] = []
        self._numbers: dict[int, str] = {}

    @property
    def harmonics(self) -> bool:
        """Whether everything here is a harmonic."""
        return HARMONIC in self.opened or self.by_column

    def enter(self, index: int, profiles: list[Profile], mode: str | None, number: str) -> list[Finding]:
        """Take in one event: marks it holds, and what a column of the file says about it."""
        found: list[Finding] = []
        self._numbers[index] = number
        was = self.harmonics
        self.by_column = bool(mode) and mode.strip().lower() in ("harmonic", "harmonics", "泛", "泛音")  # type: ignore[union-attr]
        for profile in profiles:
            if profile.opens == HARMONIC:
                if HARMONIC in self.opened:
                    at = self._numbers[self.opened[HARMONIC]]
                    found.append(Finding("V08", "violation", f"harmonics begin again; they began at no. {at} already"))
                self.opened[HARMONIC] = index
            elif profile.closes == HARMONIC:
                if HARMONIC not in self.opened and not was:
                    found.append(Finding("V08", "violation", "harmonics end here, but they never began"))
                self.opened.pop(HARMONIC, None)
                self.by_column = False
            elif profile.opens == REPEAT:
                self._anchor = index
            elif profile.repeats == REPEAT:
                if self._anchor is None:
                    found.append(Finding("V28", "violation", "a repeat, but no mark before it says from where"))
                else:
                    self._repeats.append((self._anchor, index, profile.repeat_times or 1))
            elif profile.repeats_from_start:
                self._repeats.append((0, index, profile.repeat_times or 1))
        self.just_closed = was and not self.harmonics
        return found

    def end(self) -> list[tuple[int | None, Finding]]:
        """Findings at the end of the score: what was never closed, at its opening mark."""
        at = self.opened.get(HARMONIC)
        if at is None:
            return []
        return [(at, Finding("V08", "violation", "harmonics begin here and never end: the closing mark is missing"))]

    def played(self, count: int) -> list[int]:
        """Indices of ``count`` events with repeats written out (each repeat once taken, inner ones not again)."""
        out: list[int] = []
        ends = {end: (start, times) for start, end, times in self._repeats}
        for index in range(count):
            out.append(index)
            if index in ends:
                start, times = ends[index]
                out += list(range(start, index)) * times
        return out
