"""Every random choice about a picture that has a name: one preset and one seed make one specification."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from guqin_kg.draw.engine import Engine, default_engine
from guqin_kg.draw.spec import MIN_SIZE, Spec, check_size
from guqin_kg.draw.styles import STYLES, style
from guqin_kg.errors import UsageError
from guqin_kg.model import Notation

PRESETS = ("clean", "print", "handwritten", "photo")
_COLUMNS = ((0.25, 1), (0.55, 2), (0.7, 3), (0.75, 4), (1.01, 0))
"""Running shares of the ways to set an aside."""

_MIX: dict[str, tuple[tuple[str, float], ...]] = {
    "clean": (("kai", 1.0),),
    "print": (("woodblock", 0.4), ("kai", 0.33), ("brush", 0.17), ("song", 0.1)),
    "handwritten": (("brush", 0.45), ("pen", 0.4), ("kai", 0.15)),
    "photo": (("woodblock", 0.35), ("kai", 0.25), ("song", 0.15), ("brush", 0.15), ("pen", 0.1)),
}


def sample_spec(
    notation: Notation,
    preset: str = "print",
    seed: int = 0,
    *,
    size: int = 64,
    frame: str = "square",
    styles: Sequence[str] | None = None,
    reading: str = "",
    form_counts: dict[str, int] | None = None,
    engine: Engine | None = None,
) -> Spec:
    """Choose everything about one picture of ``notation``; the same arguments give the same specification.

    Args:
        notation: what to draw.
        preset: ``clean`` (type, no noise), ``print`` (old prints), ``handwritten``, ``photo`` (camera or bad scan).
        seed: any integer; the only source of chance.
        size: longer side in pixels.
        frame: ``square`` or ``crop``.
        styles: names to choose from evenly (default: a mix of the bundled styles made for the preset).
        reading: kept in the specification.
        form_counts: base id to number of written forms, as ``Engine.form_counts`` gives it (default: looked up);
            some pictures then use a rarer form, never in ``clean``; an empty dictionary keeps to the preferred forms.
        engine: of another graph (default: the released graph).

    Raises:
        UsageError: unknown preset or style, size out of range.
    """
    if preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}", code="unknown-preset", hint="one of: " + ", ".join(PRESETS))
    check_size(size)
    for name in styles or ():
        style(name)
    rng = random.Random(seed)
    uniform, normal = rng.random, rng.gauss

    def span(low: float, high: float) -> float:
        return round(low + (high - low) * uniform(), 4)

    def chance(p: float) -> bool:
        return uniform() < p

    if styles:
        chosen = styles[min(len(styles) - 1, int(uniform() * len(styles)))]
    else:
        chosen, pick = _MIX[preset][-1][0], uniform()
        for name, share in _MIX[preset]:
            if pick < share:
                chosen = name
                break
            pick -= share
    draw_seed = rng.getrandbits(31)
    common: dict[str, Any] = {
        "notation": notation, "reading": reading, "style": chosen, "size": size, "seed": draw_seed, "frame": frame,
    }  # fmt: skip
    if preset == "clean":
        return Spec(**common)
    rarer: list[tuple[str, int]] = []
    if chance(0.4):
        if form_counts is None:
            form_counts = (engine or default_engine()).form_counts(notation)
        for base, count in form_counts.items():
            if count > 1 and chance(0.35):
                rarer.append((base, 1 + int(uniform() * (count - 1))))
    shaky = STYLES[chosen].wobble
    common["forms"] = tuple(rarer)
    pick = uniform()
    common["columns"] = next(number for share, number in _COLUMNS if pick < share)
    if preset == "handwritten":
        return Spec(
            **common,
            prints=span(0, 1), looseness=span(0.2, 2.2), jitter=span(0.5, 1.5),
            aspect=round(math.exp(0.14 * normal()), 4),
            weight=round(math.exp(0.25 * normal()), 4), uneven=span(0.03, 0.25),
            wobble=span(0.004, 0.010 + 0.012 * shaky),
            shift=span(0.005, 0.022), slant=round(0.09 * normal(), 4), turn=round(2.2 * normal(), 3),
            margins=_margins(uniform(), uniform(), uniform(), uniform(), 0.0, 0.14),
            breaks=span(0.05, 0.2) if chance(0.15) else 0.0, rough=span(0.0, 0.2),
            resolution=_resolution(size, span(28, 110), uniform() > 0.55),
            blur=span(0.2, 0.8), ink=int(span(0, 90)), paper=int(span(215, 255)), shade=span(0, 14), grain=span(0, 7),
            bleed=0.0, neighbours=_sides(uniform(), 0.08), dot=chance(0.04),
            jpeg=int(span(40, 92)) if chance(0.4) else 0,
        )  # fmt: skip
    if preset == "print":
        return Spec(
            **common,
            prints=span(0.35, 1.25), looseness=span(-0.8, 1.4), jitter=span(0.5, 1.35),
            aspect=round(1.04 * math.exp((0.28 if chance(0.25) else 0.11) * normal()), 4),
            weight=round(1.08 * math.exp(0.19 * normal()), 4), uneven=span(0.02, 0.2),
            wobble=span(0.002, 0.009 + 0.006 * shaky),
            shift=span(0.003, 0.018), slant=round(0.045 * normal() - 0.01, 4), turn=round(1.3 * normal(), 3),
            margins=_margins(uniform(), uniform(), uniform(), uniform(), -0.035, 0.12),
            breaks=span(0.02, 0.25) if chance(0.3) else 0.0, rough=span(0.05, 0.3),
            resolution=_resolution(size, 31 + 53 * uniform() ** 1.5, True),
            blur=span(0.25, 0.7), ink=int(60 * uniform() ** 3), paper=int(span(222, 255)), shade=span(0, 9),
            grain=span(0, 8),
            bleed=span(0.03, 0.14) if chance(0.15) else 0.0, neighbours=_sides(uniform(), 0.2), dot=chance(0.08),
            seal=span(0.1, 0.35) if chance(0.03) else 0.0, rule="lr"[int(chance(0.5))] if chance(0.05) else "",
            jpeg=int(span(35, 90)) if chance(0.5) else 0,
        )  # fmt: skip
    return Spec(
        **common,
        prints=span(0, 1.0), looseness=span(-0.6, 1.6), jitter=span(0.4, 1.3),
        aspect=round(math.exp(0.13 * normal()), 4),
        weight=round(math.exp(0.22 * normal()), 4), uneven=span(0.02, 0.2), wobble=span(0.002, 0.01 + 0.008 * shaky),
        shift=span(0.003, 0.016), slant=round(0.08 * normal(), 4), turn=round(3.0 * normal(), 3),
        margins=_margins(uniform(), uniform(), uniform(), uniform(), -0.03, 0.2),
        breaks=span(0.02, 0.3) if chance(0.25) else 0.0, rough=span(0.0, 0.25),
        resolution=_resolution(size, span(22, 96), True),
        blur=span(0.4, 1.2), ink=int(span(10, 110)), paper=int(span(150, 250)), shade=span(4, 40), grain=span(2, 14),
        bleed=span(0.05, 0.3) if chance(0.25) else 0.0, neighbours=_sides(uniform(), 0.25), dot=chance(0.06),
        seal=span(0.15, 0.5) if chance(0.06) else 0.0, rule="lr"[int(chance(0.5))] if chance(0.08) else "",
        jpeg=int(span(15, 80)) if chance(0.75) else 0,
    )  # fmt: skip


def _margins(a: float, b: float, c: float, d: float, low: float, high: float) -> tuple[float, float, float, float]:
    """Four margins, mostly small: real crops are cut close to the ink."""
    span = high - low
    return tuple(round(low + span * v**1.8, 4) if v < 0.93 else round(high * 1.3, 4) for v in (a, b, c, d))  # type: ignore[return-value]


def _resolution(size: int, wanted: float, on: bool) -> int:
    """Native resolution of the longer side, never above ``size``; 0 = the picture's own."""
    native = int(wanted * max(1.0, size / 64) ** 0.5)
    return 0 if not on or native >= size else max(MIN_SIZE, native)


def _sides(u: float, chance: float) -> str:
    """Which sides have ink of neighbours; above and below more often, as columns run downwards."""
    if u >= chance:
        return ""
    v = u / chance
    return "b" if v < 0.4 else "t" if v < 0.65 else "tb" if v < 0.75 else "l" if v < 0.88 else "r"
