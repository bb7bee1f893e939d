"""How fast strings are synthesised, readings are pitched, scores are read; prints a Markdown table.

python benchmarks/sound.py
"""

from __future__ import annotations

import time
from fractions import Fraction

from guqin_kg.notation.grammar import default_grammar
from guqin_kg.notation.parse import parse
from guqin_kg.score.context import interpret
from guqin_kg.score.export import audio, material
from guqin_kg.score.read import read_text
from guqin_kg.sound.resolve import Resolver
from guqin_kg.sound.synth import Tone, sound
from guqin_kg.sound.wav import RATE

SCORE = "散勾二 托七 勾五 大九挑七 吟 名十掐起 名十挑六 上九 下十 撮大七七散四 散历四三 "


def clock(work: object, times: int) -> float:
    """Seconds of one call, the best of three rounds."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(times):
            work()  # type: ignore[operator]
        best = min(best, (time.perf_counter() - start) / times)
    return best


def main() -> None:
    grammar = default_grammar()
    silk = material(grammar.inventory)
    rows = []
    for name, tone in (
        ("open string, C2", Tone(65.4, 65.4, 3.0)),
        ("stopped, D3, with a shake", Tone(146.8, 98.0, 3.0, points=((0.0, -180.0), (0.2, 0.0)), stopped=True)),
        ("stopped, A4", Tone(440.0, 146.8, 3.0, stopped=True)),
        ("harmonic at hui 7", Tone(98.0, 98.0, 3.0, node=Fraction(1, 2))),
        ("harmonic at hui 13", Tone(146.8, 146.8, 3.0, node=Fraction(7, 8))),
    ):
        seconds = clock(lambda tone=tone: sound(tone, silk), 2)
        rows.append((f"3 s of {name}", f"{seconds * 1000:.0f} ms", f"{3 / seconds:.0f} times real time"))
    notation = parse("大九绰勾四")
    resolver = Resolver(grammar.inventory, alone=True)
    seconds = clock(lambda: resolver.read(notation), 2000)
    rows.append(("one reading to its pitch", f"{seconds * 1e6:.0f} µs", f"{1 / seconds:,.0f} a second"))
    text = SCORE * 100
    events = len(text.split())
    seconds = clock(lambda: interpret(read_text(text), grammar), 1)
    rows.append((f"a score of {events:,} readings in context", f"{seconds:.2f} s", f"{events / seconds:,.0f} a second"))
    found = interpret(read_text(SCORE), grammar)
    samples = audio(found, grammar.inventory)
    seconds = clock(lambda: audio(found, grammar.inventory), 1)
    length = len(samples) / RATE
    rows.append((f"{length:.0f} s of music as audio", f"{seconds:.2f} s", f"{length / seconds:.0f} times real time"))
    print("| work | time | rate |\n| --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
