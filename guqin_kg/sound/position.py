"""Where a written position lies on the string, as an exact fraction of its length from the bridge.

Hui fractions, the values of the place beyond the last hui and the traditions come from the graph; this module knows
only how tenths, halves and "between" divide the gap of two neighbouring hui.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from guqin_kg.errors import DataError, NotFoundError
from guqin_kg.inventory import GQ, Inventory, local
from guqin_kg.model import Position
from guqin_kg.sound.remember import remember

BETWEEN = "between"
_TITLE = "http://purl.org/dc/terms/title"


@dataclass(frozen=True, slots=True)
class Place:
    """A place on the string.

    Attributes:
        fraction: sounding length over whole string; the value to compute with.
        low, high: smallest and largest fraction the sources allow; both equal ``fraction`` where they agree.
        statement: what is uncertain, in a sentence (None where nothing is).
    """

    fraction: Fraction
    low: Fraction
    high: Fraction
    statement: str | None = None

    @property
    def certain(self) -> bool:
        """Whether the sources agree on one value."""
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class Fingerboard:
    """The graph's numbers for positions.

    Attributes:
        hui: number to (fraction from the bridge, harmonic number).
        outside: values of the place beyond the last hui, the preferred one first.
        traditions: codes of the traditions, the default first.
        sources: title of a source to the tradition it is written in.
    """

    hui: dict[int, tuple[Fraction, int]]
    outside: tuple[Fraction, ...]
    traditions: tuple[str, ...]
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The number of the hui nearest the nut."""
        return max(self.hui)

    def tradition(self, name: str | None) -> str:
        """The tradition called ``name``, or that of the source with this title; the default one for None.

        Raises:
            NotFoundError: no such tradition or source in the graph.
        """
        if name is None:
            return self.traditions[0]
        if name in self.traditions:
            return name
        if name in self.sources:
            return self.sources[name]
        raise NotFoundError(
            f"the graph has no tradition {name!r}",
            code="unknown-tradition",
            hint=f"traditions: {', '.join(self.traditions)}; sources: {', '.join(sorted(self.sources))}",
        )

    def at(self, hui: int) -> Fraction:
        """Fraction of a hui; the open string (1) one beyond the last, 0 before the first.

        Raises:
            DataError: no such hui.
        """
        if hui in self.hui:
            return self.hui[hui][0]
        if hui == self.last + 1:
            return Fraction(1)
        raise DataError(f"there is no hui {hui}", code="no-such-hui", hint=f"hui are 1 to {self.last}")

    def toward_nut(self, hui: int, tenths: Fraction | int) -> Fraction:
        """``tenths`` of the gap from ``hui`` towards the nut; linear in length."""
        start = self.at(hui)
        return start + (self.at(hui + 1) - start) * Fraction(tenths) / 10

    def place(self, position: Position, tradition: str | None = None) -> Place:
        """The place a written position names in a tradition.

        Raises:
            DataError: a hui that does not exist.
        """
        kind = self.tradition(tradition)
        hui, fen = position.hui, position.fen
        if position.effect == "outside" or hui is None:
            if hui is None and position.effect != "outside":
                raise DataError("the position names no hui", code="no-hui")
            if fen is not None:
                return self._beyond(fen)
            return self._outside()
        if position.effect == "half":
            return _exact(self.toward_nut(hui, 5)) if hui != self.last else self._beyond(5)
        if position.effect in ("above", "below"):
            return self._near(hui, above=position.effect == "above")
        if fen is None:
            return _exact(self.at(hui))
        if kind == BETWEEN and fen == hui + 1:
            low, high = self.at(hui), self.at(fen)
            return Place(
                (low + high) / 2,
                low,
                high,
                f"written between hui {hui} and {fen}: the source names no exact place; the middle is used",
            )
        if fen > 9:
            low, high = self.at(hui), self.at(hui + 1)
            return Place((low + high) / 2, low, high, f"hui {hui} and {fen} are neighbours, not hui and fen")
        if hui == self.last:
            return self._beyond(fen)
        return _exact(self.toward_nut(hui, fen))

    def _outside(self) -> Place:
        values = self.outside
        return Place(
            values[0],
            min(values),
            max(values),
            f"beyond hui {self.last} the sources differ: "
            + ", ".join(str(v) for v in sorted(values))
            + f" of the string; {values[0]} is used",
        )

    def _beyond(self, fen: int) -> Place:
        """Tenths after the last hui: one convention divides the rest of the string, another goes on in the last gap."""
        even = self.toward_nut(self.last, fen)
        gap = self.at(self.last) - self.at(self.last - 1)
        onward = self.at(self.last) + gap * Fraction(fen) / 10
        return Place(
            even,
            min(even, onward),
            max(even, onward),
            f"fen beyond hui {self.last} have no agreed value: {even} (rest of the string in ten) or {onward} "
            f"(the last gap continued); {even} is used",
        )

    def _near(self, hui: int, *, above: bool) -> Place:
        here = self.at(hui)
        other = (self.at(hui - 1) if hui > 1 else Fraction(0)) if above else self.at(hui + 1)
        far = here + (other - here) / 2
        used = here + (other - here) / 5
        side = "towards the bridge" if above else "towards the nut"
        return Place(
            used,
            min(here, far),
            max(here, far),
            f"a little {side} from hui {hui}: the source names no exact place; two tenths of the gap are used",
        )

    def harmonic(self, position: Position) -> int | None:
        """The number of the harmonic at a position, or None where no hui marks a node."""
        if position.hui is None or position.fen is not None or position.effect is not None:
            return None
        return self.hui[position.hui][1] if position.hui in self.hui else None


def _exact(fraction: Fraction) -> Place:
    return Place(fraction, fraction, fraction)


def fingerboard(inventory: Inventory) -> Fingerboard:
    """Read the graph's hui, values beyond the last hui, and traditions.

    Raises:
        NotFoundError: the graph lacks them.
    """
    return remember(inventory, "fingerboard", _fingerboard)


def _fingerboard(inventory: Inventory) -> Fingerboard:
    view = inventory.view
    hui = {}
    for base in inventory.by_role("hui"):
        fraction, harmonic = base.extra.get("fractionFromBridge"), base.extra.get("harmonicNumber")
        if base.number and fraction and harmonic:
            hui[base.number] = (Fraction(fraction[0]), int(harmonic[0]))
    outside = sorted(
        (view.value(iri, GQ + "preferred") != "true", Fraction(view.value(iri, GQ + "fractionFromBridge") or "1"))
        for iri in view.instances(GQ + "OutsideConvention")
    )
    traditions = sorted(
        (view.value(iri, GQ + "isDefault") != "true", view.value(iri, GQ + "code") or local(iri))
        for iri in view.instances(GQ + "Tradition")
    )
    sources = {
        title: view.value(tradition, GQ + "code") or local(tradition)
        for iri in view.instances(GQ + "Source")
        if (title := view.value(iri, _TITLE)) and (tradition := view.value(iri, GQ + "tradition"))
    }
    if not hui or not outside or not traditions:
        raise NotFoundError("the graph lacks hui fractions, values beyond them, or traditions", code="no-fingerboard")
    return Fingerboard(hui, tuple(value for _, value in outside), tuple(code for _, code in traditions), sources)
