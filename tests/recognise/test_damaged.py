"""Model folders and adapters that are damaged or do not belong together: one message, and the others still work."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from guqin_kg import resources
from guqin_kg.cli.recognise import adapters, recognize
from guqin_kg.errors import DataError, GuqinKGError
from guqin_kg.notation.grammar import default_grammar
from guqin_kg.recognise import Recogniser, automata, export, prior, shelf, towers
from guqin_kg.recognise.weights import merge, read_safetensors

MODELS = resources.folder("models")


@pytest.fixture
def base(tmp_path):
    return shutil.copytree(MODELS / "recogniser", tmp_path / "base")


def refused(base):
    with pytest.raises(GuqinKGError) as caught:
        Recogniser.open(base=base, grammar=default_grammar())
    assert caught.value.hint
    assert "Errno" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", ["config.json", "calibration.json", "vocabulary.json"])
def test_a_file_is_missing(base, name):
    (base / name).unlink()
    assert f"there is no {name}" in refused(base).message


@pytest.mark.parametrize("name", ["config.json", "calibration.json", "vocabulary.json"])
@pytest.mark.parametrize("content", ["{", "[1]", '"x"'])
def test_a_file_is_damaged(base, name, content):
    (base / name).write_text(content)
    found = refused(base)
    assert found.code == "bad-model"
    assert str(found.file).endswith(name)


def test_a_configuration_without_its_keys(base):
    (base / "config.json").write_text("{}")
    assert refused(base).code == "bad-model"


def test_weights_of_another_kind(base):
    shutil.copy(MODELS / "contrastive" / "model.safetensors", base)
    assert refused(base).code == "bad-model"


def test_a_vocabulary_of_another_model(base):
    path = base / "vocabulary.json"
    found = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**found, "tokens": found["tokens"][:50]}), "utf-8")
    assert "words" in refused(base).message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        (5).to_bytes(8, "little") + b"[1,2]",
        (2).to_bytes(8, "little") + b"{]",
        (9).to_bytes(8, "little") + b'{"a": 12}',
    ],
)
def test_a_damaged_header(tmp_path, data):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(GuqinKGError) as caught:
        read_safetensors(path)
    assert caught.value.code == "bad-weights"
    assert caught.value.hint


def test_weights_cut_off(base):
    path = base / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1_000_000])
    assert refused(base).code == "bad-weights"


def test_an_automaton_cut_off_is_made_anew(tmp_path, monkeypatch):
    path = tmp_path / automata.NAME
    path.write_bytes((MODELS / "recogniser" / automata.NAME).read_bytes()[:3000])
    assert automata._read(path, "any") is None


def test_an_adapter_without_rank():
    with pytest.raises(GuqinKGError, match="rank"):
        merge({}, {}, {})


@pytest.fixture
def workspace(tmp_path):
    for place, source in (("adapters", "adapters"), ("adapters/contrastive", "contrastive/adapters")):
        shutil.copytree(MODELS / source / "wusheng-1457", tmp_path / place / "whole")
        about = tmp_path / place / "whole" / "adapter.json"
        about.write_text(json.dumps({**json.loads(about.read_text("utf-8")), "name": "whole"}), "utf-8")
        shutil.copytree(tmp_path / place / "whole", tmp_path / place / "broken")
        (tmp_path / place / "broken" / "adapter.json").write_text("{")
    (tmp_path / "guqin.toml").write_text("")
    return tmp_path


def test_a_damaged_adapter_does_not_hide_the_others(workspace):
    rows = {row["name"]: row for row in shelf.adapters(workspace)}
    assert "damaged" in rows["broken"]
    assert "damaged" not in rows["whole"]
    assert shelf.load(adapter="whole", workspace=workspace).adapter is not None
    with pytest.raises(GuqinKGError, match="damaged"):
        shelf.load(adapter="broken", workspace=workspace)
    assert {row["name"] for row in towers.adapters(workspace=workspace)} >= {"broken", "whole"}
    assert towers.Towers.open(None, "whole", workspace).name == "whole"


def test_a_damaged_adapter_is_named_in_the_list(workspace):
    found = CliRunner().invoke(adapters, ["--workspace", str(workspace)])
    assert found.exit_code == 0, found.output
    assert "broken: damaged" in found.stderr
    assert "whole\trecogniser" in found.stdout


def test_half_written_adapters_are_not_on_the_shelf(workspace):
    shutil.copytree(workspace / "adapters" / "whole", workspace / "adapters" / ".whole.new")
    assert [row["folder"] for row in shelf.adapters(workspace) if row["name"] == "whole"] == [
        str(workspace / "adapters" / "whole")
    ]


def test_the_command_says_what_to_do_next(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    found = CliRunner().invoke(recognize, [str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    assert found.exit_code == 1
    assert found.stdout.count("\n") == 2
    assert found.stderr.count("hint:") == 2


def test_a_jianzi_that_is_none_of_the_lexicon_is_still_called_one():
    import numpy as np

    from guqin_kg.draw import draw_spec, sample_spec
    from guqin_kg.notation.parse import parse

    closed = Recogniser.open(grammar=default_grammar(), lexicon=["大九勾四", "六"])
    drawn = [draw_spec(sample_spec(parse(reading), "clean", size=96)).pixels for reading in ("大九勾四", "掐起")]
    given, other, blank = closed.recognise([*drawn, np.full((40, 40), 255, np.uint8)])
    assert given["candidates"][0]["reading"] == "大九勾四"
    assert (other["jianzi"], other["candidates"]) == (True, [])
    assert other["message"] == "a jianzi, but none of the lexicon"
    assert (blank["jianzi"], blank["message"]) == (False, "not a jianzi")


def changed(path, **values):
    found = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**found, **values}, ensure_ascii=False), "utf-8")


@pytest.mark.parametrize(
    ("key", "value"),
    [("temperature", v) for v in ("warm", None, 0, -1, True, float("nan"), [1])]
    + [("other_bias", v) for v in ("x", None, float("inf"))]
    + [("prior_weight", v) for v in ("much", -0.1)],
)
def test_a_calibration_that_cannot_be_used(base, key, value):
    changed(base / "calibration.json", **{key: value})
    found = refused(base)
    assert isinstance(found, DataError)
    assert found.code == "bad-model"
    assert key in found.message
    assert str(found.file).endswith("calibration.json")


def test_a_calibration_of_an_adapter_that_cannot_be_used(workspace):
    place = workspace / "adapters" / "whole"
    for value in ("x", {"temperature": "warm"}):
        changed(place / "adapter.json", calibration=value)
        with pytest.raises(DataError, match="damaged") as caught:
            shelf.load(adapter="whole", workspace=workspace)
        assert caught.value.file == str(place / "adapter.json")


@pytest.mark.parametrize("pick", [lambda tokens: 7, lambda tokens: tokens[5]])
def test_words_that_are_no_words(base, pick):
    path = base / "vocabulary.json"
    found = json.loads(path.read_text("utf-8"))["tokens"]
    changed(path, tokens=[*found[:-1], pick(found)])
    assert "no text, or stands there twice" in refused(base).message


def short(body):
    body["field_single"].pop()


def longer(body):
    body["field_pairs"].append({})


def negative(body):
    body["single"][next(iter(body["single"]))] = -3


def textual(body):
    body["field_single"][0] = {"simple0": "3"}


def weightless(body):
    body["weight"] = float("nan")


@pytest.mark.parametrize("damage", [short, longer, negative, textual, weightless, dict.clear])
def test_a_damaged_prior(tmp_path, damage):
    body = json.loads((MODELS / "recogniser" / prior.NAME).read_text("utf-8"))
    damage(body)
    (tmp_path / prior.NAME).write_text(json.dumps(body), "utf-8")
    with pytest.raises(DataError, match="damaged sequence prior") as caught:
        prior.load(tmp_path)
    assert str(caught.value.file).endswith(prior.NAME)
    assert caught.value.hint


@pytest.mark.parametrize(
    "values", [{"r": 8}, {"r": "24"}, {"lora_alpha": None}, {"rank_pattern": {"up": 4}}, {"use_dora": True}]
)
def test_an_adapter_of_another_rank(workspace, values):
    place = workspace / "adapters" / "whole"
    changed(place / "adapter_config.json", **values)
    with pytest.raises(DataError) as caught:
        shelf.load(adapter="whole", workspace=workspace)
    assert caught.value.code == "bad-model"
    assert caught.value.hint
    assert caught.value.file == str(place / "adapter_config.json")


@pytest.mark.parametrize("name", [7, None, ["a"], ""])
def test_a_name_that_is_no_text(workspace, name):
    place = workspace / "adapters" / "broken"
    for folder in (place, workspace / "adapters" / "contrastive" / "broken"):
        (folder / "adapter.json").write_text(json.dumps({"name": name}))
    assert {row["name"] for row in shelf.adapters(workspace)} >= {"broken", "whole"}
    assert shelf.load(adapter="whole", workspace=workspace).name == "whole"
    with pytest.raises(DataError, match="not a text") as caught:
        shelf.load(adapter="broken", workspace=workspace)
    assert caught.value.file == str(place / "adapter.json")
    with pytest.raises(DataError, match="not a text"):
        towers.Towers.open(None, "broken", workspace)
    with pytest.raises(GuqinKGError, match="no adapter"):
        shelf.load(adapter="nothing like it", workspace=workspace)


def test_an_adapter_of_the_contrastive_model(workspace, tmp_path):
    place = workspace / "adapters" / "contrastive" / "whole"
    place.rename(place.with_name("towers-only"))
    place = place.with_name("towers-only")
    changed(place / "adapter.json", name="towers-only")
    for given in (str(place), "towers-only"):
        with pytest.raises(GuqinKGError) as caught:
            export.merged(tmp_path / "out", given, workspace=workspace)
        assert "contrastive" in caught.value.message
        assert "only adapters of the recogniser" in caught.value.hint
        assert "train recognizer" not in caught.value.hint


def test_an_adapter_of_another_base_says_how_to_give_it(workspace):
    changed(workspace / "adapters" / "whole" / "adapter.json", base="0" * 32)
    with pytest.raises(GuqinKGError) as caught:
        shelf.load(adapter="whole", workspace=workspace)
    assert caught.value.code == "adapter-mismatch"
    assert "--base FOLDER" in caught.value.hint
