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
        self._anchors: dict[str, int] = {}
        self._repeats: list[tuple[int, int, int]] = []
        self._numbers: dict[int, str] = {}

    @property
    def harmonics(self) -> bool:
        """Whether everything here is a harmonic."""
        return HARMONIC in self.opened or self.by_column

    def label(self, name: str, index: int) -> None:
        """A reference mark before event ``index``: a repeat may name it."""
        self._anchors[name] = index

    def enter(self, index: int, words: dict[str, Profile | None], mode: str | None, number: str) -> list[Finding]:
        """Take in one event.

        Args:
            index: of the event.
            words: of a notation that stands alone, with their profiles; empty for other notations.
            mode: what a column of the file says holds here.
            number: what the score calls the event.
        """
        found: list[Finding] = []
        self._numbers[index] = number
        was = self.harmonics
        self.by_column = (mode or "").strip().lower() in ("harmonic", "harmonics")
        profiles = [p for p in words.values() if p is not None]
        repeats = any(p.repeats or p.repeats_from_start for p in profiles)
        for word, profile in words.items():
            if profile is None:
                continue
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
            elif profile.opens == REPEAT and not repeats:
                self._anchors[word] = index
            elif profile.repeats == REPEAT:
                start = self._start(words)
                if start is None:
                    found.append(Finding("V28", "violation", "a repeat, but no mark before it says from where"))
                else:
                    self._repeats.append((start, index, profile.repeat_times or 1))
            elif profile.repeats_from_start:
                self._repeats.append((0, index, profile.repeat_times or 1))
        self.just_closed = was and not self.harmonics
        return found

    def _start(self, words: dict[str, Profile | None]) -> int | None:
        """Where a repeat begins: at the mark it names, else at the latest mark."""
        named = [self._anchors[word] for word in words if word in self._anchors]
        return max(named or self._anchors.values(), default=None)

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
