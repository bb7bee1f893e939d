"""What the experiments write down: the curve over real crops, and where a second stage came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the [train] extra")

from guqin_kg import resources
from guqin_kg.draw import draw_spec, sample_spec
from guqin_kg.notation.parse import parse
from guqin_kg.recognise.weights import file_hash
from training.evaluate import experiments
from training.evaluate.spoilt import WAYS
from training.recipes.base import started_from
from training.recogniser.card import of_model


def test_the_curve_joins_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "base.json").write_text(json.dumps({"test pages, open": {"top1": 0.7, "top5": 0.9}}), "utf-8")
    (tmp_path / "adapt-100.json").write_text(json.dumps({"crops": 100, "open": {"top1": 0.9, "top5": 0.95}}), "utf-8")
    assert experiments.main(["curve", "--out", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"0": {"top1": 0.7, "top5": 0.9}, "100": {"top1": 0.9, "top5": 0.95}}
    picture = (tmp_path / "recogniser-crops.svg").read_text("utf-8")
    assert picture.count("<polyline") == 2
    assert picture.count("<circle") == 4


def test_data_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as error:
        experiments.main(["base", "--out", str(tmp_path)])
    assert error.value.code == 2


def test_crops_are_spoilt_in_every_way_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for number, reading in enumerate(("大九勾四", "散挑五", "名十剔六")):
        drawing = draw_spec(sample_spec(parse(reading), "clean", number, size=96, frame="crop", styles=["kai"]))
        Image.fromarray(drawing.pixels).save(tmp_path / f"{number}.png")
        rows.append(json.dumps({"file": f"{number}.png", "reading": reading, "page": 1}, ensure_ascii=False))
    (tmp_path / "labels.jsonl").write_text("\n".join(rows), "utf-8")
    arguments = ["spoilt", "--data", str(tmp_path / "labels.jsonl"), "--out", str(tmp_path / "out")]
    assert experiments.main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.pop("crops") == 3
    assert found.keys() == WAYS.keys()
    assert all(row["top1"] == 1 for name, row in found.items() if "rule" in name or name == "as they are"), found
    pictures = [Image.open(tmp_path / f"{number}.png") for number in (0, 1)]
    once, again = ([spoil(*pictures).tobytes() for spoil in WAYS.values()] for _ in range(2))
    assert once == again
    assert len(set(once)) == len(WAYS)


def test_the_readings_are_drawn_in_every_style_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from guqin_kg.draw import styles

    monkeypatch.setattr(styles, "available", lambda: [s for s in styles.STYLES.values() if s.bundled])
    rows = []
    for number, reading in enumerate(("大九勾四", "散挑五", "散挑五")):
        Image.new("L", (30, 40), 255).save(tmp_path / f"{number}.png")
        rows.append(json.dumps({"file": f"{number}.png", "reading": reading, "page": 1}, ensure_ascii=False))
    (tmp_path / "labels.jsonl").write_text("\n".join(rows), "utf-8")
    arguments = ["styles", "--data", str(tmp_path / "labels.jsonl"), "--out", str(tmp_path / "out")]
    assert experiments.main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.pop("readings") == 2
    assert found.keys() == {"kai", "woodblock", "song", "brush", "pen"}
    assert found["woodblock"]["top1"] == 1
    assert not any(row["kept_for_measuring"] for row in found.values())


def _stages(stage: dict[str, Any]) -> list[dict[str, Any]]:
    """A stage and all that it came from."""
    before = [*stage.get("averaged", ()), *([stage["started_from"]] if stage.get("started_from") else [])]
    return [stage, *(earlier for each in before for earlier in _stages(each))]


def test_a_later_stage_says_where_it_came_from(tmp_path: Path) -> None:
    folder = resources.folder("models") / "recogniser"
    earlier = started_from(folder)
    assert earlier["weights"] == file_hash(folder / "model.safetensors")
    stages = earlier["averaged"]
    assert stages[0]["weights"] == stages[1]["started_from"]["weights"]
    for name in ("model.safetensors", "calibration.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    about = json.loads((folder / "training.json").read_text("utf-8"))
    del about["averaged"]
    made = {"minutes": 1.0, "steps": 2, "images_seen": 3, "config": {"seed": 9, "max_minutes": 1.0}}
    (tmp_path / "training.json").write_text(json.dumps({**about, **made, "started_from": earlier}), "utf-8")
    told = of_model(tmp_path)
    assert "2 steps, 3 images. Before it:" in told
    assert "the mean of the weights of 2 stages" in told
    trained = [stage for stage in _stages(earlier) if "images_seen" in stage]  # a mean of stages saw none itself
    assert len(trained) > 2
    for stage in trained:
        assert f"{stage['images_seen']} images" in told
