"""Exports fit the forms of the trainers they are for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from guqin_kg.dialogue.exports import FORMATS, PRESETS, export_records, forms, run_export
from guqin_kg.errors import GuqinKGError, NotFoundError, UsageError

RECORD = {
    "id": "twenty-two/zh/n-x",
    "notation": "https://w3id.org/guqin/resource/n-x",
    "reading": "大九勾四",
    "set": "twenty-two",
    "lang": "zh",
    "images": ["images/n-x.png"],
    "messages": [
        {"role": role, "content": text, "query": "q", "template": "t", "sources": ["s"]}
        for _ in range(22)
        for role, text in (("user", "这是什么谱字？"), ("assistant", "这是古琴减字谱的谱字。" * 9))
    ],
    "fingerprint": "f",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "n-x.png").write_bytes(b"png")
    return tmp_path


def both() -> Any:
    return [("train", RECORD), ("val", {**RECORD, "id": "twenty-two/zh/n-y"})]


def load(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


MODELS = {
    "messages": (forms.Messages, "train.jsonl"),
    "minicpm-v": (forms.MiniCPM, "train.json"),
    "llama-factory": (forms.ShareGPT, "train.json"),
    "ms-swift": (forms.Swift, "train.jsonl"),
}


@pytest.mark.parametrize("fmt", MODELS)
def test_every_sample_fits_the_schema(place: Path, fmt: str) -> None:
    model, name = MODELS[fmt]
    result = export_records(both(), fmt, place / "out", place)
    samples = load(place / "out" / name)
    assert samples
    for sample in samples:
        model.model_validate(sample)
    assert result["splits"]["train"]["turns"] == 22
    assert result["characters"] == 2 * sum(len(m["content"]) for m in RECORD["messages"])
    assert result["images_left_out"] == 0


def test_minicpm_never_passes_2048_tokens(place: Path) -> None:
    export_records(both(), "minicpm-v", place / "out", place)
    samples = load(place / "out" / "train.json")
    assert len(samples) > 1
    turns = 0
    for sample in samples:
        talk = sample["conversations"]
        assert forms.IMAGE in talk[0]["content"]
        assert sum(len(m["content"].encode()) + forms.MESSAGE_TOKENS for m in talk) <= 2048
        turns += len(talk) // 2
    assert turns == 22


def test_llama_factory_names_its_files(place: Path) -> None:
    export_records(both(), "llama-factory", place / "out", place)
    info = json.loads((place / "out" / "dataset_info.json").read_text())
    for entry in info.values():
        assert (place / "out" / entry["file_name"]).exists()
        assert entry["columns"] == {"messages": "conversations", "images": "images"}


def test_parquet_is_read_back(place: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export_records(both(), "parquet", place / "out", place)
    (row,) = parquet.read_table(place / "out" / "train.parquet").to_pylist()
    assert row["reading"] == RECORD["reading"]
    assert [m["content"] for m in row["messages"]] == [m["content"] for m in RECORD["messages"]]


def test_parquet_is_read_back_by_datasets(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    export_records(both(), "parquet", place / "out", place)
    files = {split: str(place / "out" / f"{split}.parquet") for split in ("train", "val")}
    read = datasets.load_dataset("parquet", data_files=files, cache_dir=str(place / "cache"))
    row = read["train"][0]
    assert [m["content"] for m in row["messages"]] == [m["content"] for m in RECORD["messages"]]
    assert row["images"] == RECORD["images"]


def test_a_missing_drawing_takes_its_mark_with_it(tmp_path: Path) -> None:
    result = export_records(both(), "ms-swift", tmp_path / "out", tmp_path)
    assert result["images_left_out"] == 2
    assert all(forms.IMAGE not in m["content"] for s in load(tmp_path / "out" / "train.jsonl") for m in s["messages"])


def test_minicpm_without_any_drawing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GuqinKGError, match="opens one for every sample"):
        export_records(both(), "minicpm-v", tmp_path / "out", tmp_path)


def test_minicpm_draws_what_it_lacks(built: tuple[Any, Any], tmp_path: Path) -> None:
    ws, _ = built
    result = run_export(ws, "minicpm-v", preset="225x6", out=tmp_path)
    place = tmp_path / "exports" / "minicpm-v-225x6"
    samples = load(place / "train.json") + load(place / "val.json")
    assert {s["image"] for s in samples} == {f"images/{p.name}" for p in (place / "images").glob("*.png")}
    kept = sum(s["notations"] for s in result["splits"].values())
    assert kept == result["images"] == 225 - result["dialogues_left_out"]
    assert kept > 200


@pytest.mark.parametrize(
    "talk", [[("assistant", "a"), ("user", "b")], [("user", "a")], [("user", "a"), ("assistant", "")]]
)
def test_the_mirrors_refuse_what_trainers_refuse(talk: list[tuple[str, str]]) -> None:
    with pytest.raises(ValidationError):
        forms.Swift.model_validate({"messages": [{"role": r, "content": c} for r, c in talk]})


def test_errors(built: tuple[Any, Any], tmp_path: Path) -> None:
    ws, _ = built
    with pytest.raises(GuqinKGError, match="no export format"):
        export_records([], "word", tmp_path)
    with pytest.raises(GuqinKGError, match="regenerate"):
        run_export(ws, "messages", out=tmp_path)
    with pytest.raises(GuqinKGError, match="no preset"):
        run_export(ws, "messages", preset="1x1", out=tmp_path)
    with pytest.raises(GuqinKGError, match="its own set"):
        run_export(ws, "messages", preset="225x6", which="six", out=tmp_path)
    assert set(PRESETS) == {"225x6", "13254x6", "277x22"}
    assert len(FORMATS) == 5


@pytest.mark.parametrize("fmt", ["messages", "minicpm-v"])
def test_a_set_that_does_not_exist_is_wrong_use_as_for_regenerate(
    built: tuple[Any, Any], tmp_path: Path, fmt: str
) -> None:
    from guqin_kg.dialogue.regenerate import regenerate

    ws, generation = built
    for generated in (False, True):
        if generated:
            regenerate(ws, generation, which="six", out=tmp_path, workers=1)
        for which, langs in (("seven", "zh"), ("explain", "both")):
            with pytest.raises(UsageError) as wanted:
                regenerate(ws, generation, which=which, langs=("zh",), out=tmp_path)
            with pytest.raises(UsageError) as caught:
                run_export(ws, fmt, which=which, lang=langs, out=tmp_path)
            assert (caught.value.message, caught.value.exit_status) == (wanted.value.message, 2)
            assert caught.value.hint == wanted.value.hint
        with pytest.raises(NotFoundError) as absent:  # a set there is, only not made yet
            run_export(ws, fmt, which="twenty-two", out=tmp_path)
        assert absent.value.exit_status == 1


def test_records_of_a_set_whose_templates_are_gone_are_exported(built: tuple[Any, Any], tmp_path: Path) -> None:
    folder = tmp_path / "dialogues"
    folder.mkdir()
    for split in ("train", "val"):
        line = json.dumps({**RECORD, "id": "mine/zh/n-x", "set": "mine", "lang": "zh"}) + "\n"
        (folder / f"{split}.jsonl").write_text(line, encoding="utf-8")
    result = run_export(built[0], "messages", which="mine", out=tmp_path)
    assert sum(split["samples"] for split in result["splits"].values()) == 2


def test_a_preset_has_its_size(built: tuple[Any, Any], tmp_path: Path) -> None:
    ws, _ = built
    result = run_export(ws, "messages", preset="225x6", out=tmp_path)
    assert sum(s["notations"] for s in result["splits"].values()) == 225
    assert sum(s["turns"] for s in result["splits"].values()) == 225 * 6
    assert result["published_characters"] == 1_250_000
