"""A picture seen five times."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from guqin_kg.cli.recognise import recognize
from guqin_kg.draw import draw_spec, sample_spec
from guqin_kg.notation.grammar import default_grammar
from guqin_kg.notation.parse import parse
from guqin_kg.recognise import Recogniser, views
from guqin_kg.recognise.candidate import Candidate, weighed
from guqin_kg.recognise.images import fit

SIZE = np.array([48, 64], np.float32)


def candidate(reading: str | None, score: float, boxes: object = ()) -> Candidate:
    return Candidate(reading, None, score, 0.0, (), np.array(boxes, np.float32).reshape(-1, 4))


def test_a_window_is_moved_and_nothing_comes_round_the_edge():
    window = np.arange(1, 13, dtype=np.uint8).reshape(1, 3, 4)
    assert views.moved(window, 1, 0)[0].tolist() == [[0, 1, 2, 3], [0, 5, 6, 7], [0, 9, 10, 11]]
    assert views.moved(window, 0, -2)[0].tolist() == [[9, 10, 11, 12], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert views.moved(window, 0, 0).tolist() == window.tolist()


def test_scores_are_means_of_probabilities_and_absence_counts_as_none():
    seen = [[candidate("大", np.log(0.9))], [candidate("大", np.log(0.5)), candidate("小", np.log(0.4))]]
    found = {row.reading: np.exp(row.score) for row in views.joined(seen, [(0, 0), (2, 0)], SIZE)}
    assert found == pytest.approx({"大": 0.7, "小": 0.2})


def test_a_single_view_is_itself():
    seen = [candidate("大", -0.1), candidate(None, -3.0)]
    found = weighed(views.joined([seen], [(0, 0)], SIZE), 1.0)
    assert [row.reading for row in found] == ["大", None]
    assert [row.score for row in found] == pytest.approx([-0.1, -3.0])


def test_boxes_are_moved_back():
    seen = [[], [candidate("大", -0.1, [[0.5, 0.25, 0.75, 0.5]])]]
    (row,) = views.joined(seen, [(0, 0), (12, -16)], SIZE)
    assert row.boxes.tolist() == [[0.25, 0.5, 0.5, 0.75]]


def test_probabilities_of_no_candidates():
    assert weighed([], 1.0) == []


def test_reading_carefully_is_the_mean_of_five_readings():
    pixels = draw_spec(sample_spec(parse("名十一勾三"), "print", 3, size=96, frame="crop")).pixels
    reader = Recogniser.open(grammar=default_grammar())
    window = fit(pixels, reader.height, reader.width).pixels[None]
    scores = [
        {row.reading: row.score for row in reader.read(views.moved(window, *move), top=5)[0]} for move in views.MOVES
    ]
    (rows,) = reader.read(window, top=5, careful=True)
    assert len(rows) == len({row.reading for row in rows})
    assert sum(row.probability for row in rows) <= 1 + 1e-6
    expected = np.log(np.mean([np.exp(view.get(rows[0].reading, -np.inf)) for view in scores]))
    assert rows[0].score == pytest.approx(expected, abs=1e-3)


def test_the_command_reads_carefully(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(draw_spec(sample_spec(parse("大九勾四"), "clean", 11, size=96, frame="crop")).pixels).save(path)
    done = CliRunner().invoke(recognize, [str(path), "--careful", "--sequence", "--format", "json"])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert row["candidates"][0]["reading"] == "大九勾四"
    assert row["candidates"][0]["components"][0]["role"] == "left_finger"
