"""The wheel is what users get: its files equal the folders, and it works from an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
FOLDERS = ("ontology", "sparql", "templates", "models")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "-w", out, REPO],
        check=True,
    )
    (found,) = out.glob("*.whl")
    return found


def tracked(folder: str) -> set[str]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", folder], cwd=REPO, capture_output=True, text=True, check=True
    ).stdout
    return {name for name in listing.split("\0") if name and (REPO / name).is_file()}


@pytest.mark.slow
def test_the_wheel_carries_the_folders(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder in FOLDERS:
        names = {n for n in tracked(folder) if not n.endswith(".gitkeep")}
        assert names, f"{folder} has no tracked file"
        missing = {n for n in names if f"guqin_kg/_data/{n}" not in inside}
        assert not missing, f"not in the wheel: {sorted(missing)[:5]}"


@pytest.mark.slow
def test_the_wheel_works_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--target",
            site,
            wheel,
        ],
        check=True,
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
    }

    def guqin(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "guqin_kg", *arguments],
            cwd=empty,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = subprocess.run(
        [sys.executable, "-c", "import guqin_kg; print(guqin_kg.__file__)"],
        cwd=empty,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(site) in where
    assert json.loads(guqin("parse", "大九勾四", "--format", "json"))[0]["strings"] == [4]
    guqin("init", "ws")
    guqin("build", "--workspace", "ws")
    assert "大九勾四" in guqin("explain", "大九勾四", "--workspace", "ws")
    assert json.loads(
        guqin("query", "components-of", "-p", "notation=大九勾四", "--format", "json", "--workspace", "ws")
    )["results"]["bindings"]
