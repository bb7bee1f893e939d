"""A component added in Turtle is drawn with no change of code, whatever kind of form it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from guqin_kg.draw.engine import Engine
from guqin_kg.draw.layout import MissingFormError, ids
from guqin_kg.draw.outlines import MissingOutlineError
from guqin_kg.draw.raster import draw_spec
from guqin_kg.draw.sampling import sample_spec
from guqin_kg.draw.strokes import PathError, parse_path
from guqin_kg.inventory import load_inventory
from guqin_kg.notation.grammar import grammar_of
from guqin_kg.notation.parse import parse
from tests.new_sign import ping


def _engine(tmp_path: Path, form: str) -> Engine:
    path = tmp_path / "mine.ttl"
    path.write_text(ping(form), "utf-8")
    return Engine(grammar_of(load_inventory([path])))


@pytest.mark.parametrize(
    ("form", "sequence"),
    [
        ('; gq:character "平"', None),
        ('; gq:ids "⿱丷干"', None),
        ('; gq:ids "⿱丷十"', "⿱⿰大九⿱⿱丷十四"),
        ('; gq:ids "⿱丷十" ; gq:idsTemplate "⿸⿱丷十〇"', "⿱⿰大九⿸⿱丷十四"),
        ('; gq:strokePath "M100 100L900 100M500 100L500 900"', "⿱⿰大九⿱抨四"),
        ('; gq:svgPath "M100 100H900V250H580V900H420V250H100Z"', "⿱⿰大九⿱抨四"),
    ],
)
def test_any_kind_of_form(tmp_path: Path, form: str, sequence: str | None) -> None:
    engine = _engine(tmp_path, form)
    notation = parse("大九抨四", engine.grammar)
    spec = sample_spec(notation, "clean", 0, size=128)
    if sequence is None:  # characters the graph has no outline for
        with pytest.raises(MissingOutlineError, match="抨"):
            draw_spec(spec, engine)
        return
    drawing = draw_spec(spec, engine)
    assert drawing.names == ["大", "九", "抨", "四"]
    assert ids(drawing.layout.tree) == sequence
    assert (drawing.boxes[:, 2:] > 3).all()
    assert np.count_nonzero(drawing.pixels < 128) > 200


def test_no_form_is_said_with_the_name_of_the_component(tmp_path: Path) -> None:
    engine = _engine(tmp_path, "")
    with pytest.raises(MissingFormError, match=r"抨.*no written form") as caught:
        engine.layout(parse("大九抨四", engine.grammar))
    assert "gq:strokePath" in str(caught.value.hint)


@pytest.mark.parametrize("path", ["L10 10", "M10", "M1 1 A 3 3 0 0 0 5 5", "", "M5 5"])
def test_broken_paths_are_refused(path: str) -> None:
    with pytest.raises(PathError):
        parse_path(path)


def test_curves_and_relative_commands() -> None:
    (a,) = parse_path("M0 0C0 100 100 100 100 0")
    assert np.allclose(a[-1], [100, 0])
    (b,) = parse_path("m10 10h50v20l-50-20z")
    assert np.allclose(b[1:3], [[60, 10], [60, 30]])
    assert np.allclose(b[-1], b[0])
