"""The base and adapt recipes at toy size: learning, resuming, refusing what does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from guqin_kg.errors import DataError, NotFoundError, UsageError
from guqin_kg.recognise import shelf

torch = pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("peft", reason="needs the [train] extra")

pytestmark = [pytest.mark.train, pytest.mark.slow]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A toy base, trained for a few steps on drawn images without fonts."""
    from training import config
    from training.recipes import base

    out = tmp_path_factory.mktemp("toy")
    settings = config.load("tiny").model_copy(update={"other_characters": 0.0})
    about = base.run(settings, out, quiet=True, command="test")
    return out, settings, about


@pytest.fixture(scope="module")
def crops(toy, tmp_path_factory):
    """A few drawn pictures as labelled crops, some rows broken."""
    from PIL import Image

    from guqin_kg.draw import draw_spec, sample_spec
    from guqin_kg.notation.parse import parse

    folder = tmp_path_factory.mktemp("crops")
    rows = []
    for at, reading in enumerate(["大九勾四", "散挑七", "勾三", "名十打一", "四", "散勾一"] * 2):
        drawing = draw_spec(sample_spec(parse(reading), "print", at, size=48, frame="crop"))
        Image.fromarray(drawing.pixels).save(folder / f"{at}.png")
        rows.append({"file": f"{at}.png", "reading": reading, "page": at % 3})
    rows += [
        {"file": "missing.png", "reading": "勾三"},
        {"file": "0.png", "reading": "不成字"},
        {"file": "0.png", "reading": None},
    ]
    path = folder / "crops.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def test_model_folder_is_whole(toy):
    out, _, about = toy
    assert {p.name for p in out.iterdir()} >= {
        "config.json", "model.safetensors", "vocabulary.json", "calibration.json", "training.json", "automaton.npz",
        "README.md",
    }  # fmt: skip
    assert about["steps"] == 12
    model = shelf.load(out)
    assert model.vocabulary.hash == json.loads((out / "vocabulary.json").read_text())["hash"]
    assert not [*out.rglob("*.bin"), *out.rglob("*.pt")]


def test_same_seed_same_weights(toy, tmp_path):
    from training.recipes import base

    out, settings, _ = toy
    base.run(settings, tmp_path / "again", quiet=True, cache=out / "run" / "shards")
    assert shelf.file_hash(out / "model.safetensors") == shelf.file_hash(tmp_path / "again" / "model.safetensors")


def test_killed_run_goes_on_to_the_same_end(toy, tmp_path):
    from training.recipes import base

    out, settings, _ = toy
    broken = tmp_path / "broken"
    real_step, calls = base.loop._step, []

    def dying(*args, **kwargs):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return real_step(*args, **kwargs)

    base.loop._step = dying
    try:
        with pytest.raises(KeyboardInterrupt):
            base.run(settings, broken, quiet=True, cache=out / "run" / "shards")
    finally:
        base.loop._step = real_step
    base.run(settings, broken, quiet=True, cache=out / "run" / "shards")
    whole, resumed = shelf.load(out).weights, shelf.load(broken).weights
    for name, tensor in whole.items():
        np.testing.assert_allclose(
            tensor.astype(np.float32), resumed[name].astype(np.float32), atol=2e-3, rtol=2e-3, err_msg=name
        )


def test_adapter_is_trained_loaded_and_refused(toy, crops, tmp_path):
    from guqin_kg.notation.grammar import default_grammar
    from guqin_kg.recognise.recogniser import Recogniser
    from training import config
    from training.recipes import adapt

    out, _, _ = toy
    settings = config.load("adapt", steps=6).model_copy(
        update={"batch": 6, "drawn_images": 16, "shard": 16, "other_characters": 0.0, "bf16": False, "warmup": 1}
    )
    about = adapt.run(settings, out, crops, "toy", tmp_path / "toy", quiet=True, command="test")
    assert about["crops"] == 12
    assert about["left_out"] == 3
    assert (tmp_path / "toy" / "adapter_model.safetensors").is_file()
    assert str(tmp_path) not in (tmp_path / "toy" / "adapter_config.json").read_text()
    plain = Recogniser.open(base=out, grammar=default_grammar())
    adapted = Recogniser.open(base=out, adapter=str(tmp_path / "toy"), grammar=default_grammar())
    picture = crops.parent / "0.png"
    before, after = plain.recognise([picture])[0], adapted.recognise([picture])[0]
    assert after["model"]["adapter"] == "toy"
    assert before["candidates"] != after["candidates"]
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "toy", other)
    changed = json.loads((other / "adapter.json").read_text())
    (other / "adapter.json").write_text(json.dumps({**changed, "vocabulary": "0" * 32}))
    with pytest.raises(UsageError) as caught:
        shelf.load(out, str(other))
    assert caught.value.code == "adapter-mismatch"


def test_numpy_and_peft_agree(toy, crops, tmp_path):
    from peft import PeftModel

    from training import config
    from training.recipes import adapt
    from training.recogniser import bundle

    out, _, _ = toy
    settings = config.load("adapt", steps=4).model_copy(
        update={"batch": 6, "drawn_share": 0.0, "bf16": False, "warmup": 1}
    )
    adapt.run(settings, out, crops, "toy", tmp_path / "toy", quiet=True)
    model, _ = bundle.read(out)
    merged = PeftModel.from_pretrained(model, tmp_path / "toy").merge_and_unload()
    ours = shelf.load(out, str(tmp_path / "toy")).weights
    for name, tensor in merged.state_dict().items():
        if tensor.ndim:
            np.testing.assert_allclose(ours[name], tensor.float().numpy(), atol=2e-3, err_msg=name)


def test_a_killed_adaptation_goes_on(toy, crops, tmp_path, monkeypatch):
    from training import config
    from training.recipes import adapt

    out, _, _ = toy
    settings = config.load("adapt-mean", steps=4).model_copy(
        update={"batch": 6, "drawn_share": 0.0, "bf16": False, "warmup": 1, "members": 2, "checkpoint_every": 2}
    )
    place = tmp_path / "shelf" / "killed"
    adapt.run(settings, out, crops, "whole", tmp_path / "whole", quiet=True)
    real_step, calls = adapt.loop._step, []

    def dying(*args, **kwargs):
        calls.append(1)
        if len(calls) == 8:  # the last step of the second member
            raise KeyboardInterrupt
        return real_step(*args, **kwargs)

    monkeypatch.setattr(adapt.loop, "_step", dying)
    with pytest.raises(KeyboardInterrupt):
        adapt.run(settings, out, crops, "killed", place, quiet=True)
    assert not place.exists()
    assert [p.name[:11] for p in place.parent.iterdir()] == [".killed.run"]
    adapt.run(settings.model_copy(update={"seed": 9}), out, crops, "killed", tmp_path / "other", quiet=True)
    assert len(calls) == 16  # another seed: nothing of it is used
    about = adapt.run(settings, out, crops, "killed", place, quiet=True)
    assert len(calls) == 18  # two steps since the checkpoint; the first member was ready
    assert about["steps"] == 4
    assert [p.name for p in place.parent.iterdir()] == ["killed"]
    whole, killed = (shelf.load(out, str(folder)).weights for folder in (tmp_path / "whole", place))
    for name, value in whole.items():
        np.testing.assert_allclose(value, killed[name], atol=2e-3, err_msg=name)


def test_members_are_averaged(toy, crops, tmp_path):
    from training import config
    from training.recipes import adapt

    out, _, _ = toy
    settings = config.load("adapt-mean", steps=4, seed=3).model_copy(
        update={"batch": 6, "drawn_share": 0.0, "bf16": False, "warmup": 1, "members": 1}
    )
    both = settings.model_copy(update={"members": 2})
    about = adapt.run(both, out, crops, "both", tmp_path / "both", quiet=True, command="test")
    assert "4 steps each for the 2 adapters whose mean this is" in (tmp_path / "both" / "README.md").read_text()
    assert about["steps"] == 4
    alone = []
    for seed in (3, 4):
        adapt.run(settings.model_copy(update={"seed": seed}), out, crops, "one", tmp_path / str(seed), quiet=True)
        alone.append(shelf.load(out, str(tmp_path / str(seed))).weights)
    plain, mean = shelf.load(out).weights, shelf.load(out, str(tmp_path / "both")).weights
    apart = 0.0
    for name, value in mean.items():
        np.testing.assert_allclose(value, (alone[0][name] + alone[1][name]) / 2, atol=2e-3, err_msg=name)
        apart = max(apart, float(np.abs(alone[0][name] - alone[1][name]).max()))
    assert apart > 8e-3  # what is compared is further apart than what is forgiven
    assert max(float(np.abs(plain[name] - value).max()) for name, value in mean.items()) > 4e-3


def test_another_configuration_into_the_folder_of_a_run_draws_nothing(toy, tmp_path):
    from training.recipes import base

    out, settings, _ = toy
    mine = tmp_path / "mine"
    shutil.copytree(out, mine)
    shards = mine / "run" / "shards"
    shutil.rmtree(shards)
    with pytest.raises(UsageError, match="seed 1 there, 7 here"):
        base.run(settings.model_copy(update={"seed": 7}), mine, quiet=True)
    with pytest.raises(UsageError, match="started_from"):
        base.run(settings, mine, base=out, quiet=True)
    assert not shards.exists()
    assert shelf.file_hash(mine / "model.safetensors") == shelf.file_hash(out / "model.safetensors")


def test_stages_are_averaged(toy, tmp_path):
    from safetensors.numpy import load_file

    from training.recipes import average, base
    from training.recogniser import card

    out, settings, _ = toy
    later = tmp_path / "later"
    base.run(settings, later, base=out, quiet=True, cache=out / "run" / "shards")
    (later / "prior.json").write_text('{"no": "counts"}')
    about = average.average([out, later], tmp_path / "mean", images=16, other_characters=0.0)
    first, second, mean = (load_file(folder / "model.safetensors") for folder in (out, later, tmp_path / "mean"))
    moved = 0.0
    for name, value in mean.items():
        if value.dtype.kind == "f":
            expected = (first[name].astype("float32") + second[name].astype("float32")) / 2
            np.testing.assert_allclose(value.astype("float32"), expected, rtol=2e-3, atol=1e-4)
            moved += float(np.abs(value.astype("float32") - first[name].astype("float32")).sum())
    assert moved > 0
    assert about["averaged"][1]["started_from"]["weights"] == about["averaged"][0]["weights"]
    tilted = average.average([out, later], tmp_path / "tilted", weights=[1, 3], images=16, other_characters=0.0)
    assert tilted["shares"] == [0.25, 0.75]
    assert "2 stages in parts of 0.25, 0.75" in card.of_model(tmp_path / "tilted")
    assert "parts of" not in card.of_model(tmp_path / "mean")
    for name in ("mean", "tilted"):
        assert (tmp_path / name / "prior.json").read_bytes() == (later / "prior.json").read_bytes()
        assert (tmp_path / name / "README.md").read_text("utf-8").startswith(f"# Recogniser {name}\n")
    name = "decoder.0.attention.query.weight"
    expected = 0.25 * first[name].astype("float32") + 0.75 * second[name].astype("float32")
    held = load_file(tmp_path / "tilted" / "model.safetensors")[name].astype("float32")
    np.testing.assert_allclose(held, expected, rtol=2e-3, atol=1e-4)
    for wrong in ([1.0], [0.0, 1.0], [float("nan"), 1.0]):
        with pytest.raises(UsageError, match="weights"):
            average.average([out, later], tmp_path / "none", weights=wrong)
    assert shelf.load(tmp_path / "mean").vocabulary.hash == shelf.load(out).vocabulary.hash
    with pytest.raises(UsageError, match="no average"):
        average.average([out], tmp_path / "none")
    small = settings.model_copy(update={"architecture": settings.architecture.model_copy(update={"hidden": 24})})
    base.run(small, tmp_path / "small", quiet=True, cache=out / "run" / "shards")
    with pytest.raises(UsageError, match="another vocabulary or shape"):
        average.average([out, tmp_path / "small"], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_no_usable_crop(toy, tmp_path):
    from training import config
    from training.recipes import adapt

    path = tmp_path / "crops.jsonl"
    path.write_text('{"file": "no.png", "reading": "勾三"}\nnonsense\n', "utf-8")
    with pytest.raises(DataError) as caught:
        adapt.run(config.load("adapt"), toy[0], path, "x", tmp_path / "x", quiet=True)
    assert caught.value.code == "no-crops"


def test_new_words_keep_what_was_learnt(toy):
    from guqin_kg.recognise.vocabulary import Vocabulary
    from training.recogniser import bundle

    model, known = bundle.read(toy[0])
    wanted = Vocabulary.of([*known.ids[4:], "aa-new", "zz-new"])
    new = bundle.grown(model, known, wanted, 1)
    at, old = wanted.index["rh-gou"], known.index["rh-gou"]
    assert torch.equal(new.token_head.weight[at], model.token_head.weight[old])
    assert new.config.tokens == len(wanted)


def test_a_word_for_a_word_moves_no_other(toy):
    """As many words as before, but one that stands before most of the others has gone."""
    from guqin_kg.recognise.vocabulary import Vocabulary
    from training.recogniser import bundle

    model, known = bundle.read(toy[0])
    wanted = Vocabulary.of([*known.ids[5:], "zz-new"])
    assert len(wanted) == len(known)
    new = bundle.grown(model, known, wanted, 1)
    for name in known.ids[5:]:
        at, old = wanted.index[name], known.index[name]
        assert torch.equal(new.token_embedding.weight[at], model.token_embedding.weight[old])
        assert torch.equal(new.token_head.weight[at], model.token_head.weight[old])
        assert torch.equal(new.cell_head.bias[at], model.cell_head.bias[old])


def test_a_merged_model_can_be_trained_from(toy, crops, tmp_path):
    from guqin_kg.recognise import export
    from training import config
    from training.recipes import adapt
    from training.recogniser import bundle

    settings = config.load("adapt", steps=2, batch=6, drawn_share=0.0, bf16=False, warmup=1)
    adapt.run(settings, toy[0], crops, "toy", tmp_path / "toy", quiet=True)
    out = export.merged(tmp_path / "merged", str(tmp_path / "toy"), base=toy[0])
    model, vocabulary = bundle.read(out)
    assert vocabulary.ids == bundle.read(toy[0])[1].ids
    ours = shelf.load(toy[0], str(tmp_path / "toy")).weights
    for name, tensor in model.state_dict().items():
        np.testing.assert_allclose(tensor.numpy(), ours[name], atol=2e-3)


def test_a_mean_is_fitted_on_pictures_as_its_stages_saw(toy, tmp_path, monkeypatch):
    from training import config
    from training.recipes import average

    seen = []

    def stopped(recipe, *_):
        seen.append(recipe)
        raise KeyboardInterrupt

    monkeypatch.setattr(average, "Producer", stopped)
    further = config.load("further")
    for given in (None, 0.0):
        with pytest.raises(KeyboardInterrupt):
            average.average([toy[0], toy[0]], tmp_path / "mean", other_characters=given)
    assert [(r.spoilt, r.worse, r.presets) for r in seen] == [(further.spoilt, further.worse, further.presets)] * 2
    assert [r.other_share for r in seen] == [further.other_characters, 0.0]


def test_a_base_without_a_model_or_with_damage_is_told(toy, tmp_path):
    from training.recipes import base

    _, settings, _ = toy
    with pytest.raises(NotFoundError, match="no recogniser in"):
        base.run(settings, tmp_path / "out", base=tmp_path / "nothing", quiet=True)
    mine = shutil.copytree(toy[0], tmp_path / "mine", ignore=shutil.ignore_patterns("run"))
    (mine / "training.json").write_text("{")
    with pytest.raises(DataError):
        base.run(settings, tmp_path / "out", base=mine, quiet=True)


def test_a_run_is_not_gone_on_with_when_the_graph_has_changed(toy, tmp_path, monkeypatch):
    from training.recipes import base

    out, settings, _ = toy
    mine = tmp_path / "mine"
    shutil.copytree(out, mine)
    before = (mine / "training.json").read_text()
    more = tmp_path / "more.ttl"
    more.write_text("# what somebody added\n")
    with pytest.raises(UsageError, match="the graph has changed since") as caught:
        base.run(settings, mine, extra=(more,), quiet=True)
    assert caught.value.code == "other-run"
    assert "--out" in caught.value.hint
    whole = base.vocabulary_of
    monkeypatch.setattr(base, "vocabulary_of", lambda words: type(whole(words))(whole(words).ids[:-1]))
    with pytest.raises(UsageError, match="the words that the model reads"):
        base.run(settings, mine, quiet=True)
    assert (mine / "training.json").read_text() == before


def test_what_was_drawn_is_taken_for_the_same_run_only(toy, tmp_path):
    from guqin_kg import resources
    from training import config
    from training.recipes import adapt
    from training.recogniser import bundle

    settings = config.load("adapt", drawn_images=16, shard=8, other_characters=0.0)
    shapes = []
    for folder in (toy[0], resources.folder("models") / shelf.BASE, toy[0]):  # the same words, other windows
        model, vocabulary = bundle.read(folder)
        drawn = adapt.drawn_images(settings, model, vocabulary, tmp_path, (), graph="a", quiet=True)
        shapes.append(drawn.images.shape)
    assert shapes == [(16, 32, 24), (16, 64, 48), (16, 32, 24)]
    assert len([*tmp_path.iterdir()]) == 2
    adapt.drawn_images(settings, model, vocabulary, tmp_path, (), graph="b", quiet=True)
    assert len([*tmp_path.iterdir()]) == 3


def _toy_sized(name, settings):
    from training import config

    return config.load(
        name, architecture=settings.architecture.model_dump(), steps=2, batch=4, warmup=1, threads=1, bf16=False,
        drawn_images=16, shard=16, drawn_workers=0, validation_images=16, other_characters=0.0, log_every=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def start(toy, tmp_path_factory):
    """The toy base with a sequence prior, before the graph gained its last word."""
    from guqin_kg.notation.grammar import default_grammar
    from guqin_kg.recognise.words import Words
    from training.recipes import prior
    from training.recogniser import bundle
    from training.recogniser.crops import Crop

    folder = tmp_path_factory.mktemp("start")
    shutil.copytree(toy[0], folder, ignore=shutil.ignore_patterns("run"), dirs_exist_ok=True)
    model, known = bundle.read(folder)
    fewer = type(known)(known.ids[:-1])
    calibration, about = (json.loads((folder / f"{name}.json").read_text()) for name in ("calibration", "training"))
    bundle.write(folder, bundle.grown(model, known, fewer, 1), fewer, "before", calibration, about)
    words = Words(default_grammar())
    rows = [Crop(Path("a.png"), reading, words.encode(reading), 1) for reading in ("勾三", "散挑七", "勾三")]
    counted = prior.count(rows, words)
    counted.sources = ["an invented book"]
    prior.write(counted, folder)
    return folder


@pytest.mark.parametrize("name", ["base", "extend", "further"])
def test_each_base_configuration_trains(name, toy, start, tmp_path):
    from guqin_kg.recognise import prior
    from training.recipes import base

    out, settings = tmp_path / "out", _toy_sized(name, toy[1])
    (tmp_path / "out").mkdir()
    about = base.run(settings, out, base=None if name == "base" else start, quiet=True, command="test")
    assert about["steps"] == 2
    rows = [json.loads(line) for line in (out / "run" / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["loss"]) for row in rows if "loss" in row)
    model = shelf.load(out)
    assert model.vocabulary.hash == shelf.load(toy[0]).vocabulary.hash
    card = (out / "README.md").read_text("utf-8")
    assert card.startswith("# Recogniser out\n")
    assert "seed" in card
    if name == "base":
        assert about["started_from"] is None
        assert not (out / prior.NAME).exists()
        return
    assert about["started_from"]["weights"] == shelf.file_hash(start / "model.safetensors")
    assert len(shelf.load(start).vocabulary) == len(model.vocabulary) - 1
    assert prior.of_model(model).single["勾三"] == 2  # `recognize --base OUT --sequence` has something to go by
    assert "an invented book" in card


def test_somebody_elses_words_are_not_overwritten(toy, tmp_path):
    from training.recipes import base

    (tmp_path / "README.md").write_text("my own")
    base.run(_toy_sized("base", toy[1]), tmp_path, quiet=True)
    assert (tmp_path / "README.md").read_text() == "my own"
    assert (tmp_path / "model.safetensors").is_file()


def test_lora_lies_over_layers(toy, crops, tmp_path):
    from peft import LoraConfig

    from training import config, lora
    from training.recipes import adapt
    from training.recogniser import bundle

    model, _ = bundle.read(toy[0])
    pattern = config.Lora().target_modules
    assert lora.targets_of(model, pattern) == pattern
    layers = lora.targets_of(model, ".*")
    assert "token_head" in layers
    assert "encoder.0" not in layers
    assert lora.wrapped(model, LoraConfig(r=1, target_modules=layers)).peft_config
    settings = config.load("adapt", lora={"target_modules": ".*nothing"})
    with pytest.raises(UsageError, match="no layer of this base matches") as caught:
        adapt.run(settings, toy[0], crops, "x", tmp_path / "x", cache=tmp_path / "cache", quiet=True)
    assert caught.value.code == "bad-config"
    assert [*tmp_path.iterdir()] == []


def test_no_memory_is_no_fault_of_the_program(toy, tmp_path, monkeypatch):
    from guqin_kg.errors import LimitError
    from training.recipes import average, base

    def greedy(*_, **__):
        return torch.empty(2**62, dtype=torch.uint8)

    monkeypatch.setattr(base.loop, "train", greedy)
    with pytest.raises(LimitError, match="not enough memory"):
        base.run(toy[1], tmp_path / "out", quiet=True, cache=toy[0] / "run" / "shards")
    monkeypatch.setattr(average.bundle, "read", greedy)
    with pytest.raises(LimitError, match="not enough memory"):
        average.average([toy[0], toy[0]], tmp_path / "mean")
