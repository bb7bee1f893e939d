"""Readings made to sound: order of strings, glides, slides, shakes, harmonics, as measured in the audio."""

from __future__ import annotations

import numpy as np
import pytest

from guqin_kg.errors import DataError, UsageError
from guqin_kg.notation.grammar import Grammar, default_grammar
from guqin_kg.score.context import Interpretation, interpret
from guqin_kg.score.export import audio, timeline
from guqin_kg.score.read import read_text
from guqin_kg.sound.phrase import voices
from tests.sound.measure import fundamental, level, track

D3, G2, C3 = 146.832, 97.999, 130.813


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return default_grammar()


def read(grammar: Grammar, text: str) -> Interpretation:
    return interpret(read_text(text), grammar)


def play(grammar: Grammar, text: str, **options: object) -> np.ndarray:
    return audio(read(grammar, text), grammar.inventory, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reading", "hz"), [("大九勾四", 146.998), ("散勾一", 65.406), ("大七挑七", 293.665), ("泛大九勾一", 196.219)]
)
def test_a_reading_sounds_the_pitch_of_the_graph(grammar: Grammar, reading: str, hz: float) -> None:
    samples = play(grammar, reading)
    assert abs(1200 * np.log2(fundamental(samples, hz) / hz)) < 2.0


@pytest.mark.parametrize(("reading", "sign"), [("大九绰勾四", -1), ("大九注勾四", 1)])
def test_slides_into_the_note(grammar: Grammar, reading: str, sign: int) -> None:
    start, end = track(play(grammar, reading), D3, [0.004, 0.6], window=0.05)
    assert 80 < sign * start < 190
    assert abs(end) < 4


@pytest.mark.parametrize(("text", "cents"), [("大九勾四 上七九", 211.5), ("大七勾四 下九", -498.0)])
def test_slides_to_a_place(grammar: Grammar, text: str, cents: float) -> None:
    found = read(grammar, text)
    start = found.events[0].result.sounds[0].midi(found.strings)
    hz = found.strings.hz(start)
    before, after = track(audio(found, grammar.inventory), hz, [0.3, 1.6])
    assert abs(before) < 4
    assert after == pytest.approx(cents, abs=6)


def test_vibrato_is_heard(grammar: Grammar) -> None:
    plain = np.array(track(play(grammar, "大九勾四"), D3, [0.4 + 0.02 * n for n in range(40)], window=0.04))
    wide = np.array(track(play(grammar, "大九勾四 猱"), D3, [0.4 + 0.02 * n for n in range(40)], window=0.04))
    assert np.ptp(plain) < 8
    assert np.ptp(wide) > 40
    assert wide.min() > -8, "it stays above the place"


def test_run_in_order_chord_together(grammar: Grammar) -> None:
    run = read(grammar, "散历七六")
    first, second = voices(timeline(run), run.strings)
    assert (first.string, second.string) == (7, 6)
    assert second.start - first.start > 0.1
    samples = audio(run, grammar.inventory)
    # before the second attack only the first string sounds
    assert level(samples, D3, 0.02, 0.13) > level(samples, C3 * 3, 0.02, 0.13) + 12
    assert level(samples, C3, 0.4, 0.5) > level(samples, D3, 0.4, 0.5) - 20
    chord = read(grammar, "撮散七散四")
    assert [v.start for v in voices(timeline(chord), chord.strings)] == [0.0, 0.0]
    together = audio(chord, grammar.inventory)
    assert abs(level(together, D3, 0.05, 0.3) - level(together, G2, 0.05, 0.3)) < 15


def test_a_whole_phrase_neither_clips_nor_clicks(grammar: Grammar) -> None:
    samples = play(grammar, "散勾二 托七 名十勾五 上九 吟 撮大七七散四 散滚七一 泛起 大七勾二 挑七 泛止", bpm=90)
    assert np.max(np.abs(samples)) <= 0.7 + 1e-9
    assert abs(samples[0]) < 1e-6
    assert abs(samples[-1]) < 1e-6
    jumps = np.abs(np.diff(samples))
    assert jumps.max() < 0.25


def test_same_bytes_for_the_same_seed(grammar: Grammar) -> None:
    assert np.array_equal(play(grammar, "大九勾四 上七九", seed=1), play(grammar, "大九勾四 上七九", seed=1))


def test_nothing_to_hear(grammar: Grammar) -> None:
    with pytest.raises(DataError, match="determined"):
        play(grammar, "少息")
    with pytest.raises(UsageError, match="strings"):
        play(grammar, "散勾一", strings="nylon")
    with pytest.raises(UsageError, match="tempo"):
        play(grammar, "散勾一", bpm=0)


def test_mark_of_simultaneity(grammar: Grammar) -> None:
    found = read(grammar, "大七挑七 抓起 散勾五 同声")
    starts = {v.string: v.start for v in voices(timeline(found), found.strings) if v.sounding.sound == "open"}
    assert starts[7] == starts[5]


def test_the_palm_stops_what_sounds(grammar: Grammar) -> None:
    rings = play(grammar, "散勾一 少息 散勾二")
    found = read(grammar, "散勾一 伏 散勾二")
    assert voices(timeline(found), found.strings)[0].until == pytest.approx(1.0)
    damped = audio(found, grammar.inventory)
    assert level(damped, 65.4, 1.2, 0.5) < level(rings, 65.4, 1.2, 0.2) - 20
