"""Folders of runs: one run at a time, adapters whole or not at all, no traceback from a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("safetensors", reason="needs the [train] extra")

from guqin_kg.errors import LimitError, StoreLockedError
from training import output


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    with output.only_run(tmp_path / "out"), pytest.raises(StoreLockedError), output.only_run(tmp_path / "out"):
        raise AssertionError
    assert names(tmp_path / "out") == []
    with output.only_run(tmp_path / "out"):
        pass


def test_an_adapter_is_locked_beside_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "adapters" / "mine"
    with output.only_run(out, beside=True):
        assert not out.exists()
        with pytest.raises(StoreLockedError), output.only_run(out, beside=True):
            raise AssertionError
    assert names(out.parent) == []


def test_later_processes_of_a_run_do_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with output.only_run(tmp_path):
        monkeypatch.setenv("RANK", "1")
        with output.only_run(tmp_path):
            assert names(tmp_path) == [".lock"]
        monkeypatch.delenv("RANK")
        with pytest.raises(StoreLockedError), output.only_run(tmp_path):  # the first still holds it
            raise AssertionError


def test_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LimitError) as caught, output.only_run(tmp_path / "file" / "out"):
        raise AssertionError
    assert caught.value.hint


def _fill_the_disk(folder: Path) -> None:
    (folder / "a").write_text("half")
    raise OSError(28, "No space left on device")


def test_a_failed_run_leaves_the_adapter_before(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    with output.replaced(out) as part:
        (part / "a").write_text("first")
    with pytest.raises(LimitError, match="No space left"), output.replaced(out) as part:
        _fill_the_disk(part)
    assert (out / "a").read_text() == "first"
    with output.replaced(out) as part:
        (part / "a").write_text("second")
    assert (out / "a").read_text() == "second"
    assert names(tmp_path) == ["mine"]


def test_killed_between_the_two_renames(tmp_path: Path) -> None:
    (tmp_path / ".mine.old").mkdir()
    (tmp_path / ".mine.old" / "a").write_text("first")
    with pytest.raises(LimitError), output.replaced(tmp_path / "mine"):
        raise OSError(28, "No space left on device")
    assert (tmp_path / "mine" / "a").read_text() == "first"


def test_what_safetensors_says_is_said(tmp_path: Path) -> None:
    from safetensors import SafetensorError

    with (
        pytest.raises(LimitError, match="cannot write the model: no room"),
        output.writing(tmp_path, "write the model"),
    ):
        raise SafetensorError("no room")
