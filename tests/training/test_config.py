"""Every bundled configuration loads; every mistake of a broken one is named at once."""

from __future__ import annotations

import pytest

from guqin_kg.errors import NotFoundError, UsageError
from training import config


def test_all_bundled_configurations_load():
    assert config.names() == ["adapt", "adapt-mean", "base", "extend", "further", "tiny"]
    for name in config.names():
        assert config.load(name).recipe in ("base", "adapt")


def test_overrides_replace_values():
    assert config.load("tiny", steps=3, seed=None).steps == 3


def test_all_mistakes_at_once(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("recipe: base\nbatchs: 3\nlearning_rate: fast\narchitecture: {hiden: 3}\n", "utf-8")
    with pytest.raises(UsageError) as caught:
        config.load(path)
    text = str(caught.value)
    assert "did you mean 'batch'" in text
    assert "learning_rate" in text
    assert "did you mean 'hidden'" in text
    assert caught.value.exit_status == 2


def test_unknown_name_suggests():
    with pytest.raises(NotFoundError) as caught:
        config.load("bse")
    assert "base" in caught.value.hint


def test_broken_yaml(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("recipe: [base\n", "utf-8")
    with pytest.raises(UsageError):
        config.load(path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: [", b"- 1\n"])
def test_no_configuration_at_all(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        config.load(path)
    assert caught.value.file == "mine.yaml"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("recipe: adapt\ndrawn_share: 1.0\n", "less than 1"),
        ("recipe: base\npresets: {prnt: 1}\n", "no preset 'prnt'; one of: clean, print"),
        ("recipe: base\npresets: {print: 0}\n", "greater than 0"),
        ("recipe: base\npresets: {print: .inf}\n", "finite number"),
        ("recipe: base\nlearning_rate: .inf\n", "finite number"),
        ("recipe: adapt\nbatch: 4\ndrawn_share: 0.9\n", "leaves no crop in a batch of 4"),
        ("recipe: adapt\nstart: nothing\n", "an adapter needs a model"),
        ("recipe: base\nseed: -1\n", "seed: input should be greater"),
        ("recipe: base\nseed: 99999999999\n", "seed: input should be less"),
        ("recipe: base\narchitecture: {hidden: 32, heads: 5}\n", "hidden 32 cannot be shared evenly by 5 heads"),
        ("recipe: base\narchitecture: {channels: [8, 16]}\n", "2 channels need as many blocks, not 3"),
        ("recipe: base\narchitecture: {channels: [], blocks: []}\n", "names no stage"),
        ("recipe: base\narchitecture: {channels: [0, 8, 8]}\n", "architecture.channels.0"),
        ("recipe: base\narchitecture: {blocks: [0, -1, 0]}\n", "architecture.blocks.1"),
        ("recipe: base\narchitecture: {width: 50}\n", "width 50 cannot be halved 3 times: give a multiple of 8"),
        ("recipe: adapt\nlora: {target_modules: '.*(query'}\n", "is no regular expression"),
    ],
)
def test_what_cannot_be_trained_is_refused_when_it_is_read(tmp_path, content, said):
    path = tmp_path / "mine.yaml"
    path.write_text(content, "utf-8")
    with pytest.raises(UsageError) as caught:
        config.load(path)
    assert said in caught.value.message
    assert caught.value.code == "bad-config"


def test_what_does_not_fit_together_is_named_beside_the_rest(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("recipe: base\nseed: -1\narchitecture: {hidden: 30, heads: 4, height: 33}\n", "utf-8")
    with pytest.raises(UsageError) as caught:
        config.load(path)
    text = caught.value.message
    assert text.startswith("2 problem(s)")
    assert "hidden 30" in text
    assert "height 33" in text
    assert "seed" in text


def test_a_configuration_says_what_it_starts_from(tmp_path):
    starts = {name: config.load(name).starts_from for name in config.names()}
    assert starts == {
        "adapt": "bundled", "adapt-mean": "bundled", "base": "nothing", "extend": "bundled", "further": "given",
        "tiny": "nothing",
    }  # fmt: skip
    for recipe, start in (("base", "nothing"), ("adapt", "bundled")):
        path = tmp_path / "mine.yaml"
        path.write_text(f"recipe: {recipe}\n", "utf-8")
        assert config.load(path).starts_from == start
