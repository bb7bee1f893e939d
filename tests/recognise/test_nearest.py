"""Search across pictures, readings and sounds: the right one is found, vectors are kept, an edit costs what it adds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from guqin_kg.errors import DataError, NotFoundError, ReadingError, UsageError
from guqin_kg.notation.grammar import default_grammar
from guqin_kg.notation.iri import notation_iri
from guqin_kg.notation.parse import parse
from guqin_kg.recognise.nearest import Search
from guqin_kg.recognise.towers import Towers

READINGS = ["大九勾四", "大九勾五", "大九挑四", "名十剔六", "散勾一", "散挑七", "中十二勾二", "泛大七挑七"]


@dataclass
class Session:
    """What a search needs of an opened graph."""

    root: Path
    readings: list[str] = field(default_factory=lambda: list(READINGS))

    def __post_init__(self) -> None:
        self.grammar = default_grammar()
        self.inventory = self.grammar.inventory
        self.workspace = SimpleNamespace(state=self.root)

    def iri(self, reading: str) -> str:
        return notation_iri(parse(reading, self.grammar), self.grammar)

    def query(self, name: str, check: bool = True) -> Any:
        assert name == "notations-all"
        return SimpleNamespace(rows=[{"notation": self.iri(r), "name": r} for r in self.readings])


@pytest.fixture(scope="module")
def towers() -> Towers:
    return Towers.open()


@pytest.fixture
def search(tmp_path: Path, towers: Towers) -> Search:
    return Search(Session(tmp_path), towers)  # type: ignore[arg-type]


def test_a_reading_finds_its_own_drawing_and_a_drawing_its_reading(search: Search, tmp_path: Path) -> None:
    from PIL import Image

    from guqin_kg.draw import draw_spec, sample_spec

    for reading in READINGS:
        assert search.find(reading=reading, by="text", against="image", top=1)[0].name == reading
        drawing = draw_spec(sample_spec(parse(reading), "clean", 5, size=120))
        Image.fromarray(drawing.pixels).save(tmp_path / "a.png")
        found = search.find(image=tmp_path / "a.png", top=3)
        assert found[0].name == reading
        assert found[0].similarity > found[1].similarity
        assert found[0].iri == search.session.iri(reading)  # type: ignore[attr-defined]


def test_compared_with_its_like_a_notation_is_left_out(search: Search) -> None:
    found = search.find(reading="大九勾四", by="text")
    assert len(found) == len(READINGS) - 1
    assert "大九勾四" not in {row.name for row in found}
    assert found[0].name in {"大九勾五", "大九挑四"}
    assert "大九勾四" not in {row.name for row in search.find(reading="大九勾四", by="image", top=3)}


def test_a_sound_finds_its_reading(search: Search, tmp_path: Path) -> None:
    from guqin_kg.recognise.hear import played
    from guqin_kg.sound.wav import write_wav

    if "audio" not in search.towers.modalities:
        pytest.skip("this model has no tower for sounds")
    hits = 0
    for reading in READINGS:
        samples, rate = played(reading, search.session.grammar)
        write_wav(tmp_path / "a.wav", samples, rate)
        hits += reading in {row.name for row in search.find(audio=tmp_path / "a.wav", top=2)}
        assert search.find(audio=tmp_path / "a.wav", against="audio", top=1)[0].name == reading
    assert hits >= len(READINGS) - 2


def test_vectors_are_kept_and_an_edit_costs_what_it_adds(search: Search, towers: Towers, tmp_path: Path) -> None:
    search.find(reading="大九勾四", by="image")
    (kept,) = (tmp_path / "embeddings").glob("image-*.npz")
    asked: list[int] = []

    class Counting(Search):
        def _encoded(self, by: str, readings: Any) -> Any:
            asked.append(len(readings))
            return super()._encoded(by, readings)

    more = Counting(Session(tmp_path, [*READINGS, "食十勾三"]), towers)  # type: ignore[arg-type]
    assert len(more.gallery("image")[0]) == len(READINGS) + 1
    assert asked == [1]
    fewer = Counting(Session(tmp_path, READINGS[:3]), towers)  # type: ignore[arg-type]
    assert {name for _, name in fewer.gallery("image")[0]} == set(READINGS[:3])
    assert asked == [1]
    kept.write_bytes(kept.read_bytes()[:100])
    again = Counting(Session(tmp_path), towers)  # type: ignore[arg-type]
    assert np.allclose(again.gallery("image")[1], search.gallery("image")[1])
    assert asked == [1, len(READINGS)]
    assert not list((tmp_path / "embeddings").glob("*.tmp"))


def test_where_nothing_can_be_written_the_answer_comes_all_the_same(towers: Towers, tmp_path: Path) -> None:
    (tmp_path / "embeddings").write_text("in the way", "utf-8")
    said: list[str] = []
    search = Search(Session(tmp_path), towers, say=said.append)  # type: ignore[arg-type]
    assert search.find(reading="大九勾四", by="text", top=1)
    assert "cannot be kept" in said[0]


def test_what_cannot_be_searched_with_is_said(search: Search, tmp_path: Path) -> None:
    from PIL import Image

    with pytest.raises(ReadingError):
        search.find(reading="九九九九", by="text")
    with pytest.raises(NotFoundError, match="no image file"):
        search.find(image=tmp_path / "nothing.png")
    Image.new("L", (50, 50), 255).save(tmp_path / "blank.png")
    with pytest.raises(NotFoundError, match="no ink"):
        search.find(image=tmp_path / "blank.png")
    with pytest.raises(NotFoundError, match="no sound file"):
        search.of_audio(tmp_path / "nothing.wav")
    (tmp_path / "bad.wav").write_bytes(b"RIFFxxxx")
    with pytest.raises(DataError, match="cannot read this sound"):
        search.of_audio(tmp_path / "bad.wav")
    with pytest.raises(UsageError, match="no tower for smell"):
        search.gallery("smell")
