"""Dialogue models on disk: whole ones, adapters, their tower, the bundled one, damaged ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")
pytest.importorskip("peft", reason="needs the [train] extra")

from guqin_kg.errors import DataError, NotFoundError, UsageError  # noqa: E402
from guqin_kg.query.session import GraphSession  # noqa: E402
from training.dialogue import card, records, run, vlm  # noqa: E402
from training.dialogue.config import load  # noqa: E402
from training.dialogue.encode import IGNORED, Encoder, answers  # noqa: E402
from training.dialogue.grade import Grader  # noqa: E402
from training.dialogue.pictures import Pictures, blank, from_file  # noqa: E402
from training.dialogue.records import Conversation  # noqa: E402
from training.recipes.dialogue import dialogue  # noqa: E402

pytestmark = pytest.mark.train
Fresh = Callable[[], tuple[Any, Encoder]]


def test_a_run_leaves_a_model_that_loads_again_and_a_card_with_facts(trained: Path) -> None:
    about = json.loads((trained / "training.json").read_text("utf-8"))
    assert {"whole", "asked-parts", "jianzi"} <= about["figures"]["evaluation"]["facts"].keys()
    assert about["graph"]
    assert not [p for p in trained.rglob("*") if p.suffix in (".bin", ".pt", ".pkl", ".pth")]
    assert "whole" in (trained / "README.md").read_text("utf-8")
    model, processor = vlm.load(str(trained))
    assert type(model).__name__ == "LlavaForConditionalGeneration"
    (said,) = answers(model, Encoder(processor), [(blank(48), "?")], tokens=4)
    assert isinstance(said, str)


def test_the_card_names_the_recogniser_whose_encoder_sees(trained: Path) -> None:
    from guqin_kg import resources
    from guqin_kg.recognise.weights import file_hash

    weights = file_hash(resources.folder("models") / "recogniser" / "model.safetensors")
    assert json.loads((trained / "training.json").read_text("utf-8"))["recogniser"] == weights
    assert f"(weights `{weights}`)" in (trained / "README.md").read_text("utf-8")


def test_measures_are_entered_into_the_card(trained: Path, tmp_path: Path) -> None:
    about = json.loads((trained / "training.json").read_text("utf-8"))
    (tmp_path / "training.json").write_text(json.dumps(about), "utf-8")
    card.add(tmp_path, "mine", {"model": "x", **about["figures"]["evaluation"]})
    entered = json.loads((tmp_path / "training.json").read_text("utf-8"))["figures"]["evaluations"]
    assert entered == {"mine": {k: v for k, v in about["figures"]["evaluation"].items() if k != "model"}}
    assert "| mine, " in (tmp_path / "README.md").read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "training.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"figures": []}', '{"figures": {}}', '{"figures": {}, "config": 5}']
)
def test_a_card_of_a_damaged_model_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text(text, "utf-8")
    with pytest.raises(DataError, match="damaged") as caught:
        card.add(tmp_path, "mine", {"facts": {}})
    assert caught.value.file == str(tmp_path / "training.json")
    assert caught.value.hint
    assert (tmp_path / "training.json").read_text("utf-8") == text
    assert not (tmp_path / "README.md").exists()


def test_an_adapter_loads_over_its_base_and_merges(
    session: GraphSession, cache: Path, trained: Path, small: dict[str, Any], tmp_path: Path
) -> None:
    config = load("experiment-1", **{**small, "base": str(trained), "learning_rate": 0.01})
    dialogue(config, tmp_path / "adapter", session, cache=cache, quiet=True)
    dialogue(config, tmp_path / "whole", session, cache=cache, quiet=True, merge=True)
    adapted, processor = vlm.load(str(tmp_path / "adapter"))
    whole, _ = vlm.load(str(tmp_path / "whole"))
    base, _ = vlm.load(str(trained))
    given = Encoder(processor).question(blank(48), "a")
    with torch.no_grad():
        one, two, before = (model.eval()(**given).logits for model in (adapted, whole, base))
    rounding = 0.01  # the whole model is written in half precision
    assert torch.allclose(one, two, atol=rounding)
    assert (one - before).abs().max() > 3 * rounding


def test_the_loss_is_on_the_answers_also_without_a_fast_tokenizer(
    found: dict[str, list[Conversation]], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder(vlm.load(str(trained))[1])
    turns = found["train"][0].turns[:3]
    fast = encoder.sample(blank(48), turns)
    labels = fast["labels"][0]
    learnt = encoder.tokenizer.decode(labels[labels != IGNORED], skip_special_tokens=True)
    assert learnt == "".join(turn.answer for turn in turns)
    monkeypatch.setattr(type(encoder.tokenizer), "is_fast", False)
    assert torch.equal(encoder.sample(blank(48), turns)["labels"], fast["labels"])


def test_an_adapter_of_another_vocabulary_or_base_is_refused(
    session: GraphSession, cache: Path, trained: Path, small: dict[str, Any], tmp_path: Path
) -> None:
    config = load("experiment-1", **{**small, "base": str(trained)})
    dialogue(config, tmp_path / "adapter", session, cache=cache, quiet=True)
    path = tmp_path / "adapter" / "adapter.json"
    about = json.loads(path.read_text("utf-8"))
    assert about["graph"] == session.content_hash
    for key, word in (("vocabulary", "vocabulary"), ("base_weights", "another base")):
        path.write_text(json.dumps({**about, key: "0" * 32}), "utf-8")
        with pytest.raises(UsageError, match=word):
            vlm.load(str(tmp_path / "adapter"))
    path.write_text(json.dumps(about), "utf-8")
    vlm.load(str(tmp_path / "adapter"))


def test_the_tower_is_the_encoder_of_the_recogniser(
    drawn: Pictures, found: dict[str, list[Conversation]], trained: Path
) -> None:
    from guqin_kg import resources
    from training.recogniser.bundle import read

    image = drawn.of(found["val"][0].reading)
    model, processor = vlm.load(str(trained))
    pixels = processor.image_processor(images=[image], return_tensors="pt")["pixel_values"]
    recogniser = read(resources.folder("models") / "recogniser")[0].float().eval()
    model.eval()
    with torch.no_grad():
        mine, theirs = vlm.vision_tower(model)(pixels).last_hidden_state[0], recogniser.encode(pixels)[0]
    # the second token holds the four cells right of the first four, row after row
    assert torch.allclose(mine[1].unflatten(0, (4, -1)), theirs[[2, 3, 8, 9]], atol=0.02)
    assert torch.allclose(mine[-1].unflatten(0, (4, -1)), theirs[[40, 41, 46, 47]], atol=0.02)


def test_a_frozen_tower_stays_as_it_is(
    found: dict[str, list[Conversation]], drawn: Pictures, fresh: Fresh, tmp_path: Path
) -> None:
    model, encoder = fresh()
    before = {n: p.clone() for n, p in vlm.vision_tower(model).named_parameters()}
    config = load("tiny", steps=1)
    run.train_dialogue(model, encoder, config, run.Sampler(config, found["train"], drawn),
                       tmp_path, True)  # fmt: skip
    assert all(torch.equal(before[n], p) for n, p in vlm.vision_tower(model).named_parameters())


def test_a_later_stage_can_see_with_the_encoder_of_a_later_recogniser(
    session: GraphSession, cache: Path, trained: Path, small: dict[str, Any], tmp_path: Path
) -> None:
    model, _ = vlm.load(str(trained))
    tower = vlm.vision_tower(model)
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    with torch.no_grad():
        for value in tower.parameters():
            value.add_(1.0)
    vlm.see_with(model, "bundled")
    after = tower.state_dict()
    assert all(torch.allclose(before[name], after[name], atol=1e-2) for name in before)  # kept in half precision
    with pytest.raises(DataError, match="no recogniser"):
        vlm.see_with(model, str(tmp_path))
    with pytest.raises(DataError, match="our own tower"):
        vlm.see_with(torch.nn.ModuleDict({"vision_tower": torch.nn.Linear(1, 1)}), "bundled")
    for without in ({}, {"base": "bundled", "lora": {"rank": 2}}):  # an adapter would be loaded over the old tower
        path = tmp_path / "mine.yaml"
        path.write_text(json.dumps({"tower": "bundled", **without}), "utf-8")
        with pytest.raises(UsageError, match="tower"):
            load(path)
    renewed = load("further", **{**small, "base": str(trained), "tower": "bundled", "other_share": 0.0})
    assert dialogue(renewed, tmp_path / "renewed", session, cache=cache, quiet=True)["steps"] == 2
    assert json.loads((tmp_path / "renewed" / "training.json").read_text("utf-8"))["config"]["tower"] == "bundled"


def test_the_bundled_model_is_small_and_reads_notations_it_was_not_trained_on(
    session: GraphSession, cache: Path
) -> None:
    folder = Path(vlm.place_of("bundled"))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 40_000_000
    assert "Held-out notations" in (folder / "README.md").read_text("utf-8")
    model, processor = vlm.load("bundled")
    held = records.generate(load("tiny", scope="lexicon", notations=60), session, cache)["val"]
    larger = Pictures(cache, session.grammar, ("clean",), 96, 1, 1)
    held = [c for c in held if larger.drawable(c.reading)][:10]
    grader, encoder = Grader(session.grammar, "zh"), Encoder(processor)
    asked = [q for c in held for q in grader.questions(c) if q.facts[0] == "whole"]
    said = answers(model, encoder, [(larger.of(c.reading), q.turn.question) for c, q in zip(held, asked, strict=True)])
    marks = [mark for q, answer in zip(asked, said, strict=True) for mark in grader.grade(q, answer).values()]
    assert len(asked) >= 5
    assert sum(marks) / len(marks) > 0.8, list(zip((c.reading for c in held), said, strict=True))


def test_bad_input_is_said_plainly(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("batchh: 3\nlora: {rnk: 2}\nsteps: 0\n", "utf-8")
    with pytest.raises(UsageError) as caught:
        load(path)
    for part in ("batchh", "'batch'", "lora.rnk", "'rank'", "steps"):
        assert part in str(caught.value)
    with pytest.raises(NotFoundError, match="no dialogues"):
        records.read_folder(tmp_path)
    (tmp_path / "train.jsonl").write_text("", "utf-8")
    with pytest.raises(DataError, match="no conversation"):
        records.read_folder(tmp_path)
    (tmp_path / "train.jsonl").write_text('{"set": "six"}\n', "utf-8")
    with pytest.raises(DataError, match=r"train\.jsonl:1"):
        records.read_folder(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    with pytest.raises(DataError, match="picture"):
        from_file(tmp_path / "broken.png", 32)
    with pytest.raises(NotFoundError):
        vlm.load(str(tmp_path / "nothing"))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.json").write_text("{}", "utf-8")
    with pytest.raises(DataError, match="cannot load"):
        vlm.load(str(tmp_path / "bad"))


def test_a_model_asked_in_a_language_it_was_not_taught_says_so(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from guqin_kg.cli.train import evaluate
    from training.recipes import dialogue as recipe

    report: dict[str, Any] = {"notations": 1, "facts": {}, "loss": {}}
    monkeypatch.setattr(recipe, "measure", lambda *_, **__: report)
    said = {
        lang: CliRunner()
        .invoke(evaluate, ["dialogue", "--model", str(trained), "--lang", lang], catch_exceptions=False)
        .stderr
        for lang in ("zh", "en")
    }
    assert "taught in zh alone" in said["en"]
    assert "--lang zh" in said["en"]
    assert "taught" not in said["zh"]
