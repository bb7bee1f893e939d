"""Tunings of the seven open strings, as the graph states them, and the names of pitches."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from guqin_kg.errors import NotFoundError, UsageError
from guqin_kg.inventory import GQ, Inventory, local
from guqin_kg.sound.remember import remember

_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
_SKOS_NOTE = "http://www.w3.org/2004/02/skos/core#note"
_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"


@dataclass(frozen=True, slots=True)
class Tuning:
    """One tuning.

    Attributes:
        midi: MIDI numbers of strings 1-7 in equal temperament.
        notes: what the graph remarks, conflicts of names above all.
    """

    iri: str
    id: str
    name: str
    aliases: tuple[str, ...]
    midi: tuple[float, ...]
    confidence: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Temperament:
    """How the open strings are tuned among themselves; ``ratios`` of twelve semitones above string 1, or None."""

    id: str
    ratios: tuple[Fraction, ...] | None


@dataclass(frozen=True, slots=True)
class OpenStrings:
    """A tuning made to sound: MIDI number (a real number) of each open string, and the pitch of A4 in Hz."""

    tuning: Tuning
    temperament: Temperament
    midi: tuple[float, ...]
    a4: float = 440.0

    def hz(self, midi: float) -> float:
        """Frequency in Hz of a MIDI number."""
        return self.a4 * 2.0 ** ((midi - 69.0) / 12.0)


def tunings(inventory: Inventory) -> tuple[Tuning, ...]:
    """All tunings of the graph, sorted by id."""
    return remember(inventory, "tunings", _tunings)


def _tunings(inventory: Inventory) -> tuple[Tuning, ...]:
    view = inventory.view
    found = []
    for iri in view.instances(GQ + "Tuning"):
        strings = sorted(
            (int(view.value(s, GQ + "stringNumber") or 0), float(view.value(s, GQ + "midi") or "nan"))
            for s in view.values(iri, GQ + "openString")
        )
        labels = view.by_lang(iri, _LABEL)
        found.append(
            Tuning(
                iri=iri,
                id=view.value(iri, GQ + "code") or local(iri),
                name=view.value(iri, GQ + "tuningName") or labels.get("zh", local(iri)),
                aliases=view.values(iri, GQ + "alias"),
                midi=tuple(midi for _, midi in strings),
                confidence=local(c) if (c := view.value(iri, GQ + "confidence")) else None,
                notes=view.values(iri, _SKOS_NOTE),
            )
        )
    return tuple(sorted(found, key=lambda t: t.id))


def default_tuning(inventory: Inventory) -> Tuning:
    """The tuning from which the others are counted: the graph's ``delta`` is 0 on every string."""
    return remember(inventory, "default tuning", _default_tuning)


def _default_tuning(inventory: Inventory) -> Tuning:
    view = inventory.view
    for tuning in tunings(inventory):
        deltas = {view.value(s, GQ + "delta") for s in view.values(tuning.iri, GQ + "openString")}
        if deltas == {"0"}:
            return tuning
    raise NotFoundError("the graph has no standard tuning", hint="one gq:Tuning must have gq:delta 0 on every string")


def find_tuning(inventory: Inventory, name: str | None) -> Tuning:
    """The tuning called ``name`` (name, id, IRI or other name); the standard one for None.

    Raises:
        NotFoundError: no tuning has this name; the nearest are named.
        UsageError: the name belongs to several tunings.
    """
    if name is None:
        return default_tuning(inventory)
    known = tunings(inventory)
    wanted = re.split(r"[(（]", name)[0].strip().casefold() or name.strip().casefold()
    for spellings in (lambda t: (t.id, t.name, t.iri, local(t.iri)), lambda t: t.aliases):
        found = [t for t in known if wanted in {s.casefold() for s in spellings(t)}]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"{name!r} is a name of several tunings: {', '.join(f'{t.name} ({t.id})' for t in found)}",
                code="ambiguous-tuning",
                hint="use the id in brackets",
            )
    from rapidfuzz import process

    names = {s: t for t in known for s in (t.name, t.id, *t.aliases)}
    near = list(dict.fromkeys(names[s].name for s, _, _ in process.extract(name, list(names), limit=6)))
    raise NotFoundError(
        f"the graph has no tuning {name!r}",
        code="unknown-tuning",
        hint=f"near: {', '.join(near[:3])}; all: {', '.join(t.name for t in known)}",
    )


def temperaments(inventory: Inventory) -> dict[str, Temperament]:
    """Temperaments of the graph by id; the preferred one first."""
    return remember(inventory, "temperaments", _temperaments)


def _temperaments(inventory: Inventory) -> dict[str, Temperament]:
    view = inventory.view
    rows = []
    for iri in view.instances(GQ + "Temperament"):
        text = view.value(iri, GQ + "intervalRatios")
        ratios = tuple(Fraction(r) for r in text.split()) if text else None
        rows.append((view.value(iri, GQ + "preferred") != "true", local(iri).removeprefix("temperament-"), ratios))
    return {id_: Temperament(id_, ratios) for _, id_, ratios in sorted(rows, key=lambda r: r[:2])}


def open_strings(
    inventory: Inventory, tuning: str | None = None, temperament: str | None = None, a4: float = 440.0
) -> OpenStrings:
    """The seven open strings of a tuning, in a temperament, at a pitch.

    With ratios, string 1 keeps its equal-tempered pitch and the others are tuned to it.

    Raises:
        NotFoundError, UsageError: unknown or ambiguous name, ``a4`` not between 300 and 600 Hz.
    """
    if not 300.0 <= a4 <= 600.0:
        raise UsageError(f"A4 = {a4:g} Hz is outside 300-600 Hz", hint="440 is usual; 415 and 432 are used too")
    found = find_tuning(inventory, tuning)
    known = temperaments(inventory)
    if temperament is not None and temperament not in known:
        raise NotFoundError(f"unknown temperament {temperament!r}", hint=f"known: {', '.join(known)}")
    chosen = known[temperament] if temperament else next(iter(known.values()))
    midi = found.midi
    if chosen.ratios is not None:
        first = midi[0]
        midi = tuple(_tempered(first, m, chosen.ratios) for m in midi)
    return OpenStrings(found, chosen, midi, a4)


def _tempered(first: float, midi: float, ratios: tuple[Fraction, ...]) -> float:
    """MIDI number of the interval ``first`` … ``midi`` taken from the ratios of its twelve semitones."""
    octaves, step = divmod(round(midi - first), 12)
    return first + 12 * octaves + 12 * math.log2(ratios[step])


def note_name(midi: float) -> str:
    """The nearest tempered note, as C4 = MIDI 60: ``"F#2"``."""
    nearest = math.floor(midi + 0.5)
    return f"{_NAMES[nearest % 12]}{nearest // 12 - 1}"


def deviation(midi: float) -> float:
    """Cents above the nearest tempered note, -50 … 50."""
    return 100.0 * (midi - math.floor(midi + 0.5))
