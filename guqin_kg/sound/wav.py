"""16-bit mono audio files, WAV by the standard library, FLAC by soundfile; the same samples give the same bytes."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING

from guqin_kg.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    import numpy as np

RATE = 44_100
ENDINGS = (".wav", ".flac")


def write_audio(path: Path, samples: np.ndarray, rate: int = RATE) -> None:
    """Write ``samples`` as :func:`write_wav` does; a name that ends in ``.flac`` gets FLAC, without loss.

    Raises:
        MissingExtraError: FLAC without soundfile.
        DataError, OSError: as :func:`write_wav`.
    """
    (_write_flac if path.suffix.lower() == ".flac" else write_wav)(path, samples, rate)


def _write_flac(path: Path, samples: np.ndarray, rate: int) -> None:
    try:
        import soundfile
    except ImportError:
        raise MissingExtraError("FLAC (soundfile)", "score") from None
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream:
            soundfile.write(stream, _whole(samples), rate, subtype="PCM_16", format="FLAC")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _whole(samples: np.ndarray) -> np.ndarray:
    """Samples as 16-bit whole numbers.

    Raises:
        DataError: the samples leave -1 … 1 or are not finite (nothing is clipped silently).
    """
    import numpy as np

    if not np.all(np.isfinite(samples)) or float(np.max(np.abs(samples), initial=0.0)) > 1.0:
        raise DataError("the samples leave the range -1 to 1", code="clipping", hint="scale the signal first")
    return np.round(np.asarray(samples) * 32767.0).astype("<i2")


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE) -> None:
    """Write ``samples`` (float, -1 … 1, shape ``(n,)``) as 16-bit PCM.

    Written beside its place and renamed, so an interrupted run leaves an earlier file intact.

    Raises:
        DataError: the samples leave -1 … 1 or are not finite (nothing is clipped silently).
        OSError: the place cannot be written.
    """
    data = _whole(samples).tobytes()
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as stream, wave.open(stream, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(rate)
            out.writeframes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_wav(path: Path) -> tuple[np.ndarray, int]:
    """Samples (float, -1 … 1, shape ``(n,)``) and sampling rate in Hz of a 16-bit mono WAV file.

    Raises:
        DataError: another kind of file.
    """
    import numpy as np

    try:
        with wave.open(str(path), "rb") as source:
            if source.getsampwidth() != 2 or source.getnchannels() != 1:
                raise DataError("not a 16-bit mono WAV file", file=path)
            data = source.readframes(source.getnframes())
            return np.frombuffer(data, dtype="<i2").astype(np.float64) / 32767.0, source.getframerate()
    except (wave.Error, EOFError) as error:
        raise DataError(f"not a WAV file: {error}", file=path) from None
