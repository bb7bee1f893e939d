"""The contrastive recipe: configurations, loss, ranks, resuming, several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")

from guqin_kg.errors import UsageError  # noqa: E402
from training.contrastive import data, measure, run  # noqa: E402
from training.contrastive.config import CONFIGS, load, names  # noqa: E402
from training.contrastive.loss import pair_loss  # noqa: E402
from training.recipes.contrastive import contrastive  # noqa: E402

pytestmark = pytest.mark.train
TOWERS = load("tiny").towers.model_dump()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


def test_every_configuration_loads_and_takes_two_steps(cache: Path, tmp_path: Path) -> None:
    found = names()
    assert len(found) == len(list(CONFIGS.glob("*.yaml"))) >= 5
    for name in found:
        config = load(name, notations=6, images_each=3, batch=6, max_steps=2, epochs=2, towers=TOWERS)
        figures = contrastive(config, tmp_path / name, cache=cache, quiet=True)
        assert figures["steps"] == 2
        assert np.isfinite(figures["loss"])
        assert 0 <= figures["image_to_text"]["top1"] <= figures["image_to_text"]["top5"] <= 1
        assert ("image_to_audio" in figures) == ("audio" in config.modalities)
        assert (tmp_path / name / "model.safetensors").is_file()


def test_the_published_figures_stand_beside_ours() -> None:
    published = {name: load(name).published for name in ("experiment-1", "experiment-2", "experiment-3", "large")}
    assert all(published.values())
    assert published["experiment-3"].top1 == 0.8042
    assert published["experiment-3"].top5 == 0.9666


def test_all_problems_of_a_configuration_are_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("batchh: 3\ntowers: {hiden: 2}\nepochs: 0\n", "utf-8")
    with pytest.raises(UsageError) as caught:
        load(path)
    for part in ("batchh", "'batch'", "towers.hiden", "'hidden'", "epochs"):
        assert part in str(caught.value)


def test_equal_classes_are_positives_of_each_other() -> None:
    first = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [1.0, 0.1], [0.1, 1.0]]), dim=1)
    labels = torch.tensor([0, 0, 1])
    scale = torch.tensor(20.0)
    aware = pair_loss(first, first, labels, scale)
    plain = pair_loss(first, first, labels, scale, class_aware=False)
    # both rows of class 0 are the same vector: the plain loss cannot fall below the entropy of that tie
    assert plain > np.log(2) * 2 / 3 - 1e-3
    shuffled = pair_loss(first, first[[1, 0, 2]], labels, scale)
    assert torch.isclose(aware, shuffled)


def test_ranks_count_ties_against_us() -> None:
    gallery = np.eye(3, dtype=np.float32)
    queries = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]], np.float32)
    assert measure.ranks(queries, gallery, np.array([0, 0, 2])).tolist() == [0, 1, 0]
    assert measure.gallery(queries, gallery, np.array([0, 1, 2]))["top1"] == pytest.approx(2 / 3)


def test_learning_lowers_the_loss_and_finds_training_images(cache: Path, tmp_path: Path) -> None:
    config = load("tiny", epochs=60, batch=12, images_each=6, learning_rate=3e-3, log_every=10)
    items = data.prepare(config, cache, quiet=True)
    model = run.build(config, items)
    log = run.train(model, items, config, tmp_path, quiet=True)
    assert log[-1]["loss"] < log[0]["loss"] * 0.8
    vectors = run.embed(model, items, items.train, config)
    assert measure.gallery(vectors["image"], vectors["text"], items.labels[items.train])["top1"] > 0.5


def test_an_interrupted_run_ends_like_an_uninterrupted_one(cache: Path, tmp_path: Path) -> None:
    whole = load("tiny", epochs=4, log_every=1)
    items = data.prepare(whole, cache, quiet=True)
    one = run.build(whole, items)
    run.train(one, items, whole, tmp_path / "one", quiet=True)
    two = run.build(whole, items)
    per_epoch = len(items.train) // whole.batch
    half = load("tiny", epochs=4, log_every=1, max_steps=2 * per_epoch)
    run.train(two, items, half, tmp_path / "two", quiet=True)
    again = run.build(whole, items)
    run.train(again, items, whole, tmp_path / "two", quiet=True)
    for a, b in zip(one.parameters(), again.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_audio_frames_differ_between_notations() -> None:
    towers = load("tiny").towers
    low, high = data.sound_frames("散勾一", towers), data.sound_frames("大七挑七", towers)
    assert low.shape == (towers.frames, towers.mels)
    assert np.abs(low - high).mean() > 0.1


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(cache: Path, tmp_path: Path) -> None:
    def losses(processes: int) -> list[float]:
        out = tmp_path / f"of-{processes}"
        arguments = ["--config", "large", "--notations", "8", "--images-each", "4", "--max-steps", "3",
                     "--log-every", "1",
                     "--cache", str(cache), "--out", str(out)]  # fmt: skip
        command = [sys.executable, "-m", "training.recipes.contrastive", *arguments]
        if processes > 1:
            command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes),
                       "--master_addr", "127.0.0.1", "--master_port", "29531", *command[1:]]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert done.returncode == 0, done.stderr[-2000:]
        rows = [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]
        return [row["loss"] for row in rows]

    assert losses(2) == pytest.approx(losses(1), abs=2e-5)
