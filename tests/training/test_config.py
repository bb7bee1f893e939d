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
