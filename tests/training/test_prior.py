"""The sequence prior from labelled pages: neighbours decide, and no page is judged by what was counted on it."""

from __future__ import annotations

import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("safetensors", reason="needs the [train] extra")

from guqin_kg.errors import UsageError
from guqin_kg.notation.grammar import default_grammar
from guqin_kg.recognise import prior as priors
from guqin_kg.recognise.candidate import Candidate
from guqin_kg.recognise.words import Words
from training.recipes import prior, release
from training.recogniser.crops import Crop

pytestmark = pytest.mark.train

FIRST, AFTER, NEVER, ONCE = "散挑七", "勾三", "勾四", "大九勾五"


@pytest.fixture(scope="module")
def words() -> Words:
    return Words(default_grammar())


def rows(words: Words, pages: Sequence[Sequence[str]]) -> list[Crop]:
    return [
        Crop(Path(f"{page}-{at}.png"), reading, words.encode(reading), page)
        for page, readings in enumerate(pages)
        for at, reading in enumerate(readings)
    ]


def seen(words: Words, chances: dict[str, float]) -> list[Candidate]:
    """Candidates as a picture alone gives them, the likeliest first."""
    found = []
    for reading, chance in chances.items():
        bases = words.encode(reading)
        read = words.decode(bases)
        assert read is not None
        found.append(Candidate(read.reading, read.notation, bases, chance, 0.0))
    return sorted(found, key=lambda candidate: -candidate.probability)


def candidates(words: Words, crops: Sequence[Crop]) -> list[list[Candidate]]:
    """The first of a pair is clear; of the second the picture prefers what never stands there."""
    clear = seen(words, {FIRST: 0.98, NEVER: 0.02})
    blurred = seen(words, {NEVER: 0.52, AFTER: 0.48})
    return [clear if row.reading == FIRST else blurred for row in crops]


def test_neighbours_decide(words: Words) -> None:
    crops = rows(words, [[FIRST, AFTER] * 3] * 4)
    read = candidates(words, crops)
    reader: Any = types.SimpleNamespace(words=words)
    reranked, found = prior.cross_fit(crops, read, reader)
    assert found["top1_before"] == 0.5
    assert found["top1_after"] == 1.0
    assert all(weight > 0 for weight in found["weights"])
    assert [row[0].reading for row in reranked] == [row.reading for row in crops]
    assert [row[0].reading for row in read] != [row.reading for row in crops]  # what was given stays as it was


def test_a_page_is_not_judged_by_its_own_readings(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = rows(words, [[FIRST, AFTER], [FIRST, AFTER], [FIRST, AFTER], [ONCE, ONCE, ONCE, ONCE]])
    read = candidates(words, crops[:6]) + [seen(words, {NEVER: 0.52, ONCE: 0.48})] * 4
    counted: list[set[Any]] = []
    count = prior.count

    def watched(some: Sequence[Crop], of: Words) -> priors.Prior:
        counted.append({row.page for row in some})
        return count(some, of)

    monkeypatch.setattr(prior, "count", watched)
    reader: Any = types.SimpleNamespace(words=words)
    reranked, _ = prior.cross_fit(crops, read, reader)
    assert counted == [{1, 2, 3}, {0, 2, 3}, {0, 1, 3}, {0, 1, 2}]
    assert [row[0].reading for row in reranked[6:]] == [NEVER] * 4  # of its own page alone it would be known


def test_each_page_is_a_sequence_of_its_own(words: Words) -> None:
    counted = prior.count(rows(words, [[FIRST, AFTER], [AFTER, FIRST]]), words)
    assert counted.single == {FIRST: 2, AFTER: 2}
    assert counted.pairs[""] == {FIRST: 1, AFTER: 1}
    assert counted.pairs[FIRST] == {AFTER: 1}
    assert counted.pairs[AFTER] == {FIRST: 1}


def test_it_is_read_as_it_was_written(words: Words, tmp_path: Path) -> None:
    counted = prior.count(rows(words, [[FIRST, AFTER] * 3]), words)
    counted.sources = ["an invented book"]
    prior.write(counted, tmp_path)
    assert priors.load(tmp_path).to_json() == counted.to_json()


def test_readings_need_their_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="source"):
        release.refresh(tmp_path, tmp_path / "labels.jsonl")
    assert release.main(["--folder", str(tmp_path), "--data", str(tmp_path / "labels.jsonl")]) == 2
    assert "--source" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("empty", [(0,), (1,), (0, 1), (0, 1, 2)])
def test_a_picture_without_candidates_is_passed_over(words: Words, empty: tuple[int, ...]) -> None:
    crops = rows(words, [[FIRST, AFTER] * 3] * 2)
    counted = prior.count(crops, words)
    read = [[] if at in empty else row for at, row in enumerate(candidates(words, crops)[:3])]
    found = counted.rerank(read, words)
    assert [bool(row) for row in found] == [bool(row) for row in read]
