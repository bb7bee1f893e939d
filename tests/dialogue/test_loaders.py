"""Exports are read by the trainers' own code: LLaMA-Factory's and ms-swift's loaders, where these are installed.

Both are large and pin older releases of what this project uses, so they belong into environments of their own:
``pip install llamafactory`` or ``pip install ms-swift``, then ``pytest tests/dialogue/test_loaders.py``.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from guqin_kg.dialogue.exports import export_records

ANSWERS = ["这是古琴减字谱的谱字。", "读作大九勾四。", "左手大指按九徽，右手中指勾四弦。"]
TURNS = [
    {"role": role, "content": text}
    for number, answer in enumerate(ANSWERS)
    for role, text in (("user", f"第{number + 1}问：这是什么谱字？"), ("assistant", answer))
]


def record(name: str, *, drawn: bool = True) -> dict[str, Any]:
    return {
        "id": f"six/zh/{name}",
        "notation": f"https://w3id.org/guqin/resource/{name}",
        "reading": "大九勾四",
        "set": "six",
        "lang": "zh",
        "images": [f"images/{name}.png"] if drawn else [],
        "messages": [{**m, "query": "q", "template": "t", "sources": ["s"]} for m in TURNS],
        "fingerprint": "f",
    }


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("n-a", "n-c"):
        Image.new("L", (224, 224), 255).save(tmp_path / "images" / f"{name}.png")
    return tmp_path


def export(place: Path, fmt: str) -> Path:
    """The folder of an export: in train one conversation without a picture, then one with, in val one with."""
    records = [("train", record("n-b", drawn=False)), ("train", record("n-a")), ("val", record("n-c"))]
    export_records(records, fmt, place / "out", place)
    return place / "out"


@pytest.mark.skipif(find_spec("llamafactory") is None, reason="LLaMA-Factory is not installed")
def test_llama_factory_loads_and_encodes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, ModelArguments
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Seq2SeqTrainingArguments

    out = export(place, "llama-factory")
    monkeypatch.chdir("/")  # pictures are found by the data set, not by the working folder
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    model = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    model.pre_tokenizer, model.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=model, eos_token="</s>", pad_token="<pad>")
    opened: list[tuple[int, int]] = []

    def look(images: list[Image.Image], **_: Any) -> dict[str, Any]:
        import torch

        opened.extend(i.size for i in images)
        return {"pixel_values": torch.zeros(len(images), 3, 28, 28)}

    processor: Any = SimpleNamespace(
        image_processor=look, patch_size=14, num_additional_image_tokens=0, vision_feature_select_strategy="full"
    )
    data_args = DataArguments(
        template="llava",
        dataset="guqin_train",
        eval_dataset="guqin_val",
        dataset_dir=str(out),
        cutoff_len=100_000,
        overwrite_cache=True,
    )
    training_args = Seq2SeqTrainingArguments(output_dir=str(place / "run"), do_train=True, use_cpu=True, report_to=[])
    read = get_dataset(
        get_template_and_fix_tokenizer(tokenizer, data_args),
        ModelArguments(model_name_or_path="none", cache_dir=str(place / "cache")),
        data_args,
        training_args,
        "sft",
        tokenizer,
        processor,
    )
    bare, train, val = read["train_dataset"][0], read["train_dataset"][1], read["eval_dataset"][0]
    assert len(read["train_dataset"]) == 2
    assert [bare["images"], train["images"], val["images"]] == [
        None,
        [str(out / "images" / "n-a.png")],
        [str(out / "images" / "n-c.png")],
    ]
    assert set(opened) == {(224, 224)}
    for row in (bare, train, val):
        learnt = tokenizer.decode([t for t in row["labels"] if t >= 0])
        assert [a.strip() for a in learnt.split("</s>") if a.strip()] == ANSWERS
        assert all(m["content"] in tokenizer.decode(row["input_ids"]) for m in TURNS)


@pytest.mark.skipif(find_spec("swift") is None, reason="ms-swift is not installed")
def test_ms_swift_loads_every_row(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSCOPE_CACHE", str(place / "cache"))
    from swift.dataset import load_dataset
    from swift.template.template_inputs import StdTemplateInputs
    from swift.template.vision_utils import load_image

    out = export(place, "ms-swift")
    monkeypatch.chdir("/")
    monkeypatch.setenv("ROOT_IMAGE_DIR", str(out))
    read, _ = load_dataset(str(out / "train.jsonl"), strict=True)
    val, _ = load_dataset(str(out / "val.jsonl"), strict=True)
    rows = [*read, *val]
    assert [[i["path"] for i in row["images"] or []] for row in rows] == [[], ["images/n-a.png"], ["images/n-c.png"]]
    for row in rows:
        inputs = StdTemplateInputs.from_dict(row)
        images = [load_image(i["path"]) for i in inputs.images]
        assert [i.size for i in images] == [(224, 224)] * len(images)
        assert "".join(m["content"] for m in inputs.messages).count("<image>") == len(images)
        assert [m["content"] for m in inputs.messages][1:] == [m["content"] for m in TURNS][1:]


@pytest.mark.parametrize("fmt", ["messages", "minicpm-v", "llama-factory", "ms-swift", "parquet"])
def test_pictures_lie_beside_the_files(place: Path, fmt: str) -> None:
    out = export(place, fmt)
    for name in ("n-a", "n-c"):
        assert (out / "images" / f"{name}.png").read_bytes() == (place / "images" / f"{name}.png").read_bytes()
    # a second export takes what was drawn anew; the first picture was never written into
    fresh = place / "images" / "fresh.png"
    Image.new("L", (224, 224), 0).save(fresh)
    fresh.replace(place / "images" / "n-a.png")
    export(place, fmt)
    assert (out / "images" / "n-a.png").read_bytes() == (place / "images" / "n-a.png").read_bytes()
    assert not [p for p in (out / "images").iterdir() if p.suffix != ".png"]


def test_minicpm_gets_no_sample_without_a_picture(place: Path) -> None:
    out = export(place, "minicpm-v")
    (sample,) = json.loads((out / "train.json").read_text(encoding="utf-8"))
    assert sample["image"] == "images/n-a.png"
