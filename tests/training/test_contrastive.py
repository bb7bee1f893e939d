"""The contrastive recipe: configurations, loss, ranks, resuming, several processes, bases, adapters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")

from guqin_kg.errors import DataError, NotFoundError, UsageError  # noqa: E402
from training.contrastive import data, measure, over, report, run  # noqa: E402
from training.contrastive.config import CONFIGS, load, names  # noqa: E402
from training.contrastive.loss import ContrastiveLoss, pair_loss  # noqa: E402
from training.recipes.contrastive import contrastive  # noqa: E402

pytestmark = pytest.mark.train
TOWERS = load("tiny").towers.model_dump()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


@pytest.fixture(scope="module")
def tiny(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of toy towers with all three modalities."""
    out = tmp_path_factory.mktemp("tiny")
    contrastive(load("tiny", modalities=["image", "text", "audio"]), out, cache=cache, quiet=True)
    return out


def small(name: str, tiny: Path, **more: Any) -> Any:
    """A bundled configuration at toy size."""
    found = load(name)
    size = {"towers": TOWERS, "max_steps": 2, "batch": 6, "threads": 1, "head_steps": min(found.head_steps, 1)}
    if found.base:
        size["base"] = str(tiny)
    if found.source == "sampled":
        size |= {"drawn_images": 16, "shard": 8, "bank": 20}
    return load(name, **{**size, "notations": 6, "images_each": 3, **more})


def test_every_configuration_loads_and_takes_two_steps(
    tiny: Path, cache: Path, tmp_path: Path, recogniser: Path
) -> None:
    found = names()
    assert len(found) == len(list(CONFIGS.glob("*.yaml"))) >= 7
    for name in found:
        config = small(name, tiny, **({"start": str(recogniser)} if load(name).start else {}))
        if config.recipe == "adapt":
            continue  # has a test of its own
        figures = contrastive(config, tmp_path / name, cache=cache, quiet=True)
        assert figures["steps"] == 2
        assert np.isfinite(figures["loss"])
        assert 0 <= figures["image_to_text"]["top1"] <= figures["image_to_text"]["top5"] <= 1
        assert ("image_to_audio" in figures) == ("audio" in config.modalities)
        assert run.read(tmp_path / name).config.modalities[:2] == ["image", "text"]
        told = json.loads((tmp_path / name / "training.json").read_text("utf-8"))
        assert told["config"]["seed"] == config.seed
        assert len(told["graph"]) == 32


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recogniser of the toy towers' shape, untrained."""
    from guqin_kg.recognise.vocabulary import Vocabulary
    from training.config import Architecture
    from training.recogniser import bundle

    out = tmp_path_factory.mktemp("recogniser")
    same = ("height", "width", "channels", "blocks", "hidden", "heads", "feed_forward")
    shape = {k: TOWERS[k] for k in same} | {"encoder_layers": TOWERS["image_layers"], "decoder_layers": 1}
    vocabulary = Vocabulary.of(["a", "b"])
    bundle.write(out, bundle.build(Architecture(**shape), vocabulary, 1), vocabulary, "graph", {}, {})
    return out


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


WRONG: dict[str, Any] = {
    "notations": (0, -3, 1, 30_000), "images_each": (0, 10**6), "batch": (1, -1, 10**9), "epochs": (0,),
    "max_steps": (0,), "seed": (-1, 2**31), "train_share": (0, 1), "drawn_share": (-0.1, 1.1), "threads": (0, 10**6),
    "shard": (1, 10**9), "drawn_images": (1, 10**12), "bank": (-1, 10**9), "learning_rate": (0, float("inf")),
    "max_minutes": (0, float("inf")), "temperature": (0, float("nan")), "modalities": ([], ["image"], ["text", "text"]),
    "lora": ({"target_modules": "("}, {"rank": 0}),
    "towers": ({"channels": []}, {"channels": [8], "blocks": [0, 0]}, {"channels": [0], "blocks": [0]}, {"heads": 5},
               {"height": 34}),
}  # fmt: skip


def test_every_number_has_its_bounds(tmp_path: Path) -> None:
    for key, values in WRONG.items():
        for value in values:
            with pytest.raises(UsageError, match=key) as caught:
                load("tiny", **{key: value})
            assert caught.value.code == "bad-config"
            assert "1 problem" in caught.value.message
    with pytest.raises(UsageError) as caught:
        load("tiny", **{key: values[0] for key, values in WRONG.items()})
    assert all(key in str(caught.value) for key in WRONG)
    assert load("tiny", notations="names").notations == "names"


# -- loss and ranks ----------------------------------------------------------------------------------------------


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


def test_further_texts_push_images_away_unless_they_are_of_the_same_class() -> None:
    images = torch.nn.functional.normalize(torch.tensor([[1.0, 0.2], [0.2, 1.0]]), dim=1).requires_grad_()
    texts, scale, labels = images.detach(), torch.tensor(10.0), torch.tensor([0, 1])
    near = torch.nn.functional.normalize(torch.tensor([[1.0, 0.6]]), dim=1)

    def pull(classes: list[int] | None) -> float:
        """How strongly the first image is drawn to ``near``."""
        vectors = {"image": images, "text": texts}
        more = None if classes is None else torch.tensor(classes)
        loss = ContrastiveLoss()(vectors if more is None else vectors | {"negative": near}, labels, scale, more)
        (gradient,) = torch.autograd.grad(loss, images)
        return float(-gradient[0] @ near[0])

    assert pull([7]) < pull(None) < pull([0])


def test_ranks_count_ties_against_us() -> None:
    gallery = np.eye(3, dtype=np.float32)
    queries = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]], np.float32)
    assert measure.ranks(queries, gallery, np.array([0, 0, 2])).tolist() == [0, 1, 0]
    assert measure.gallery(queries, gallery, np.array([0, 1, 2]))["top1"] == pytest.approx(2 / 3)


def test_the_best_of_several_right_pictures_counts() -> None:
    pictures = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    texts = np.array([[0, 1], [0.6, 0.8]], np.float32)
    found = measure.best_of(texts, pictures, np.array([0, 0, 1]))
    assert found == {"top1": 0.0, "top5": 1.0, "gallery": 3.0}
    assert measure.best_of(texts[:1], pictures, np.array([1, 1, 0]))["top1"] == 1.0


def test_neighbours_differ_in_one_word() -> None:
    words = [("a", "b", "c"), ("a", "x", "c"), ("a", "c"), ("q", "r")]
    near = data.neighbours(words, 4, 1)
    assert [sorted(row[row >= 0].tolist()) for row in near] == [[1, 2], [0, 2], [0, 1], []]


# -- training ----------------------------------------------------------------------------------------------------


def test_learning_lowers_the_loss_and_finds_training_images(cache: Path, tmp_path: Path) -> None:
    config = load("tiny", epochs=60, batch=12, images_each=6, learning_rate=3e-3, log_every=10)
    items = data.prepare(config, cache, quiet=True)
    model = run.build(config, items)
    log = run.train(model, items, config, tmp_path, quiet=True).rows
    assert log[-1]["loss"] < log[0]["loss"] * 0.8
    vectors = report.embed(model, items, items.train, config)
    assert measure.gallery(vectors["image"], vectors["text"], items.labels[items.train])["top1"] > 0.5


def test_an_interrupted_run_ends_like_an_uninterrupted_one(cache: Path, tmp_path: Path, recogniser: Path) -> None:
    more = {"start": str(recogniser), "average": 0.9, "augment": True, "head_steps": 3, "hard_negatives": 2,
            "source": "sampled", "drawn_images": 16, "shard": 8, "epochs": 4, "log_every": 1}  # fmt: skip
    whole = load("tiny", **more)
    items = data.prepare(whole, cache, quiet=True)
    one = run.build(whole, items)
    run.train(one, items, whole, tmp_path / "one", quiet=True)
    two = run.build(whole, items)
    per_epoch = len(items.train) // whole.batch
    half = load("tiny", **more, max_steps=2 * per_epoch)
    run.train(two, items, half, tmp_path / "two", quiet=True)
    again = run.build(whole, items)
    run.train(again, items, whole, tmp_path / "two", quiet=True)
    for a, b in zip(one.parameters(), again.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_to_the_same_end(cache: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    text = (CONFIGS / "tiny.yaml").read_text("utf-8").replace("epochs: 2", "epochs: 40")
    config.write_text(text + "\nlog_every: 1\ncheckpoint_every: 1\n", "utf-8")

    def start(out: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "training.recipes.contrastive", "--config", str(config),
                   "--cache", str(cache), "--out", str(out)]  # fmt: skip
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert start(tmp_path / "whole").wait() == 0
    killed = start(tmp_path / "killed")
    log = tmp_path / "killed" / "log.jsonl"
    while killed.poll() is None and (not log.exists() or log.read_text("utf-8").count("\n") < 5):
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    assert start(tmp_path / "killed").wait() == 0
    assert (tmp_path / "killed" / "model.safetensors").read_bytes() == (
        tmp_path / "whole" / "model.safetensors"
    ).read_bytes()


def test_frozen_towers_do_not_move_and_a_new_one_learns(tiny: Path, cache: Path, tmp_path: Path) -> None:
    config = load("tiny")
    two = run.build(config, data.prepare(config, cache, quiet=True))
    assert isinstance(two, run.Towers)
    three = two.with_modalities(["image", "text", "audio"])
    assert sorted(three.towers) == ["audio", "image", "text"]
    for name, value in two.state_dict().items():
        assert torch.equal(three.state_dict()[name], value)
    assert three.pretrained_modalities == ["image", "text"]
    three.save_pretrained(tmp_path / "three")
    config = small("audio", tiny, base=str(tmp_path / "three"), max_steps=3)
    items = data.prepare(config, cache, quiet=True)
    model = run.build(config, items)
    run.train(model, items, config, tmp_path / "run", quiet=True)
    moved = {
        n.removeprefix("towers.").split(".")[0]
        for n, v in model.state_dict().items()
        if not torch.equal(v, three.state_dict()[n])
    }
    assert moved - {"log_scale"} == {"audio"}


def test_lora_moves_little_and_is_added_in_when_saved(tiny: Path, cache: Path, tmp_path: Path) -> None:
    config = small("experiment-1", tiny, max_steps=3, learning_rate=1e-2)
    items = data.prepare(config, cache, quiet=True)
    model = run.build(config, items)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in n or "log_scale" in n for n in trained)
    run.train(model, items, config, tmp_path / "run", quiet=True)
    before = report.embed(model, items, items.held, config)["image"]
    report.save(model, tmp_path / "saved", config, {})
    again = run.read(tmp_path / "saved")
    assert np.allclose(report.embed(again, items, items.held, config)["image"], before, atol=5e-3)
    base = report.embed(run.read(tiny), items, items.held, config)["image"]
    assert np.abs(base - before).max() > 1e-3


def test_audio_frames_differ_between_notations() -> None:
    towers = load("tiny").towers
    low, high = data.sound_frames("散勾一", towers), data.sound_frames("大七挑七", towers)
    assert low.shape == (towers.frames, towers.bands)
    assert np.abs(low - high).mean() > 0.1


# -- other people's bases ----------------------------------------------------------------------------------------


def clip(folder: Path) -> None:
    """A toy CLIP with tokenizer and image processor, made from configuration."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    letters = [chr(c) for c in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)
    torch.manual_seed(0)
    model = CLIPModel(
        CLIPConfig(
            text_config={**size, "vocab_size": len(tokenizer), "max_position_embeddings": 16,
                         "eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id},
            vision_config={**size, "image_size": 32, "patch_size": 16},
            projection_dim=8,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(image_processor=processor, tokenizer=tokenizer).save_pretrained(folder)


def chinese_clip(folder: Path) -> None:
    """A toy Chinese-CLIP."""
    from transformers import (
        BertTokenizer,
        ChineseCLIPConfig,
        ChineseCLIPImageProcessor,
        ChineseCLIPModel,
        ChineseCLIPProcessor,
    )

    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n大\n九\n勾\n四\n", "utf-8")
    torch.manual_seed(0)
    model = ChineseCLIPModel(
        ChineseCLIPConfig(
            text_config={**size, "vocab_size": 9, "max_position_embeddings": 32},
            vision_config={**size, "image_size": 32, "patch_size": 16},
            projection_dim=8,
        )
    )
    model.save_pretrained(folder)
    processor = ChineseCLIPImageProcessor(size={"height": 32, "width": 32}, do_center_crop=False)
    ChineseCLIPProcessor(
        image_processor=processor, tokenizer=BertTokenizer(str(folder / "vocab.txt"), model_max_length=32)
    ).save_pretrained(folder)


@pytest.mark.parametrize("make", [clip, chinese_clip])
def test_a_base_of_other_people_goes_through_the_same_recipe(make: Any, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    make(folder)
    config = load("experiment-1", base=str(folder), notations=4, images_each=3, batch=4, max_steps=2, towers=TOWERS)
    figures = contrastive(config, tmp_path / "out", cache=cache, quiet=True)
    assert figures["steps"] == 2
    assert np.isfinite(figures["loss"])
    assert (tmp_path / "out" / "adapter.safetensors").is_file()


@pytest.mark.parametrize(("make", "more"), [(clip, {}), (chinese_clip, {}), (clip, {"lora": None})])
def test_a_model_over_such_a_base_can_be_used_again(make: Any, more: Any, cache: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "base", tmp_path / "out"
    folder.mkdir()
    make(folder)
    size = {"notations": 4, "images_each": 3, "batch": 4, "max_steps": 4, "towers": TOWERS, "learning_rate": 1e-2}
    config = load("experiment-1", base=str(folder), **size)
    config = config.model_copy(update=more)
    items = data.prepare(config, cache, quiet=True)
    model = run.build(config, items)
    first = report.embed(model, items, items.held, config)
    run.train(model, items, config, out, quiet=True)
    wanted = report.embed(model, items, items.held, config)
    report.save(model, out, config, {}, {"graph": "g"})
    again = over.HubEncoders(out)
    assert np.allclose(again.images(items.images[items.held]), wanted["image"], atol=1e-5)
    assert np.allclose(again.texts(items.texts), wanted["text"], atol=1e-5)
    assert np.abs(first["image"] - wanted["image"]).max() > 1e-3
    assert (again.height, again.width) == (config.towers.height, config.towers.width)
    about = json.loads((out / "over.json").read_text("utf-8"))
    assert (about["base"], about["graph"]) == (str(folder), "g")
    assert (about["lora"] or {}).get("rank") == (None if more else 4)
    # characters the toy vocabulary has not
    assert again.unknown(["大九勾四抹"]) == (["抹"] if make is chinese_clip else [])


@pytest.fixture
def tuned(cache: Path, tmp_path: Path) -> Path:
    """A model over a toy CLIP in ``base`` beside it."""
    (tmp_path / "base").mkdir()
    clip(tmp_path / "base")
    config = load("experiment-1", base=str(tmp_path / "base"), notations=4, images_each=3, batch=4, max_steps=1,
                  towers=TOWERS)  # fmt: skip
    contrastive(config, tmp_path / "tuned", cache=cache, quiet=True)
    return tmp_path / "tuned"


def test_a_model_over_a_base_that_changed_or_is_gone_is_refused(tuned: Path) -> None:
    base = tuned.parent / "base"
    weights = base / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(UsageError, match="other weights") as caught:
        over.read(tuned)
    assert caught.value.code == "adapter-mismatch"
    weights.write_bytes(before)
    over.read(tuned)
    moved = base.rename(base.with_name("moved"))
    with pytest.raises(NotFoundError, match="no longer where it was"):
        over.read(tuned)
    text = (tuned / "over.json").read_text("utf-8")
    (tuned / "over.json").write_text(text.replace(str(base), str(moved)), "utf-8")
    over.read(tuned)


def test_a_damaged_model_over_a_base_is_refused(tuned: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = tuned / "over.json"
    text = path.read_text("utf-8")
    for broken in ("{", "[]", "{}", text.replace('"rank": 4', '"rank": 0'), text.replace('"rank": 4', '"rank": 2')):
        path.write_text(broken, "utf-8")
        with pytest.raises(DataError) as caught:
            over.read(tuned)
        assert caught.value.hint
    path.write_text(text, "utf-8")
    tensors = load_file(tuned / "adapter.safetensors")
    for other in (dict(list(tensors.items())[1:]), tensors | {"more": torch.zeros(1)}):
        save_file(other, tuned / "adapter.safetensors")
        with pytest.raises(DataError, match="belong together"):
            over.read(tuned)


def test_a_model_over_a_base_is_measured_by_the_command_and_not_searched_with(tuned: Path) -> None:
    from click.testing import CliRunner

    from guqin_kg.cli.train import evaluate
    from guqin_kg.recognise.towers import Towers

    arguments = ["contrastive", "--model", str(tuned), "--notations", "4", "--format", "json"]
    done = CliRunner().invoke(evaluate, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["model"] == "tuned"
    assert found["image_to_text"]["gallery"] == 4
    with pytest.raises(UsageError, match="no tower for audio"):
        CliRunner().invoke(evaluate, [*arguments, "--audio"], catch_exceptions=False)
    with pytest.raises(UsageError, match="adapters for books"):
        CliRunner().invoke(evaluate, [*arguments, "--adapter", "book"], catch_exceptions=False)
    with pytest.raises(UsageError, match="base of other people") as caught:
        Towers.open(tuned)
    assert "guqin evaluate contrastive" in str(caught.value.hint)


@pytest.mark.parametrize("more", [{"modalities": ["image", "text", "audio"]}, {"head_steps": 1}, {"hard_negatives": 1}])
def test_what_only_our_towers_can_do_is_refused_of_other_bases(more: Any, cache: Path, tmp_path: Path) -> None:
    config = load("experiment-1", base=str(tmp_path), notations=4, images_each=3, batch=4, towers=TOWERS, **more)
    with pytest.raises(UsageError, match=str(*more)):
        contrastive(config, tmp_path / "out", cache=cache, quiet=True)


def test_a_base_that_is_not_there_is_said(cache: Path, tmp_path: Path) -> None:
    config = load("experiment-1", base=str(tmp_path / "nothing"), notations=4, images_each=3, batch=4, towers=TOWERS)
    with pytest.raises(NotFoundError, match="nothing"):
        contrastive(config, tmp_path / "out", cache=cache, quiet=True)


# -- several processes -------------------------------------------------------------------------------------------


def test_a_batch_that_cannot_be_shared_evenly_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.processes.world", lambda: (0, 8))
    with pytest.raises(UsageError, match="12 cannot be shared evenly by 8") as caught:
        contrastive(load("large", base=str(tiny)), tmp_path / "out", quiet=True)
    assert "--batch 16" in str(caught.value.hint)


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(tiny: Path, cache: Path, tmp_path: Path) -> None:
    config = tmp_path / "large.yaml"
    text = (CONFIGS / "large.yaml").read_text("utf-8").replace("base: bundled", f"base: {tiny}")
    text = text.replace("notations: 19005", "notations: 8").replace("images_each: 70", "images_each: 4")
    config.write_text(text + f"\ntowers: {json.dumps(TOWERS)}\nmax_steps: 3\nlog_every: 1\n", "utf-8")

    def losses(processes: int) -> list[float]:
        out = tmp_path / f"of-{processes}"
        arguments = ["--config", str(config), "--cache", str(cache), "--out", str(out)]
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
