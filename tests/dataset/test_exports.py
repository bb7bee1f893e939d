"""Exports are read back by the tools they are for."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guqin_kg.dataset import make_plan, run_plan
from guqin_kg.dataset.exports import category_names, export_images, pictures
from guqin_kg.dataset.plan import load_plan
from guqin_kg.errors import NotFoundError, UsageError

READINGS = ["大九勾四", "撮大七七散四", "名外注勾四"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "set"
    make_plan(out, per_glyph=3, readings=READINGS, frame="crop", size=96)
    run_plan(out, workers=1)
    return out


def test_coco_is_read_by_pycocotools(source: Path, tmp_path: Path) -> None:
    coco_module = pytest.importorskip("pycocotools.coco")
    result = export_images("coco", source, tmp_path / "coco")
    assert result["images"] == 9
    coco = coco_module.COCO(str(tmp_path / "coco" / "annotations.json"))
    truth = {row["reading"]: row for _, _, row in pictures(source)}
    assert len(coco.getImgIds()) == 9
    for image in coco.loadImgs(coco.getImgIds()):
        with Image.open(tmp_path / "coco" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
        found = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
        expected = [c["name"] for c in truth[image["reading"]]["components"]]
        assert [a["name"] for a in sorted(found, key=lambda a: a["order"])] == expected
        for a in found:
            x, y, w, h = a["bbox"]
            assert x >= 0
            assert y >= 0
            assert x + w <= image["width"] + 0.01
            assert y + h <= image["height"] + 0.01
            assert coco.loadCats([a["category_id"]])


def test_yolo_boxes_fit_the_pictures(source: Path, tmp_path: Path) -> None:
    export_images("yolo", source, tmp_path / "yolo")
    classes = category_names(load_plan(source))
    header = (tmp_path / "yolo" / "data.yaml").read_text("utf-8")
    assert f"nc: {len(classes)}" in header
    labels = sorted((tmp_path / "yolo" / "labels").glob("*.txt"))
    assert len(labels) == 9
    for path in labels:
        rows = np.array([[float(v) for v in line.split()] for line in path.read_text().splitlines()])
        assert (rows[:, 0] < len(classes)).all()
        assert (rows[:, 1] - rows[:, 3] / 2 > -1e-4).all()
        assert (rows[:, 2] + rows[:, 4] / 2 < 1 + 1e-4).all()
        assert (tmp_path / "yolo" / "images" / f"{path.stem}.png").is_file()


def test_jsonl_is_in_the_form_of_labelled_crops(source: Path, tmp_path: Path) -> None:
    export_images("jsonl", source, tmp_path / "lines")
    rows = [json.loads(line) for line in (tmp_path / "lines" / "labels.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 9
    assert all("".join(r["components"]) == r["reading"] for r in rows)
    assert all(len(r["boxes"]) == len(r["roles"]) == len(r["components"]) for r in rows)
    assert all((tmp_path / "lines" / r["file"]).is_file() for r in rows)


def test_webdataset_is_read_by_its_library(source: Path, tmp_path: Path) -> None:
    wds = pytest.importorskip("webdataset")
    export_images("webdataset", source, tmp_path / "wds")
    shards = [str(p) for p in sorted((tmp_path / "wds").glob("*.tar"))]
    found = list(wds.WebDataset(shards, shardshuffle=False))
    assert len(found) == 9
    for sample in found:
        row = json.loads(sample["json"])
        with Image.open(io.BytesIO(sample["png"])) as image:
            assert image.size == (row["width"], row["height"])


def test_parquet_has_the_same_pictures(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    out = tmp_path / "parquet"
    make_plan(out, per_glyph=3, readings=READINGS, frame="crop", size=96, format="parquet")
    run_plan(out, workers=1)
    tar = {key: (image, row) for key, image, row in pictures(source)}
    for key, image, row in pictures(out):
        assert image == tar[key][0]
        assert row["reading"] == tar[key][1]["reading"]
        boxes = [c["box"] for c in row["components"]]
        assert np.allclose(boxes, [c["box"] for c in tar[key][1]["components"]], atol=1e-3)


def test_unfinished_set_and_full_folder_are_refused(source: Path, tmp_path: Path) -> None:
    make_plan(tmp_path / "begun", per_glyph=1, readings=READINGS)
    with pytest.raises(NotFoundError, match="missing"):
        export_images("coco", tmp_path / "begun", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        export_images("yolo", source, tmp_path / "mine")
    with pytest.raises(UsageError, match="format"):
        export_images("voc", source, tmp_path / "new")


def test_export_command(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from guqin_kg.cli import cli

    monkeypatch.chdir(tmp_path)
    args = ["export", "--format", "yolo", "--images", str(source), "--to", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["images"] == 9
    assert (tmp_path / "out" / "data.yaml").is_file()


def test_dataset_command_says_what_it_made(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from guqin_kg.cli import cli

    names = tmp_path / "names.txt"
    names.write_text("\n".join(READINGS), "utf-8")
    args = ["dataset", "--out", str(tmp_path / "set"), "--readings", str(names), "--per-glyph", "2", "--workers", "1"]
    result = CliRunner().invoke(cli, [*args, "--format", "json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["images"] == 6
    again = CliRunner().invoke(cli, [*args, "--format", "json"])
    assert json.loads(again.stdout)["bytes"] == json.loads(result.stdout)["bytes"]
