"""Drawing processes: what goes wrong in one reaches the run as one of our errors, never as a traceback."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("safetensors", reason="needs the [train] extra")

from guqin_kg.errors import DataError, LimitError
from training.recogniser.shards import Producer, folder, load, write

pytestmark = pytest.mark.train

_SOURCE = """
import os
import numpy as np

def draw(seeds):
    return [(np.zeros((4, 4), np.uint8), [1, 2], np.zeros((2, 4))) for _ in seeds]

def good():
    return draw

def no_memory():
    raise MemoryError

def faulty():
    raise ZeroDivisionError("boom")

def killed():
    os._exit(9)
"""


@pytest.fixture
def drawers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that the processes can import."""
    (tmp_path / "drawers_of_the_test.py").write_text(_SOURCE, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("GUQIN_DEBUG", raising=False)
    return importlib.import_module("drawers_of_the_test")


def test_a_full_disk_in_the_background(drawers: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "shards"
    root.mkdir()
    folder(root, 0).write_text("in the way")  # the finished shard cannot take its place
    producer = Producer(drawers.good, root, 1, 1, 2, 4, 1)
    try:
        with pytest.raises(LimitError, match="cannot write a shard") as caught:
            producer.get(0)
    finally:
        producer.close()
    assert caught.value.code == "no-space"
    assert caught.value.file == str(root)
    assert caught.value.hint
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("no_memory", LimitError, "not enough memory"),
        ("faulty", DataError, "drawing failed: ZeroDivisionError: boom"),
        ("killed", DataError, "ended before shard 0 was there"),
    ],
)
def test_what_a_drawing_process_dies_of(
    drawers: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, kind: type[Exception], said: str
) -> None:
    producer = Producer(getattr(drawers, name), tmp_path / "shards", 1, 1, 2, 4, 1)
    try:
        with pytest.raises(kind, match=said):
            producer.get(0)
    finally:
        producer.close()
    assert capfd.readouterr().err == ""


def test_shards_come_from_several_processes(drawers: ModuleType, tmp_path: Path) -> None:
    producer = Producer(drawers.good, tmp_path / "shards", 3, 1, 2, 4, 2)
    try:
        assert [len(producer.get(number)) for number in range(3)] == [2, 2, 2]
    finally:
        producer.close()


def test_an_unwritable_place(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    row = (np.zeros((4, 4), np.uint8), [1, 2], np.zeros((2, 4)))
    with pytest.raises(LimitError) as caught:
        write(blocked, 0, lambda seeds: [row for _ in seeds], 1, 2, 4)
    assert caught.value.code == "no-space"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_empty_file_of_a_shard_is_damage(tmp_path: Path) -> None:
    place = folder(tmp_path, 0)
    place.mkdir()
    for name in ("images", "tokens", "boxes"):
        (place / f"{name}.npy").write_bytes(b"")
    with pytest.raises(DataError, match="damaged shard"):
        load(place)
