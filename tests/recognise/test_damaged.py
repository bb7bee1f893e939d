"""Model folders and adapters that are damaged or do not belong together: one message, and the others still work."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from guqin_kg import resources
from guqin_kg.cli.recognise import adapters, recognize
from guqin_kg.errors import GuqinKGError
from guqin_kg.notation.grammar import default_grammar
from guqin_kg.recognise import Recogniser, automata, shelf, towers
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


def test_nothing_of_the_lexicon_is_not_called_an_ordinary_character(tmp_path):
    import numpy as np

    closed = Recogniser.open(grammar=default_grammar(), lexicon=["大九勾四"])
    row = closed.recognise([np.full((40, 40), 255, np.uint8)])[0]
    assert row["message"] == "none of the lexicon, or not a jianzi"
