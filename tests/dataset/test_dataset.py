"""Data sets: the same bytes however they are made, nothing lost or doubled, honest refusals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections import namedtuple
from pathlib import Path

import pytest

from guqin_kg.dataset import load_plan, make_plan, run_plan
from guqin_kg.dataset import run as run_module
from guqin_kg.dataset.plan import load_notations
from guqin_kg.dataset.shards import _member, finished
from guqin_kg.errors import DataError, LimitError, NotFoundError, StoreLockedError, UsageError

READINGS = ["大九勾四", "散挑七", "名十一注勾四", "撮大七七散四", "历七六", "上七九", "泛起", "名外挑四"]


def small(out: Path, **options: object) -> Path:
    make_plan(out, per_glyph=4, images_per_shard=8, readings=READINGS, **options)  # type: ignore[arg-type]
    return out


def shard_bytes(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(out.iterdir()) if p.suffix in (".tar", ".parquet")}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = small(tmp_path_factory.mktemp("set") / "reference")
    index = run_plan(out, workers=1)
    assert index["images"] == 32
    return out


def test_shards_hold_every_picture_once(reference: Path) -> None:
    keys: list[str] = []
    for path in sorted(reference.glob("*.tar")):
        with tarfile.open(path) as tar:
            names = tar.getnames()
        assert names[0::2] == [n.replace(".json", ".png") for n in names[1::2]], "picture, then label"
        keys += [n.removesuffix(".png") for n in names[0::2]]
    assert sorted(keys) == [f"{n:06d}-{r:04d}" for n in range(8) for r in range(4)]
    index = json.loads((reference / "index.json").read_text())
    assert sum(s["images"] for s in index["shards"]) == index["images"] == 32
    assert not list(reference.glob("*.part"))


@pytest.mark.parametrize(("name", "size"), [("000000-0000.png", 0), ("000017-0069.json", 1777), ("a" * 99, 8**11 - 1)])
def test_archive_headers_are_those_of_the_standard_library(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    assert _member(name.encode(), size) == info.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.slow
def test_same_bytes_from_two_workers(reference: Path, tmp_path: Path) -> None:
    out = small(tmp_path / "two")
    run_plan(out, workers=2)
    assert shard_bytes(out) == shard_bytes(reference)


@pytest.mark.slow
def test_same_bytes_from_dask(reference: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    out = small(tmp_path / "dask")
    run_plan(out, workers=2, engine="dask")
    assert shard_bytes(out) == shard_bytes(reference)


def test_goes_on_after_lost_and_half_shards(reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "half"
    shutil.copytree(reference, out)
    (out / "shard-000001.tar").unlink()  # lost
    (out / "shard-000002.tar.json").unlink()  # killed between the two moves
    (out / "shard-000003.tar").write_bytes(b"cut off")  # not by us, but seen
    (out / "shard-000003.tar.part").write_bytes(b"left over")
    untouched = (out / "shard-000000.tar").stat().st_mtime_ns
    seen: list[tuple[int, int]] = []
    index = run_plan(out, workers=1, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (8, 32)
    assert seen[-1] == (32, 32)
    assert index["images"] == 32
    assert shard_bytes(out) == shard_bytes(reference)
    assert (out / "shard-000000.tar").stat().st_mtime_ns == untouched
    assert not list(out.glob("*.part"))


@pytest.mark.slow
def test_kill_minus_nine_loses_and_doubles_nothing(tmp_path: Path) -> None:
    out = tmp_path / "killed"
    make_plan(out, per_glyph=30, images_per_shard=30, readings=READINGS)
    code = f"from guqin_kg.dataset import run_plan; run_plan({str(out)!r}, workers=1)"
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 120
    while not list(out.glob("shard-000001.tar.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    plan = load_plan(out)
    done = [n for n in range(plan.shards) if finished(out, plan, n)]
    assert 1 <= len(done) < plan.shards
    kept = {plan.shard_name(n): (out / plan.shard_name(n)).read_bytes() for n in done}
    run_plan(out, workers=1)
    whole = tmp_path / "whole"
    make_plan(whole, per_glyph=30, images_per_shard=30, readings=READINGS)
    run_plan(whole, workers=1)
    assert shard_bytes(out) == shard_bytes(whole)
    assert all((out / name).read_bytes() == data for name, data in kept.items())


def still_runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_workers_of_a_killed_run_end_with_it(tmp_path: Path) -> None:
    out = tmp_path / "killed"
    make_plan(out, per_glyph=100, images_per_shard=100, readings=READINGS)
    code = f"""
import multiprocessing
from guqin_kg.dataset import run_plan
if __name__ == "__main__":
    say = lambda done, _: done and print(*(p.pid for p in multiprocessing.active_children()), flush=True)
    run_plan({str(out)!r}, workers=2, progress=say)
"""
    script = tmp_path / "run.py"
    script.write_text(code, "utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        workers = [int(word) for word in process.stdout.readline().split()]
        process.kill()
    assert len(workers) == 2
    deadline = time.monotonic() + 30
    while any(still_runs(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(still_runs(pid) for pid in workers)
    run_plan(out, workers=2)
    assert not list(out.glob("*.part"))
    whole = tmp_path / "whole"
    make_plan(whole, per_glyph=100, images_per_shard=100, readings=READINGS)
    run_plan(whole, workers=1)
    assert shard_bytes(out) == shard_bytes(whole)


def test_a_picture_does_not_depend_on_the_rest_of_the_plan(reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "fewer"
    make_plan(out, per_glyph=2, images_per_shard=8, readings=READINGS[:3])
    run_plan(out, workers=1)

    def by_iri(folder: Path) -> dict[tuple[str, str], bytes]:
        plan = load_plan(folder)
        rows = load_notations(folder, plan.notations)
        found = {}
        for path in folder.glob("*.tar"):
            with tarfile.open(path) as tar:
                for member in tar:
                    if member.name.endswith(".png"):
                        number, replicate = member.name.removesuffix(".png").split("-")
                        found[rows[int(number)][0], replicate] = tar.extractfile(member).read()  # type: ignore[union-attr]
        return found

    few, many = by_iri(out), by_iri(reference)
    assert len(few) == 6
    assert all(many[key] == data for key, data in few.items())


def test_glyphs_come_by_lot_from_the_lexicon(tmp_path: Path) -> None:
    first = make_plan(tmp_path / "a", glyphs=12, per_glyph=1)
    second = make_plan(tmp_path / "b", glyphs=20, per_glyph=1)
    small_set = [iri for iri, _ in load_notations(tmp_path / "a", first.notations)]
    large_set = [iri for iri, _ in load_notations(tmp_path / "b", second.notations)]
    assert large_set[:12] == small_set


def test_another_plan_in_the_folder_is_refused(reference: Path) -> None:
    with pytest.raises(UsageError, match="another data set"):
        make_plan(reference, per_glyph=5, readings=READINGS)
    assert make_plan(reference, per_glyph=4, images_per_shard=8, readings=READINGS) == load_plan(reference)


def test_no_room_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = small(tmp_path / "full")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(run_module.shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    with pytest.raises(LimitError, match="free") as caught:
        run_plan(out, workers=1)
    assert caught.value.code == "no-space"
    assert not list(out.glob("shard-*"))


def test_two_runs_do_not_write_to_one_folder(reference: Path) -> None:
    from filelock import FileLock

    with FileLock(reference / ".lock"), pytest.raises(StoreLockedError, match="another run"):
        run_plan(reference, workers=1)


def test_changed_list_of_notations_is_seen(reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "changed"
    shutil.copytree(reference, out)
    (out / "shard-000000.tar").unlink()
    with (out / "notations.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(DataError, match="changed"):
        run_plan(out, workers=1)


@pytest.mark.parametrize(
    "options",
    [{"glyphs": 0}, {"per_glyph": 0}, {"format": "zip"}, {"size": 2}, {"presets": ("x",)}, {"glyphs": 10**7}],
)
def test_bad_options(tmp_path: Path, options: dict[str, object]) -> None:
    base: dict[str, object] = {"per_glyph": 1, "readings": READINGS}
    with pytest.raises(UsageError):
        make_plan(tmp_path / "x", **{**base, **options})  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no data set"):
        run_plan(tmp_path)


def test_a_disk_that_fills_up_keeps_whole_shards_and_frees_the_half_one(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guqin_kg.dataset import shards

    out = small(tmp_path / "filling")
    write, written = shards._write_tar, []

    def full(path: Path, found: object, grammar: object) -> int:
        if written:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        written.append(path)
        return write(path, found, grammar)  # type: ignore[arg-type]

    monkeypatch.setattr(shards, "_write_tar", full)
    with pytest.raises(OSError, match=r"No space left on device; whole shards are kept.*shard-000001"):
        run_plan(out, workers=1)
    assert not list(out.glob("*.part"))
    monkeypatch.undo()
    run_plan(out, workers=1)
    assert shard_bytes(out) == shard_bytes(reference)


def test_impossible_numbers_of_workers_are_refused(reference: Path) -> None:
    for workers in (-1, 10**6):
        with pytest.raises(UsageError, match="workers"):
            run_plan(reference, workers=workers)
