"""`guqin train contrastive`, `evaluate contrastive`, and an adapter from crops to search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch", reason="needs the [train] extra")

from guqin_kg.cli.similar import similar  # noqa: E402
from guqin_kg.cli.train import evaluate, train  # noqa: E402
from guqin_kg.errors import UsageError  # noqa: E402
from guqin_kg.recognise.towers import Towers, adapters  # noqa: E402
from training.contrastive import run  # noqa: E402
from training.contrastive.config import CONFIGS  # noqa: E402

pytestmark = pytest.mark.train
READINGS = ["大九勾四", "名十挑五", "散勾一", "中十二剔六"]


def call(command, *arguments: object) -> str:
    done = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy model with three towers, and labelled pictures of a "book"."""
    from PIL import Image

    from guqin_kg.draw import draw_spec, sample_spec
    from guqin_kg.notation.parse import parse

    root = tmp_path_factory.mktemp("contrastive")
    text = (CONFIGS / "tiny.yaml").read_text("utf-8")
    (root / "three.yaml").write_text(text + "\nmodalities: [image, text, audio]\n", "utf-8")
    call(
        train, "contrastive", "--config", root / "three.yaml", "--out", root / "model", "--cache", root / "c", "--quiet"
    )
    rows = []
    for number, reading in enumerate(READINGS * 3):
        drawing = draw_spec(sample_spec(parse(reading), "print", number, size=60, frame="crop"))
        Image.fromarray(drawing.pixels).save(root / f"{number}.png")
        rows.append({"file": f"{number}.png", "reading": reading, "page": number % 3})
    rows.append({"file": "0.png", "reading": "无此字", "page": 0})
    (root / "crops.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    (root / "names.txt").write_text("\n".join(READINGS), "utf-8")
    return root


def test_the_configurations_are_listed() -> None:
    shown = call(train, "contrastive", "--list")
    rows = json.loads(call(train, "contrastive", "--list", "--format", "json"))
    for name in ("adapt", "audio", "experiment-1", "experiment-2", "experiment-3", "large", "ours", "tiny"):
        assert f"{name}\t" in shown
        assert name in {row["name"] for row in rows}


def test_a_model_is_measured_in_every_direction(place: Path) -> None:
    found = json.loads(
        call(evaluate, "contrastive", "--model", place / "model", "--names", place / "names.txt", "--each", 3,
             "--audio", "--out", place / "report", "--format", "json")
    )  # fmt: skip
    assert found["pictures"] == 12
    assert found["readings"] == found["sounds"] == 4
    ways = ("image_to_text", "text_to_image", "image_to_audio", "text_to_audio", "audio_to_text")
    for way in ways:
        assert 0 <= found[way]["top1"] <= found[way]["top5"] <= 1
    assert found["image_to_text"]["gallery"] == 4
    assert found["image_to_text_in_batch"]["batch"] == 12
    assert json.loads((place / "report" / "retrieval.json").read_text("utf-8")) == found
    text = call(evaluate, "contrastive", "--model", place / "model", "--data", place / "crops.jsonl", "--pages", "1,2")
    assert "8 pictures, 4 readings" in text
    assert "1 left out" in text
    assert "of all 4" in text


def adaptation(place: Path, folder: Path) -> Path:
    """The bundled configuration at toy size."""
    text = (CONFIGS / "adapt.yaml").read_text("utf-8").replace("max_steps: 240", "max_steps: 2")
    for old, new in (("drawn_images: 2048", "drawn_images: 16"), ("shard: 1024", "shard: 16"),
                     ("batch: 48", "batch: 6"),
                     ("bank: 4096", "bank: 12"), ("base: bundled", f"base: {place / 'model'}")):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    config = folder / "adapt.yaml"
    tiny = json.dumps({"height": 32, "width": 32})
    config.write_text(text + f"\ntowers: {tiny}\n", "utf-8")
    return config


def test_an_adapter_that_the_clock_ends_early_is_kept(place: Path, tmp_path: Path) -> None:
    arguments = ["--data", place / "crops.jsonl", "--name", "short", "--cache", place / "c", "--quiet"]
    config = adaptation(place, tmp_path)
    config.write_text(config.read_text("utf-8").replace("max_steps: 2", "max_steps: 100000"), "utf-8")
    about = json.loads(
        call(train, "contrastive", "--config", config, *arguments, "--minutes", "0.001", "--out", tmp_path / "short",
             "--format", "json")
    )  # fmt: skip
    assert 1 <= about["steps"] < 25
    assert about["loss"] > 0
    assert (tmp_path / "short" / "adapter_model.safetensors").is_file()


def test_an_adapter_is_trained_on_some_pages_listed_and_used(place: Path, tmp_path: Path) -> None:
    config = adaptation(place, tmp_path)
    out = place / "model" / "adapters" / "book"
    about = json.loads(
        call(train, "contrastive", "--config", config, "--data", place / "crops.jsonl", "--name", "book",
             "--pages", "0,1", "--out", out, "--cache", place / "c", "--quiet", "--format", "json")
    )  # fmt: skip
    assert about["crops"] == 8
    assert about["steps"] == 2
    assert str(place) not in (out / "adapter_config.json").read_text("utf-8")
    assert [row["name"] for row in adapters(place / "model")][-1] == "book"
    adapted, plain = Towers.open(place / "model", "book"), Towers.open(place / "model")
    assert (adapted.texts(READINGS) == plain.texts(READINGS)).all()
    assert (out / "README.md").read_text("utf-8").startswith("# Contrastive adapter book")
    shown = call(
        evaluate, "contrastive", "--model", place / "model", "--adapter", "book", "--data", place / "crops.jsonl",
        "--pages", "2",
    )  # fmt: skip
    assert shown.startswith("model book: 4 pictures")


def test_a_killed_adaptation_goes_on(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = adaptation(place, tmp_path)
    text = config.read_text("utf-8").replace("max_steps: 2", "max_steps: 5")
    config.write_text(text.replace("checkpoint_every: 100", "checkpoint_every: 2"), "utf-8")
    real_step, steps = run._step, []

    def dying(*args: Any) -> Any:
        steps.append(args[-1])
        if len(steps) == 4:
            raise ZeroDivisionError
        return real_step(*args)

    monkeypatch.setattr(run, "_step", dying)
    out = tmp_path / "shelf" / "killed"
    arguments = ["contrastive", "--config", config, "--data", place / "crops.jsonl", "--name", "killed",
                 "--cache", place / "c", "--quiet", "--format", "json", "--out", out]  # fmt: skip
    with pytest.raises(ZeroDivisionError):
        call(train, *arguments)
    assert [path.name[:12] for path in out.parent.iterdir()] == [".killed.run-"]
    about = json.loads(call(train, *arguments))
    assert steps == [0, 1, 2, 3, 2, 3, 4]
    assert about["steps"] == 5
    assert [path.name for path in out.parent.iterdir()] == ["killed"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["contrastive", "--config", "adapt"],
        ["contrastive", "--config", "tiny"],
        ["contrastive", "--config", "tiny", "--notations", "30000", "--out", "/nowhere"],
        ["contrastive", "--config", "adapt", "--data", "crops.jsonl", "--name", "../x"],
    ],
)
def test_training_used_wrongly_is_said(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        call(train, *arguments)


def test_measuring_and_searching_used_wrongly_is_said(place: Path) -> None:
    with pytest.raises(UsageError, match="one thing"):
        call(evaluate, "contrastive", "--model", place / "model")
    with pytest.raises(UsageError, match="no crop of the pages 99"):
        call(evaluate, "contrastive", "--model", place / "model", "--data", place / "crops.jsonl", "--pages", "99")
    done = CliRunner().invoke(evaluate, ["contrastive", "--notations", "4", "--seed", "-1"])
    assert done.exit_code == 2
    assert "--seed" in done.output
    with pytest.raises(UsageError, match="one thing"):
        call(similar)
    with pytest.raises(UsageError, match="one thing"):
        call(similar, "大九勾四", "--image", "a.png")
    with pytest.raises(UsageError, match="--by says"):
        call(similar, "--image", "a.png", "--by", "text")
    with pytest.raises(UsageError, match="--against needs"):
        call(similar, "大九勾四", "--against", "text")
