"""Plots whose legend hides nothing; measuring on files some of which cannot be read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guqin_kg.errors import DataError, UsageError
from guqin_kg.notation.grammar import default_grammar
from training.evaluate import plot


def test_names_stand_above_the_lines_and_side_by_side() -> None:
    series = {f"series number {n}": [(0.0, 0.0), (1.0, 1.0)] for n in range(6)}
    picture = plot.lines(series, "x", "y")
    highest = min(
        float(y) for points in re.findall(r'points="([^"]+)"', picture) for y in re.findall(r",(\S+)", points)
    )
    names = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" fill="[^"]+">(series[^<]+)<', picture)
    assert len(names) == 6
    assert all(float(y) < highest for _, y, _ in names)
    assert len({(x, y) for x, y, _ in names}) == 6
    assert all(float(x) + len(name) * 6 < 520 for x, _, name in names)
    assert float(re.findall(r'viewBox="0 0 520 ([\d.]+)"', picture)[0]) > 340


@pytest.fixture
def data(tmp_path: Path) -> Path:
    pytest.importorskip("torch", reason="needs the [train] extra")
    from guqin_kg.draw import draw_spec, sample_spec
    from guqin_kg.notation.parse import parse

    drawing = draw_spec(sample_spec(parse("大九勾四"), "clean", 3, size=96, frame="crop"))
    Image.fromarray(drawing.pixels).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    rows = [{"file": f"{name}.png", "reading": "大九勾四", "page": 1} for name in "ab"]
    path = tmp_path / "crops.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def test_pictures_that_cannot_be_read_are_left_out(data: Path) -> None:
    from guqin_kg.recognise import Recogniser
    from training.evaluate import measure

    reader = Recogniser.open(grammar=default_grammar())
    found = measure.on_file(reader, data).to_json()
    assert (found["images"], found["left_out"]) == (1, 1)
    with pytest.raises(UsageError, match="no crop of the pages 7"):
        measure.on_file(reader, data, pages={"7"})
    (data.parent / "a.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        measure.on_file(reader, data)
    assert caught.value.code == "no-crops"


def test_crops_of_an_empty_file(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the [train] extra")
    from guqin_kg.recognise.vocabulary import Vocabulary
    from guqin_kg.recognise.words import Words
    from training.recogniser.crops import read_crops, to_shard

    words = Words(default_grammar())
    vocabulary = Vocabulary.of(words.bases())
    (tmp_path / "none.jsonl").write_bytes(b"")
    with pytest.raises(DataError, match=r"no usable crop in 0 lines\n"):
        read_crops(tmp_path / "none.jsonl", words, vocabulary)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "one.jsonl").write_text('{"file": "a.png", "reading": "大九勾四"}\n', "utf-8")
    crops = read_crops(tmp_path / "one.jsonl", words, vocabulary)
    with pytest.raises(DataError, match="longer than the model reads"):
        to_shard(crops, vocabulary, 32, 24, 3)
