"""Readings and pictures of contrastive runs: lists of names, and the signs of a workspace."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")

from guqin_kg import resources
from guqin_kg.cli.train import train
from guqin_kg.errors import DataError, ReadingError
from guqin_kg.graph.workspace import init_workspace
from guqin_kg.inventory import load_inventory
from guqin_kg.notation.grammar import Grammar, grammar_of
from tests.new_sign import ping
from training.contrastive import data
from training.contrastive.config import load
from training.recipes import contrastive as recipe
from training.recogniser import drawing

pytestmark = pytest.mark.train


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """A workspace whose graph has a sign of its own."""
    root = init_workspace(tmp_path / "space").root
    (root / "graph" / "mine.ttl").write_text(ping('; gq:ids "⿱丷十"'), "utf-8")
    return root


def test_a_sign_of_the_workspace_is_trained_on(space: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("大九抨四\n大九勾四\n散勾一\n", "utf-8")
    arguments = ["--config", "tiny", "--names", str(names), "--cache", str(tmp_path / "cache")]
    command = ["contrastive", *arguments, "--steps", "1", "--quiet"]
    with pytest.raises(ReadingError, match="抨"):
        CliRunner().invoke(train, [*command, "--out", str(tmp_path / "no")], catch_exceptions=False)
    out = tmp_path / "out"
    done = CliRunner().invoke(train, [*command, "--out", str(out), "--workspace", str(space)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "抨" in json.loads((out / "config.json").read_text("utf-8"))["characters"]
    graph = json.loads((out / "training.json").read_text("utf-8"))["graph"]
    assert graph == load_inventory([space / "graph" / "mine.ttl"]).content_hash
    # started by torchrun it knows the sign as well
    several = [*arguments, "--max-steps", "1", "--out", str(tmp_path / "several")]
    assert recipe.main(several) == 1
    assert recipe.main([*several, "--workspace", str(space)]) == 0


def test_pictures_are_kept_by_the_graph_they_are_of(space: Path, tmp_path: Path) -> None:
    own = grammar_of(load_inventory([space / "graph" / "mine.ttl"]))
    names = tmp_path / "names.txt"
    names.write_text("大九勾四\n散勾一\n", "utf-8")
    for config in (load("tiny"), load("tiny", source="sampled", drawn_images=8, shard=8)):
        cache = tmp_path / config.source

        def drawn(grammar: Grammar | None, config=config, cache=cache) -> data.Items:
            return data.prepare(config, cache, names, quiet=True, grammar=grammar)

        first, second = drawn(None), drawn(own)
        assert first.cache != second.cache
        assert len(list(cache.iterdir())) == 2
        assert (drawn(own).images == second.images).all()


def test_pictures_are_kept_by_what_draws_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tmp_path / "names.txt"
    names.write_text("大九勾四\n散勾一\n", "utf-8")
    for config in (load("tiny"), load("tiny", source="sampled", drawn_images=8, shard=8)):
        cache = tmp_path / config.source
        folders: list[Path | None] = []

        def drawn(config=config, cache=cache, folders=folders) -> None:
            folders.append(data.prepare(config, cache, names, quiet=True).cache)

        drawn()
        drawn()
        assert folders[0] == folders[1]
        for place, value in (
            (drawing, {"surroundings": lambda: ["other fonts"]}),
            (data, {"_LONGEST": 20, "_SIZE": 60}),
        ):
            with monkeypatch.context() as context:
                for name, other in value.items():
                    context.setattr(place, name, other)
                drawn()
        assert len(set(folders)) == 3
        drawn()
        assert folders[-1] == folders[0]


def test_sounds_are_kept_by_what_sounds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tmp_path / "names.txt"
    names.write_text("大九勾四\n散勾一\n", "utf-8")
    config = load("tiny", modalities=["image", "text", "audio"], images_each=1)
    first = data.prepare(config, tmp_path / "cache", names, quiet=True)
    (kept,) = (tmp_path / "cache").rglob("audio-*.npy")
    found = drawing.surroundings()
    monkeypatch.setattr(drawing, "surroundings", lambda: found)
    monkeypatch.setattr(resources, "digest", lambda paths: "0" * 32)
    assert data.prepare(config, tmp_path / "cache", names, quiet=True).cache == first.cache
    assert len(list(kept.parent.glob("audio-*.npy"))) == 2


def test_a_list_of_names_is_read_as_everywhere(tmp_path: Path) -> None:
    names, config = tmp_path / "names.txt", load("tiny", notations="names")
    names.write_text('\ufeff1\t大九勾四\n# one more\n散勾一  # twice\n散勾一\n{"reading": "名十挑五"}\n', "utf-8")
    assert data.readings(config, names) == ["大九勾四", "散勾一", "名十挑五"]
    for content, code in (("大九勾四\n".encode("gbk"), "not-utf8"), (b"# nothing\n", "empty-list")):
        names.write_bytes(content)
        with pytest.raises(DataError) as caught:
            data.readings(config, names)
        assert caught.value.code == code
    names.unlink()
    with pytest.raises(DataError, match="cannot read the list"):
        data.readings(config, names)


def test_one_reading_is_too_few(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("大九勾四\n", "utf-8")
    with pytest.raises(DataError, match="nothing to tell 大九勾四 apart from"):
        data.prepare(load("tiny", images_each=1), tmp_path, names, quiet=True)


def test_the_released_graph_is_sampled_as_by_the_recogniser(tmp_path: Path) -> None:
    from guqin_kg.recognise.words import Words
    from training.recipes.base import vocabulary_of
    from training.recogniser.drawing import Painter, Recipe
    from training.recogniser.shards import item_seed

    config = load("tiny", source="sampled", drawn_images=8, shard=8)
    found = data.sampled(config, tmp_path, quiet=True)
    vocabulary = vocabulary_of(Words(grammar_of(load_inventory())))
    size = (config.towers.height, config.towers.width, 24)
    draw = Painter(Recipe(vocabulary, *size, other_share=0.0))
    rows = draw([item_seed(config.seed, 0, at) for at in range(8)])
    assert (found.images == np.stack([row[0] for row in rows])).all()
