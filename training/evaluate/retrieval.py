"""Retrieval by a contrastive model: pictures, readings and sounds found by each other, in numpy alone.

In batch: the right one among twelve, as the published figures count. Gallery: among all readings of the data, all
pictures or all sounds; where several pictures show one reading, the nearest of them counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg.errors import DataError, GuqinKGError, UsageError
from guqin_kg.notation.grammar import Grammar
from guqin_kg.recognise.hear import played, spectrum
from guqin_kg.recognise.images import fit, load_grey
from guqin_kg.recognise.towers import Towers
from guqin_kg.recognise.vocabulary import Vocabulary
from guqin_kg.recognise.words import Words
from training.contrastive import measure

Array = np.ndarray
_FIRST_SEED = 910_000_000
"""Of the pictures drawn for measuring; training draws with other seeds."""


def figures(images: Array, texts: Array, truth: Array, sounds: Array | None = None) -> dict[str, Any]:
    """Ranks in every direction.

    Args:
        images: vectors ``(n, space)`` of pictures.
        texts: vectors ``(m, space)`` of the distinct readings.
        truth: ``(n,)`` reading of each picture.
        sounds: vectors ``(m, space)`` of the readings' sounds, rows of NaN where one does not sound; or None.
    """
    shown, columns = np.unique(truth, return_inverse=True)
    out: dict[str, Any] = {
        "pictures": len(images),
        "readings": len(texts),
        "image_to_text_in_batch": measure.in_batch(images, texts, truth),
        "image_to_text": measure.gallery(images, texts, truth),
        "text_to_image_in_batch": measure.in_batch(texts[truth], images, np.arange(len(truth)), labels=truth),
        "text_to_image": measure.best_of(texts[shown], images, columns),
    }
    if sounds is not None:
        heard = np.flatnonzero(~np.isnan(sounds[:, 0]))
        place = np.full(len(texts), -1)
        place[heard] = np.arange(len(heard))
        mine = place[truth] >= 0
        every = np.arange(len(heard))
        out["sounds"] = len(heard)
        out["image_to_audio_in_batch"] = measure.in_batch(images[mine], sounds[heard], place[truth][mine])
        out["image_to_audio"] = measure.gallery(images[mine], sounds[heard], place[truth][mine])
        out["text_to_audio"] = measure.gallery(texts[heard], sounds[heard], every)
        out["audio_to_text"] = measure.gallery(sounds[heard], texts[heard], every)
    return out


def on_crops(towers: Towers, data: Path, grammar: Grammar, pages: set[str] | None = None) -> dict[str, Any]:
    """Labelled crops against all distinct readings of their file.

    Args:
        towers: the model.
        data: JSON lines with ``file``, ``reading``, ``page``.
        grammar: reads the labels.
        pages: only pictures of these pages are measured; the readings of all pages stay in the gallery.

    Raises:
        UsageError: no crop of one of these pages.
    """
    from training.recogniser.crops import read_crops

    words = Words(grammar)
    crops = read_crops(data, words, Vocabulary.of(words.bases()))
    readings = sorted({row.reading for row in crops.rows})
    index = {text: at for at, text in enumerate(readings)}
    rows = (crops if pages is None else crops.of_pages(pages)).rows
    windows, truth, damaged = [], [], []
    for row in rows:
        try:
            windows.append(fit(load_grey(row.file), towers.height, towers.width).pixels)
            truth.append(index[row.reading])
        except GuqinKGError as error:
            damaged.append(f"{row.file.name}: {error.message}")
    if not windows:
        raise DataError("none of the pictures can be read; " + "; ".join(damaged[:5]), code="no-crops")
    found = figures(towers.images(np.stack(windows)), towers.texts(readings), np.array(truth))
    return _about(towers, readings) | found | {"left_out": [*crops.skipped, *damaged]}


def on_drawn(
    towers: Towers,
    grammar: Grammar,
    *,
    names: Path | None = None,
    notations: int | None = None,
    styles: Sequence[str] | None = None,
    preset: str = "clean",
    each: int = 1,
    audio: bool = False,
    seed: int = 1,
) -> dict[str, Any]:
    """Pictures drawn for measuring, of listed readings or of notations of the lexicon.

    Args:
        styles: each reading is drawn in each of these; None = one that fits the preset.
        each: pictures for each reading and style.
        audio: also against the sounds of those that sound by themselves.

    Raises:
        UsageError: nothing could be drawn.
    """
    from guqin_kg.draw import Engine, draw_spec, sample_spec
    from guqin_kg.notation.parse import parse

    engine = Engine(grammar)
    readings = sorted(set(_readings(grammar, names, notations, seed)))
    windows, truth, refused = [], [], []
    for number, reading in enumerate(readings):
        notation = parse(reading, grammar)
        for at, style in enumerate(styles or [None]):
            for turn in range(each):
                number_of = _FIRST_SEED + seed * 1_000_003 + number * 1000 + at * 50 + turn
                chosen = [style] if style else None
                try:
                    spec = sample_spec(
                        notation, preset, number_of, size=128, frame="crop", styles=chosen, engine=engine
                    )
                    windows.append(fit(draw_spec(spec, engine).pixels, towers.height, towers.width).pixels)
                except DataError as error:
                    refused.append(f"{reading}: {error.message}")
                    continue
                truth.append(number)
    if not windows:
        raise UsageError("nothing could be drawn; " + "; ".join(refused[:3]), code="cannot-draw")
    sounds = _sounds(towers, readings, grammar) if audio else None
    found = figures(towers.images(np.stack(windows)), towers.texts(readings), np.array(truth), sounds)
    return _about(towers, readings) | found | {"left_out": refused}


def _readings(grammar: Grammar, names: Path | None, notations: int | None, seed: int) -> Iterator[str]:
    from guqin_kg.notation.format import short_reading
    from guqin_kg.notation.listing import read_list
    from guqin_kg.notation.parse import parse

    if names is not None:
        for line in read_list(names):
            yield short_reading(parse(line, grammar), grammar)
        return
    from training.contrastive.data import spread

    yield from spread(int(notations or 0), seed, grammar)


def _sounds(towers: Towers, readings: Sequence[str], grammar: Grammar) -> Array:
    frames, at = [], []
    for number, reading in enumerate(readings):
        try:
            samples, rate = played(reading, grammar)
        except GuqinKGError:
            continue
        frames.append(spectrum(samples, int(towers.config["frames"]), int(towers.config["bands"]), rate))
        at.append(number)
    out = np.full((len(readings), int(towers.config["space"])), np.nan, np.float32)
    if at:
        out[at] = towers.sounds(np.stack(frames))
    return out


def _about(towers: Towers, readings: Sequence[str]) -> dict[str, Any]:
    return {"model": towers.name, "never_shown": towers.unknown(readings)}


def lines(report: Mapping[str, Any]) -> list[str]:
    """The figures as text, one direction a line."""
    out = []
    if "pictures" in report:
        name = report.get("model", "just trained")
        out.append(f"model {name}: {report['pictures']} pictures, {report['readings']} readings")
    for key, row in report.items():
        if isinstance(row, Mapping) and "top1" in row and "source" not in row:
            among = f"of {row['batch']:.0f} in a batch" if "batch" in row else f"of all {row['gallery']:.0f}"
            out.append(f"{key.removesuffix('_in_batch').replace('_', ' '):<16} {among:<18} "
                       f"top-1 {row['top1']:.4f}  top-5 {row['top5']:.4f}")  # fmt: skip
    published = report.get("published")
    if published:
        out.append(f"{'published':<16} {'of 12 in a batch':<18} top-1 {published['top1']:.4f}  "
                   f"top-5 {published['top5']:.4f}  ({published['source']})")  # fmt: skip
    if report.get("never_shown"):
        out.append(f"never shown to this model: {' '.join(report['never_shown'])}")
    if report.get("left_out"):
        out.append(f"{len(report['left_out'])} left out: " + "; ".join(report["left_out"][:3]))
    return out


def write(report: Mapping[str, Any], out: Path) -> None:
    """``retrieval.json`` in the folder ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    part = out / "retrieval.json.part"
    part.write_text(json.dumps(dict(report), ensure_ascii=False, indent=1) + "\n", "utf-8")
    part.replace(out / "retrieval.json")
