"""Lists of readings: numbered or not, comments, JSON lines; what is no list is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from guqin_kg.errors import DataError
from guqin_kg.notation.listing import read_list, without_index


def test_every_way_to_keep_a_list(tmp_path: Path) -> None:
    place = tmp_path / "list"
    rows = [
        "\ufeff# my list",
        "1\t大九勾四",
        "散挑七  # open",
        "",
        '{"file": "a.png", "reading": "名十勾五"}',
        '{"reading": null}',
    ]
    place.write_text("\n".join(rows), "utf-8")
    assert read_list(place) == ["大九勾四", "散挑七", "名十勾五"]


def test_a_number_alone_is_a_reading() -> None:
    assert without_index("3") == "3"
    assert without_index("大九\t勾四") == "大九\t勾四"


@pytest.mark.parametrize(("data", "code"), [(b"\n# nothing\n", "empty-list"), (b"ok\n\xff\xfe\n", "not-utf8")])
def test_what_is_no_list(tmp_path: Path, data: bytes, code: str) -> None:
    place = tmp_path / "list"
    place.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_list(place)
    assert caught.value.code == code
