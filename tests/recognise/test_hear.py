"""Sounds read from WAV files: whole ones are heard, damaged ones refused in one line."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from guqin_kg.errors import DataError
from guqin_kg.recognise.hear import MAX_RATE, load_sound, spectrum

_HEADER = 44


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    wavfile.write(path, 8000, (np.sin(np.arange(4000) / 3) * 20000).astype(np.int16))
    return path


def refused(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        load_sound(path)
    assert caught.value.code == "bad-audio"
    assert caught.value.file == str(path)
    assert caught.value.hint
    return caught.value


def rated(data: bytes, rate: int) -> bytes:
    """The same file with another rate in its header."""
    return data[:24] + struct.pack("<II", rate, rate * 2) + data[32:]


def outcome(path: Path) -> str:
    """``heard``, or the code of the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            load_sound(path)
    except DataError as error:
        return error.code
    return "heard"


def test_a_whole_file_is_heard(sound: Path) -> None:
    samples, rate = load_sound(sound)
    assert (len(samples), rate) == (4000, 8000)
    assert 0.5 < samples.max() <= 1
    assert spectrum(samples, 8, 16, rate).shape == (8, 16)


def test_a_file_cut_off_in_its_header(sound: Path) -> None:
    whole = sound.read_bytes()
    for size in range(_HEADER):
        sound.write_bytes(whole[:size])
        assert "sound" in refused(sound).message, size


def test_a_byte_of_the_header_that_is_wrong(sound: Path) -> None:
    whole = sound.read_bytes()
    said = set()
    for at in range(_HEADER):
        for value in {0, 1, 255, whole[at] ^ 16} - {whole[at]}:
            sound.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            said.add(outcome(sound))
    assert said == {"heard", "bad-audio"}  # a wrong length of the whole, for example, does not matter


@pytest.mark.parametrize("rate", [0, MAX_RATE + 1, 2_000_000_000])
def test_a_rate_that_cannot_be(sound: Path, rate: int) -> None:
    sound.write_bytes(rated(sound.read_bytes(), rate))
    assert f"{rate} samples a second" in refused(sound).message


def test_the_quickest_sound_is_heard(sound: Path) -> None:
    sound.write_bytes(rated(sound.read_bytes(), MAX_RATE))
    assert load_sound(sound)[1] == MAX_RATE
