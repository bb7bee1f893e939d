"""What the base is trained on: well-formed, drawable, of every role."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from guqin_kg.notation.grammar import default_grammar
from guqin_kg.notation.parse import parse
from guqin_kg.recognise.words import Words


@pytest.fixture(scope="module")
def words():
    return Words(default_grammar())


@pytest.fixture(scope="module")
def vocabulary(words):
    from training.recipes.base import vocabulary_of

    return vocabulary_of(words)


def test_samples_are_well_formed(words, vocabulary):
    from training.recogniser.sample import Sampler

    sampler = Sampler(words, set(vocabulary.ids))
    rng = np.random.default_rng(3)
    seen = set()
    for _ in range(400):
        item = sampler(rng)
        assert parse(item.reading) == item.notation
        assert words.encode(item.reading) == item.bases
        vocabulary.encode(item.bases)
        seen.add(item.notation.form)
    assert seen == {"simple", "complex", "aside", "standalone"}


@pytest.mark.parametrize(
    "reading",
    [
        *("大九勾四", "名十一注勾三", "撮大七七散四", "散挑七", "勾", "四", "上七九"),
        *("大七八对起", "中外打一", "勾间勾三", "泛起"),
    ],
)
def test_words_there_and_back(words, vocabulary, reading):
    bases = words.encode(reading)
    found = words.decode(bases)
    assert found is not None
    assert found.notation == parse(reading)
    assert vocabulary.encode(bases)[1:-1] == [vocabulary.index[b] for b in bases]


@pytest.mark.slow
def test_the_open_automaton_takes_what_is_well_formed(words, vocabulary):
    from training.recogniser.sample import Sampler

    machine = words.automaton(vocabulary)
    sampler = Sampler(words, set(vocabulary.ids))
    rng = np.random.default_rng(4)
    for _ in range(200):
        assert machine.accepts(vocabulary.encode(sampler(rng).bases)[1:-1])
    index = vocabulary.index
    assert not machine.accepts([index["string-4"], index["rh-gou"], index["lf-da"]])
    assert not machine.accepts([index["lf-da"], index["lf-da"], index["rh-gou"], index["string-1"]])


def test_what_is_drawn_is_known_by_all_that_decides(vocabulary, tmp_path, monkeypatch):

    from training.recogniser import others
    from training.recogniser.drawing import Recipe, surroundings

    recipe = Recipe(vocabulary, 32, 24, 12)
    given = ("graph", 1, 8)
    others_of_it = [
        replace(recipe, vocabulary=type(vocabulary)(vocabulary.ids[:-1])),
        *(
            replace(recipe, **change)
            for change in (
                {"height": 64},
                {"width": 32},
                {"longest": 24},
                {"other_share": 0.0},
                {"spoilt": 0.5},
                {"worse": 0.5},
                {"presets": {"print": 1.0}},
            )
        ),
    ]
    keys = [recipe.key(*given), *(other.key(*given) for other in others_of_it)]
    keys += [recipe.key("another", 1, 8), recipe.key("graph", 2, 8), recipe.key("graph", 1, 16)]
    font = tmp_path / "font.ttf"
    for content in (b"a", b"ab"):
        font.write_bytes(content)
        monkeypatch.setattr(others, "fonts", lambda: [font])
        keys.append(recipe.key(*given, surroundings()))
    assert len(set(keys)) == len(keys)
    assert recipe.key(*given, surroundings()) == keys[-1]


def test_what_is_spoilt_worse_changes_nothing_else(vocabulary):
    """The same notations and pages that are no jianzi; without it, the very same pictures."""
    from training.recogniser.drawing import Painter, Recipe

    recipe = Recipe(vocabulary, 32, 24, 12, other_share=0.3)
    plain, same, worse = (
        Painter(replace(recipe, **change))(range(40)) for change in ({}, {"worse": 0.0}, {"spoilt": 1.0, "worse": 1.0})
    )
    for one, other in zip(plain, same, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    assert [item[1] for item in plain] == [item[1] for item in worse]
    assert any((one[0] != other[0]).any() for one, other in zip(plain, worse, strict=True) if len(one[1]) > 3)
    assert any((one[0] != other[0]).any() for one, other in zip(plain, worse, strict=True) if len(one[1]) == 3)


def test_fonts_kept_for_measuring_are_known_under_any_file_name(tmp_path, monkeypatch):
    from training.recogniser import others

    for name in ("MaShanZheng-Regular.ttf", "long-cang-chinese-simplified-400-normal.woff", "Other.ttf"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(others, "folders", lambda: [tmp_path])
    monkeypatch.setattr(others, "_covers", lambda path: True)
    assert [path.name for path in others.fonts()] == ["Other.ttf"]
