"""Records on disk: a swap that fails leaves what was there."""

from __future__ import annotations

from pathlib import Path

import pytest

from guqin_kg.dialogue import output


def test_a_swap_that_fails_puts_the_old_file_back(tmp_path: Path) -> None:
    target = tmp_path / "train.jsonl"
    target.write_text("old")
    with pytest.raises(OSError):
        output._swap(tmp_path / "gone.tmp", target)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["train.jsonl"]


def test_a_swap(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("new")
    output._swap(tmp_path / "new", tmp_path / "train.jsonl")
    (tmp_path / "newer").write_text("newer")
    output._swap(tmp_path / "newer", tmp_path / "train.jsonl")
    assert (tmp_path / "train.jsonl").read_text() == "newer"
    assert [p.name for p in tmp_path.iterdir()] == ["train.jsonl"]
