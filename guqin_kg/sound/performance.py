"""How base notations are performed, read from the graph: profiles with general parameters, no technique by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from guqin_kg.errors import DataError
from guqin_kg.inventory import GQ, GQR, BaseNotation, Inventory, local
from guqin_kg.sound.remember import remember

Stroke = tuple[int, ...]  # indices (from 0) of the acted strings that sound together


@dataclass(frozen=True, slots=True)
class Profile:
    """One performance profile (``gq:PerformanceProfile``); fields as the properties of that name in the ontology.

    ``held_by`` (ids of fingers) and ``same_pitch`` come from the base notation itself: several share a profile.
    """

    id: str
    excitation: str | None = None
    acts_on: str | None = None
    sounds_at: str | None = None
    pattern: str | None = None
    spacing: float = 0.3
    strength: float = 1.0
    brightness: float = 0.5
    pluck_place: float = 0.08
    timing: str | None = None
    shape: tuple[tuple[float, float, bool], ...] = ()
    gesture_seconds: float = 0.3
    default_step: float | None = None
    slide_sign: int | None = None
    shake_extent: float = 0.0
    shake_rate: float = 0.0
    shake_seconds: float = 0.0
    shake_above: bool = False
    state_effect: str | None = None
    opens: str | None = None
    closes: str | None = None
    repeats: str | None = None
    repeats_from_start: bool = False
    repeat_times: int = 0
    needs_stopped: bool = False
    needs_place: bool = False
    needs_held: bool = False
    joins_previous: bool = False
    completes_run: bool = False
    holding_finger: str | None = None
    sounding_finger: str | None = None
    rest_beats: float = 0.0
    time_factor: float = 1.0
    held_by: frozenset[str] = frozenset()
    same_pitch: bool = False

    @property
    def sounds(self) -> bool:
        """Whether it excites a string."""
        return self.excitation in ("Pluck", "Strike", "PullOff") and bool(self.pattern)

    def strokes(self, written: int) -> list[Stroke]:
        """The sounds in order for ``written`` strings; ``run`` counts indices as strings between the ends (0-based)."""
        out: list[Stroke] = []
        for token in (self.pattern or "").split():
            if token in ("each", "run"):
                out += [(i,) for i in range(written)]
            elif token == "back":  # noqa: S105 - a word of the pattern
                out += [(i,) for i in reversed(range(max(written - 1, 0)))]
            else:
                out.append(tuple(int(i) - 1 for i in token.split("+")))
        return out

    @property
    def runs(self) -> bool:
        """Whether two written strings are the ends of a run."""
        return "run" in (self.pattern or "").split()


def parse_shape(text: str) -> tuple[tuple[float, float, bool], ...]:
    """``"0 -180; 1 0t"`` as (time share, height, height counts distances to the target).

    Raises:
        DataError: not of this form.
    """
    out = []
    for part in text.split(";"):
        try:
            time, height = part.split()
            out.append((float(time), float(height.removesuffix("t")), height.endswith("t")))
        except ValueError:
            raise DataError(
                f"{text!r} is no gesture shape", code="gesture-shape", hint='write pairs such as "0 -180; 1 0"'
            ) from None
    return tuple(out)


class Performance:
    """Profiles of base notations, by reading word."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._cache: dict[str, Profile] = {}

    @cached_property
    def _by_role(self) -> dict[str, Profile]:
        view = self.inventory.view
        out = {}
        for iri in view.instances(GQ + "PerformanceProfile"):
            for role in view.values(iri, GQ + "appliesToRole"):
                out[view.value(role, GQ + "code") or local(role)] = self._read(iri)
        return out

    def of(self, base: BaseNotation) -> Profile | None:
        """The profile of a base notation: its own, that of its parts, or that of its grammar role."""
        if base.id not in self._cache:
            found = self._find(base)
            if found is None:
                return None
            self._cache[base.id] = found
        return self._cache[base.id]

    def named(self, word: str, *roles: str) -> Profile | None:
        """The profile of the base notation read ``word`` (with one of ``roles``, when given)."""
        bases = [b for b in self.inventory.named(word) if not roles or b.roles & set(roles)]
        for base in sorted(bases, key=lambda b: ("performance" not in b.extra, b.id)):
            profile = self.of(base)
            if profile is not None:
                return profile
        return None

    def named_role(self, role: str) -> Profile | None:
        """The profile for notations of a grammar role that have none of their own."""
        return self._by_role.get(role)

    def _find(self, base: BaseNotation) -> Profile | None:
        found = self._general(base)
        fingers = frozenset(local(iri) for iri in base.extra.get("heldByFinger", ()))
        same = "true" in base.extra.get("needsSamePitch", ())
        return replace(found, held_by=fingers, same_pitch=same) if found is not None and (fingers or same) else found

    def fingers(self, word: str) -> frozenset[str]:
        """Ids of the fingers that the left-hand sign ``word`` stands for."""
        return frozenset(f for base in self.inventory.named(word) if "finger" in base.roles for f in base.fingers)

    def _general(self, base: BaseNotation) -> Profile | None:
        own = base.extra.get("performance")
        if own:
            return self._read(own[0])
        steps = [self.of(self.inventory.by_id[s]) for s in base.steps if s in self.inventory.by_id and s != base.id]
        plucked = [p for p in steps if p is not None and p.sounds]
        if plucked:
            return replace(plucked[0], id=base.id, pattern=" ".join(p.pattern or "1" for p in plucked))
        for role in sorted(base.roles):
            if role in self._by_role:
                return self._by_role[role]
        return None

    def _read(self, iri: str) -> Profile:
        view = self.inventory.view

        def text(term: str) -> str | None:
            return view.value(iri, GQ + term)

        def name(term: str) -> str | None:
            value = text(term)
            return local(value) if value else None

        def number(term: str, default: float) -> float:
            value = text(term)
            return float(value) if value is not None else default

        def yes(term: str) -> bool:
            return text(term) in ("true", "1")

        def word(term: str) -> str | None:
            value = text(term)
            base = self.inventory.by_iri.get(value) if value else None
            return base.name if base else None

        try:
            step, sign = text("defaultStep"), text("slideSign")
            return Profile(
                id=iri.removeprefix(GQR),
                excitation=name("excitation"),
                acts_on=name("actsOn"),
                sounds_at=name("soundsAt"),
                pattern=text("strokePattern"),
                spacing=number("strokeSpacing", 0.3),
                strength=number("strength", 1.0),
                brightness=number("brightness", 0.5),
                pluck_place=number("pluckPlace", 0.08),
                timing=name("gestureTiming"),
                shape=parse_shape(shape) if (shape := text("gestureShape")) else (),
                gesture_seconds=number("gestureSeconds", 0.3),
                default_step=float(step) if step is not None else None,
                slide_sign=int(sign) if sign is not None else None,
                shake_extent=number("shakeExtent", 0.0),
                shake_rate=number("shakeRate", 0.0),
                shake_seconds=number("shakeSeconds", 0.0),
                shake_above=yes("shakeAbove"),
                state_effect=name("stateEffect"),
                opens=name("opensScope"),
                closes=name("closesScope"),
                repeats=name("repeatsScope"),
                repeats_from_start=yes("repeatsFromStart"),
                repeat_times=int(number("repeatTimes", 0)),
                needs_stopped=yes("needsStoppedNote"),
                needs_place=yes("needsEarlierPlace"),
                needs_held=yes("needsHeldNote"),
                joins_previous=yes("joinsPrevious"),
                completes_run=yes("completesRun"),
                holding_finger=word("holdingFinger"),
                sounding_finger=word("soundingFinger"),
                rest_beats=number("restBeats", 0.0),
                time_factor=number("timeFactor", 1.0),
            )
        except ValueError as error:
            raise DataError(f"{local(iri)}: {error}", code="profile", hint="mend this performance profile") from None


def performance_of(inventory: Inventory) -> Performance:
    """The profiles of an inventory, read once."""
    return remember(inventory, "performance", Performance)


def materials(inventory: Inventory) -> dict[str, dict[str, float]]:
    """String materials of the graph by id, the preferred first: parameters of ``guqin_kg.sound.synth.Material``."""
    view = inventory.view
    terms = {
        "decay": "decaySeconds",
        "stopped_decay": "stoppedDecay",
        "near_loss": "nearLoss",
        "far_loss": "farLoss",
        "body": "bodyShare",
    }
    rows = [
        (
            view.value(iri, GQ + "preferred") != "true",
            local(iri).removeprefix("material-"),
            {field: float(value) for field, term in terms.items() if (value := view.value(iri, GQ + term))},
        )
        for iri in view.instances(GQ + "StringMaterial")
    ]
    return {id_: values for _, id_, values in sorted(rows, key=lambda r: r[:2])}


def carry_reach(inventory: Inventory) -> dict[str, tuple[tuple[str, ...], int]]:
    """Carry rules of the graph: rule id to (fields that must be unwritten, reach in notations, 0 = without limit)."""
    return remember(inventory, "carry rules", _carry_reach)


def _carry_reach(inventory: Inventory) -> dict[str, tuple[tuple[str, ...], int]]:
    view = inventory.view
    out = {}
    for iri in view.instances(GQ + "CarryRule"):
        when = tuple((view.value(iri, GQ + "carryWhen") or "").split())
        out[local(iri).removeprefix("carry-")] = (when, int(view.value(iri, GQ + "carryReach") or 0))
    return out
