"""Places on the string: exact fractions from the graph's hui."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import pytest

from guqin_kg.errors import DataError, NotFoundError
from guqin_kg.inventory import Inventory, load_inventory
from guqin_kg.model import Position
from guqin_kg.sound.position import Fingerboard, fingerboard


@pytest.fixture(scope="module")
def board() -> Fingerboard:
    return fingerboard(load_inventory())


def test_hui_are_symmetrical_nodes(board: Fingerboard) -> None:
    assert sorted(board.hui) == list(range(1, 14))
    for hui in range(1, 14):
        fraction, harmonic = board.hui[hui]
        assert fraction + board.hui[14 - hui][0] == 1
        assert fraction.denominator == harmonic


@pytest.mark.parametrize(
    ("hui", "fen", "fraction"),
    [(9, None, "2/3"), (7, 6, "14/25"), (7, 9, "59/100"), (10, 8, "79/100"), (8, 3, "31/50"), (4, 8, "19/60")],
)
def test_tenths_are_linear_in_length(board: Fingerboard, hui: int, fen: int | None, fraction: str) -> None:
    place = board.place(Position(hui=hui, fen=fen))
    assert place.fraction == Fraction(fraction)
    assert place.certain
    assert place.statement is None


def test_half_is_five_tenths(board: Fingerboard) -> None:
    half = board.place(Position(hui=8, sign="半", effect="half"))
    assert half.fraction == board.place(Position(hui=8, fen=5)).fraction == Fraction(19, 30)


def test_between_is_a_range_only_in_its_tradition(board: Fingerboard) -> None:
    written = Position(hui=7, fen=8)
    assert board.place(written).fraction == Fraction(29, 50)
    early = board.place(written, "between")
    assert (early.low, early.high) == (Fraction(1, 2), Fraction(3, 5))
    assert early.statement is not None
    nine_ten = board.place(Position(hui=9, fen=10), "between")
    assert (nine_ten.low, nine_ten.high) == (Fraction(2, 3), Fraction(3, 4))


def test_beyond_the_last_hui_the_sources_differ(board: Fingerboard) -> None:
    place = board.place(Position(sign="外", effect="outside"))
    assert place.fraction == Fraction(8, 9)
    assert place.low == Fraction(8, 9)
    assert place.high == Fraction(243, 256)
    assert "differ" in (place.statement or "")
    fen = board.place(Position(hui=13, fen=1))
    assert fen.fraction == Fraction(7, 8) + Fraction(1, 80)
    assert fen.low == Fraction(7, 8) + Fraction(1, 240)


def test_near_signs_give_a_range_on_the_right_side(board: Fingerboard) -> None:
    above = board.place(Position(hui=6, sign="上", effect="above"))
    below = board.place(Position(hui=6, sign="下", effect="below"))
    assert above.high == below.low == Fraction(2, 5)
    assert above.fraction < Fraction(2, 5) < below.fraction


def test_every_row_of_the_fen_table(board: Fingerboard, shared_data: Path) -> None:
    rows = list(csv.DictReader((shared_data / "knowledge" / "fen_table.csv").open(encoding="utf-8")))
    assert len(rows) == 130
    for row in rows:
        place = board.place(Position(hui=int(row["hui"]), fen=int(row["fen"]) or None))
        assert place.fraction == Fraction(row["fraction_from_bridge"]), row["position"]


def test_a_source_has_its_tradition(board: Fingerboard) -> None:
    assert board.tradition("五声琴谱") == "between"
    assert board.tradition("自远堂琴谱") == "decimal"
    assert board.tradition(None) == "decimal"


def test_what_does_not_exist(board: Fingerboard) -> None:
    with pytest.raises(NotFoundError, match="tradition"):
        board.place(Position(hui=7), "tang")
    with pytest.raises(DataError, match="no hui 15"):
        board.at(15)
    with pytest.raises(NotFoundError):
        fingerboard(Inventory(type(load_inventory().view)([]), "empty"))
