"""The string model measured: pitch, partials of a harmonic, glides, shakes, levels."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from guqin_kg.errors import DataError
from guqin_kg.inventory import load_inventory
from guqin_kg.score.export import material
from guqin_kg.sound.synth import Material, Shake, Tone, cents_curve, sound
from guqin_kg.sound.wav import read_wav, write_audio, write_wav
from tests.sound.measure import RATE, fundamental, level, track


@pytest.fixture(scope="module", params=["silk", "steel"])
def strings(request: pytest.FixtureRequest) -> Material:
    return material(load_inventory(), request.param)


@pytest.mark.parametrize("hz", [61.74, 65.41, 97.999, 146.83, 220.249, 440.497, 880.0])
def test_fundamental_within_two_cents(strings: Material, hz: float) -> None:
    samples = sound(Tone(hz, min(hz, 146.8), 1.5, stopped=hz > 147), strings)
    assert abs(1200 * np.log2(fundamental(samples, hz) / hz)) < 2.0


@pytest.mark.parametrize(("node", "order"), [("1/2", 2), ("1/3", 3), ("3/4", 4), ("3/5", 5), ("5/6", 6), ("7/8", 8)])
@pytest.mark.parametrize("hz", [65.41, 146.83])
def test_touched_node_suppresses_the_other_modes(strings: Material, node: str, order: int, hz: float) -> None:
    touched = sound(Tone(hz, hz, 1.5, node=Fraction(node)), strings)
    free = sound(Tone(hz, hz, 0.5), strings)
    assert abs(1200 * np.log2(fundamental(touched, hz * order) / (hz * order))) < 2.0
    own = level(touched, hz * order)
    for mode in range(1, order + 3):
        if mode % order:
            assert level(touched, hz * mode) < own - 40, f"mode {mode} still sounds"
            assert level(free, hz * mode, 0.05, 0.3) > level(free, hz, 0.05, 0.3) - 40, f"mode {mode} is weak when free"


def test_strings_of_steel_ring_longer() -> None:
    inventory = load_inventory()
    tones = [sound(Tone(98.0, 98.0, 3.0), material(inventory, name)) for name in ("silk", "steel")]
    silk, steel = (float(np.sqrt(np.mean(t[2 * RATE : int(2.5 * RATE)] ** 2))) for t in tones)
    assert steel > 2 * silk


def test_place_of_the_pluck_is_heard(strings: Material) -> None:
    """Plucked in the middle, the even partials are missing."""
    middle, edge = (sound(Tone(98.0, 98.0, 1.5, place=p), strings) for p in (0.5, 0.08))
    assert level(middle, 196.0, 0.05, 0.4) - level(middle, 98.0, 0.05, 0.4) < -25
    assert level(edge, 196.0, 0.05, 0.4) - level(edge, 98.0, 0.05, 0.4) > -15


def test_glide_goes_where_it_is_told(strings: Material) -> None:
    up = sound(Tone(196.0, 98.0, 1.2, points=((0.0, -200.0), (0.3, 0.0)), stopped=True), strings)
    first, middle, last = track(up, 196.0, [0.005, 0.12, 0.5], window=0.05)
    assert -205 < first < -150
    assert first < middle < last
    assert abs(last) < 3


def test_shake_has_its_extent_and_rate(strings: Material) -> None:
    tone = Tone(196.0, 98.0, 2.0, shakes=(Shake(0.3, 1.4, 60.0, 4.0),), stopped=True)
    times = [0.3 + 0.01 * n for n in range(130)]
    cents = np.array(track(sound(tone, strings), 196.0, times, window=0.03))
    assert 40 < cents.max() < 75
    assert -75 < cents.min() < -40
    turns = int(np.sum(np.diff(np.sign(cents[10:-10])) != 0))
    assert 7 <= turns <= 11  # 4 Hz over 1.1 s crosses zero about nine times
    above = cents_curve(Tone(196.0, 98.0, 2.0, shakes=(Shake(0.3, 1.4, 60.0, 4.0, above=True),)), 2 * RATE)
    assert above.min() >= 0


def test_no_clipping_no_clicks(strings: Material) -> None:
    for tone in (
        Tone(65.4, 65.4, 0.3),
        Tone(392.0, 98.0, 1.0, stopped=True),
        Tone(98.0, 98.0, 1.0, node=Fraction(1, 2)),
    ):
        samples = sound(tone, strings)
        assert np.max(np.abs(samples)) < 1.0
        assert samples[0] == 0.0
        assert abs(samples[-1]) < 1e-6
        assert np.max(np.abs(samples[-40:])) < 0.003


def test_same_seed_same_samples(strings: Material) -> None:
    tone = Tone(98.0, 98.0, 0.4)
    assert np.array_equal(sound(tone, strings, seed=3), sound(tone, strings, seed=3))
    assert not np.array_equal(sound(tone, strings, seed=3), sound(tone, strings, seed=4))


def test_wav_round_trip_and_refusals(tmp_path: Path) -> None:
    samples = 0.5 * np.sin(np.linspace(0, 100, 4410))
    write_wav(tmp_path / "a.wav", samples)
    back, rate = read_wav(tmp_path / "a.wav")
    assert rate == RATE
    assert np.max(np.abs(back - samples)) < 1 / 32000
    with pytest.raises(DataError, match="range"):
        write_wav(tmp_path / "b.wav", samples * 3)
    assert not (tmp_path / "b.wav").exists()
    (tmp_path / "c.wav").write_bytes(b"RIFF....")
    with pytest.raises(DataError, match="WAV"):
        read_wav(tmp_path / "c.wav")


def test_flac_holds_the_samples_of_the_wav(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    samples = 0.5 * np.sin(np.linspace(0, 100, 4410))
    for name in ("a.wav", "a.flac", "b.flac"):
        write_audio(tmp_path / name, samples)
    found, rate = soundfile.read(tmp_path / "a.flac", dtype="int16")
    assert rate == RATE
    assert np.array_equal(found, np.round(read_wav(tmp_path / "a.wav")[0] * 32767))
    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes()
    with pytest.raises(DataError, match="range"):
        write_audio(tmp_path / "a.flac", samples * 3)
    assert soundfile.info(tmp_path / "a.flac").frames == 4410, "the earlier file is intact"
