"""Pictures of the conversations: drawn as print, and as varied as those that the recogniser is taught with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [train] extra")
pytest.importorskip("transformers", reason="needs the [train] extra")

from guqin_kg.query.session import GraphSession
from training.dialogue.pictures import NoJianzi, Pictures

pytestmark = pytest.mark.train


def ink(pictures: Pictures, reading: str, number: int) -> np.ndarray:
    return np.asarray(pictures.of(reading, number).convert("L"))


def test_varied_pictures_depend_on_their_seed_alone(session: GraphSession, tmp_path: Path) -> None:
    def made(folder: str, seed: int) -> Pictures:
        return Pictures(tmp_path / folder, session.grammar, ("varied", "clean"), 48, 4, seed)

    one, again, other = made("one", 1), made("again", 1), made("other", 2)
    one.of("散挑七")
    first = ink(one, "大九勾四", 0)
    assert first.shape == (48, 48)
    assert first.min() < 100 < 200 < first.max()
    assert (first == ink(again, "大九勾四", 0)).all()
    assert (first != ink(other, "大九勾四", 0)).any()
    assert (first != ink(one, "大九勾四", 2)).any()


def test_a_kept_picture_that_is_damaged_is_drawn_anew(session: GraphSession, tmp_path: Path) -> None:
    def made() -> Pictures:
        return Pictures(tmp_path, session.grammar, ("clean",), 48, 1, 1)

    first = ink(made(), "大九勾四", 0)
    (kept,) = tmp_path.rglob("*.npy")
    whole = kept.read_bytes()
    for broken in (b"", whole[:5], whole[:-100]):
        kept.write_bytes(broken)
        assert (ink(made(), "大九勾四", 0) == first).all()
        assert kept.read_bytes() == whole


def test_a_word_that_is_no_base_notation_is_drawn_all_the_same(session: GraphSession, tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, session.grammar, ("varied",), 48, 1, 1)
    pictures._painter.words.encode = _no_base  # type: ignore[method-assign]
    assert ink(pictures, "散挑七", 0).min() < 100


def _no_base(reading: str) -> tuple[str, ...]:
    from guqin_kg.errors import ReadingError

    raise ReadingError("a reference mark", code="no-components", reading=reading, at=0)


def test_what_is_no_jianzi_is_spoilt_where_jianzi_are(session: GraphSession) -> None:
    plain = NoJianzi(session.grammar, 48, 3)
    beside = NoJianzi(session.grammar, 48, 3, ("varied", "clean"))
    same = [plain(n).tobytes() == beside(n).tobytes() for n in range(40)]
    assert 5 < sum(same) < 30
    assert all(beside(n).tobytes() == beside(n).tobytes() for n in range(10))
