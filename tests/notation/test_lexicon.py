"""Size, order and conditions of the lexicon; the shipped set is what its rule says."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner

from guqin_kg.cli.notation import lexicon as command
from guqin_kg.errors import UsageError
from guqin_kg.notation.components import parts
from guqin_kg.notation.format import short_reading
from guqin_kg.notation.grammar import Grammar
from guqin_kg.notation.lexicon import PUBLISHED_SIZE, Lexicon, condition, curated, published


@pytest.fixture(scope="module")
def book(grammar: Grammar) -> Lexicon:
    return Lexicon(grammar)


def test_it_is_at_least_as_large_as_the_published_one(book: Lexicon) -> None:
    sizes = book.count_by_rule()
    assert sum(sizes.values()) == book.count() >= PUBLISHED_SIZE
    assert sum(1 for _ in published(book.grammar)) == PUBLISHED_SIZE


def test_counts_are_what_listing_gives(book: Lexicon) -> None:
    sizes = book.count_by_rule()
    small = [name for name, size in sizes.items() if size <= 1_500]
    assert len(small) >= 8
    for name in small:
        assert sum(1 for _ in book.of_rule(name)) == sizes[name], name


def test_no_notation_is_listed_twice(book: Lexicon) -> None:
    seen = set()
    for notation in islice(book, 12_000):
        assert notation not in seen
        seen.add(notation)


def test_conditions_narrow_before_listing(book: Lexicon) -> None:
    where = {"finger": "大", "technique": "勾", "string": "4", "rule": "stopped-fen"}
    found = list(book.select(where))
    test = condition(where, book.grammar)
    assert found == [n for n in book.of_rule("stopped-fen") if test(n)]
    assert found
    names = {short_reading(n, book.grammar) for n in book.select({"hui": "七九", "finger": "大", "string": "四"})}
    assert "大七九挑四" in names


def test_wrong_conditions_are_named_before_anything_is_listed(book: Lexicon) -> None:
    for where in ({"finger": "魔"}, {"hui": "十四"[:1] + "魔"}, {"string": "魔"}, {"string": "8"}, {"rule": "魔"}):
        with pytest.raises(UsageError):
            book.select(where)
        with pytest.raises(UsageError):
            book.count(where)
        with pytest.raises(UsageError):
            condition(where, book.grammar)


def test_every_value_offered_is_one_that_a_notation_has(book: Lexicon) -> None:
    for key, field in (("finger", "left_finger"), ("tone", "tone"), ("ornament", "ornaments"), ("string", "strings")):
        for value in book.values[key]:
            notation = next(book.select({key: str(value)}))
            had = [getattr(note, field) for note in (notation, *notation.notes)]
            assert any(value == one or (isinstance(one, tuple) and value in one) for one in had), (key, value)
    for key in ("form", "sound", "rule"):
        assert all(next(book.select({key: value}), None) for value in book.values[key]), key
    assert all(next(book.select({"technique": word}), None) for word in book.values["technique"])


def test_other_spellings_of_a_value_find_the_same(book: Lexicon) -> None:
    same = ({"technique": "擘"}, {"technique": "劈"})
    assert book.count({**same[0], "rule": "core-open"}) == book.count({**same[1], "rule": "core-open"}) > 0
    assert book.count({"finger": "大指", "rule": "core-stopped"}) == book.count(
        {"finger": "大", "rule": "core-stopped"}
    )


def test_the_order_is_stable(grammar: Grammar) -> None:
    first = [short_reading(n, grammar) for n in islice(Lexicon(grammar), 300)]
    assert first == [short_reading(n, grammar) for n in islice(Lexicon(grammar), 300)]
    assert first[0].startswith("散")


def test_the_curated_set_follows_its_rule(book: Lexicon) -> None:
    chosen = list(curated(book.grammar))
    assert len(chosen) == len(set(chosen)) >= 277
    whole = {n for rule in book.rules if rule.curated for n in book.of_rule(rule.name)}
    assert whole <= set(chosen)
    used = {base.id for n in chosen for part in parts(n, book.grammar) for base in part.bases}
    for role in ("finger", "stroke", "string", "hui", "vibrato"):
        for base in book.grammar.inventory.by_role(role):
            assert base.id in used or base.written_as_parts, base.id


def test_the_shipped_file_is_what_the_command_writes(repo_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "notations.ttl"
    result = CliRunner().invoke(command, ["--curated", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert out.read_text(encoding="utf-8") == (repo_root / "ontology/curated/notations.ttl").read_text(encoding="utf-8")


def test_the_documented_counts_are_current(repo_root: Path, book: Lexicon) -> None:
    text = (repo_root / "docs/readings.md").read_text(encoding="utf-8")
    for name, size in book.count_by_rule().items():
        assert f"| {name} | {size:,} |" in text, f"docs/readings.md: {name} is {size:,}"
