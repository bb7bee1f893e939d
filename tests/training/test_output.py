"""Folders of runs: one run at a time, adapters whole or not at all, no traceback from a full disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("safetensors", reason="needs the [train] extra")

from guqin_kg.errors import LimitError, StoreLockedError, UsageError
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
        (part / "adapter.json").write_text("first")
    with pytest.raises(LimitError, match="No space left"), output.replaced(out) as part:
        _fill_the_disk(part)
    assert (out / "adapter.json").read_text() == "first"
    with output.replaced(out) as part:
        (part / "adapter.json").write_text("second")
    assert (out / "adapter.json").read_text() == "second"
    assert names(tmp_path) == ["mine"]


@pytest.mark.parametrize("held", [["thesis.txt"], ["adapter.json", "thesis.txt"], ["README.md"], ["chapter/"]])
def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path, held: list[str]) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    for name in held:
        (out / name).mkdir() if name.endswith("/") else (out / name).write_text("years of work")
    before = names(out)
    with pytest.raises(UsageError) as caught, output.only_run(out, beside=True):
        raise AssertionError  # nothing is trained
    assert caught.value.file == str(out)
    assert caught.value.exit_status == 2
    with pytest.raises(UsageError), output.replaced(out):
        raise AssertionError
    assert names(out) == before
    assert names(tmp_path) == ["mine"]


def test_what_came_in_between_is_not_deleted_either(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    thesis = tmp_path_factory.mktemp("thesis")
    (thesis / "thesis.txt").write_text("years of work")
    out = tmp_path / "mine"
    with pytest.raises(UsageError), output.replaced(out):
        shutil.copytree(thesis, out)
    assert (out / "thesis.txt").read_text() == "years of work"
    assert names(tmp_path) == ["mine"]


def test_an_empty_folder_and_an_adapter_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    monkeypatch.chdir(out)
    for content in ("first", "second"):
        with output.only_run(Path(), beside=True), output.replaced(out) as part:
            for name in output.ADAPTER:
                (part / name).write_text(content)
        assert {(out / name).read_text() for name in output.ADAPTER} == {content}
        monkeypatch.chdir(out)
    assert names(tmp_path) == ["mine"]


def test_a_file_in_the_place_of_an_adapter(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("years of work")
    with pytest.raises(UsageError), output.replaced(tmp_path / "mine"):
        raise AssertionError
    assert (tmp_path / "mine").read_text() == "years of work"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        OSError(12, "Cannot allocate memory"),
    ],
    ids=lambda error: str(error)[:30],
)
@pytest.mark.parametrize("rank", ["0", "1"])
def test_no_memory_is_said_in_one_line(
    tmp_path: Path, error: Exception, rank: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(LimitError, match="not enough memory") as caught, output.only_run(tmp_path):
        raise error
    assert "batch" in str(caught.value.hint)
    assert caught.value.code == "no-memory"


def test_other_faults_stay_what_they_are(tmp_path: Path) -> None:
    for error in (RuntimeError("shapes differ"), OSError(2, "No such file")):
        with pytest.raises(type(error), match=str(error.args[-1])), output.only_run(tmp_path):
            raise error


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
