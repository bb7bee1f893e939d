"""Conversations: complete, varied, in both languages, and saying only what the graph says."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

from guqin_kg import resources
from guqin_kg.dialogue.generate import generate, split_of
from guqin_kg.dialogue.regenerate import scope_notations
from guqin_kg.dialogue.templates import load_templates
from guqin_kg.dialogue.turns import turn_sets
from guqin_kg.query.library import packaged

LENGTH = {"six": 6, "twenty-two": 22}


@pytest.fixture(scope="module")
def records(built: tuple[Any, Any]) -> list[dict[str, Any]]:
    _, generation = built
    sets = turn_sets(load_templates([resources.folder("templates")]))
    chosen = [sets[name, lang] for name in LENGTH for lang in ("zh", "en")]
    notations = scope_notations(generation, packaged(), "curated")
    assert len(notations) >= 277
    return [json.loads(r.line) for r in generate(generation.store.query, packaged(), chosen, notations)]


def test_every_conversation_is_complete(records: list[dict[str, Any]]) -> None:
    for record in records:
        messages = record["messages"]
        assert len(messages) == 2 * LENGTH[record["set"]], record["id"]
        assert [m["role"] for m in messages] == ["user", "assistant"] * (len(messages) // 2)
        assert all(m["content"].strip() and m["sources"] and m["query"] and m["template"] for m in messages)
        assert all("None" not in m["content"] and "{" not in m["content"] for m in messages)
        answers = [m["template"] for m in messages[1::2]]
        assert len(set(answers)) == len(answers), record["id"]


def test_both_languages_are_whole(records: list[dict[str, Any]]) -> None:
    by_lang = Counter((r["set"], r["lang"]) for r in records)
    assert len(set(by_lang.values())) == 1
    for record in records:
        if record["lang"] == "en":
            assert all(any(c.isascii() and c.isalpha() for c in m["content"]) for m in record["messages"])
            # a mark may itself be a full stop; a Chinese sentence is a character before one
            assert not any(re.search("[一-鿿][，。]", m["content"]) for m in record["messages"]), record["id"]


def test_no_phrasing_dominates(records: list[dict[str, Any]]) -> None:
    first = Counter(r["messages"][0]["content"] for r in records if r["lang"] == "zh" and r["set"] == "six")
    assert len(first) >= 3
    assert max(first.values()) < 0.6 * sum(first.values())


def test_the_seed_changes_the_wording_and_nothing_else(built: tuple[Any, Any]) -> None:
    _, generation = built
    turns = turn_sets(load_templates([resources.folder("templates")], "zh"))["six", "zh"]
    notations = scope_notations(generation, packaged(), "curated")[:20]
    one, again, other = (
        [r.line for r in generate(generation.store.query, packaged(), [turns], notations, seed=s)] for s in (0, 0, 1)
    )
    assert one == again
    assert one != other


def test_splits_do_not_leak_and_are_about_8_to_2(records: list[dict[str, Any]]) -> None:
    notations = {r["notation"] for r in records}
    share = sum(split_of(n) == "train" for n in notations) / len(notations)
    assert 0.7 < share < 0.9


def test_every_fact_can_be_rebuilt_from_the_graph(built: tuple[Any, Any], records: list[dict[str, Any]]) -> None:
    """A sample of answers, made again notation by notation from statements read into another store."""
    import pyoxigraph as ox

    from guqin_kg.dialogue.rows import Rows, View, view_of

    _, generation = built
    memory = ox.Store()
    memory.extend(generation.store)
    ask = memory.query

    templates = {(t.name, t.lang): t for t in load_templates([resources.folder("templates")])}
    sample = [r for r in records if r["lang"] == "zh" and r["set"] == "twenty-two"][::97]
    assert len(sample) >= 2
    checked = 0
    for record in sample:
        for question, answer in zip(record["messages"][::2], record["messages"][1::2], strict=True):
            template = templates[answer["template"], record["lang"]]
            assert answer["query"] == template.query
            view = View(view_of(template), packaged())
            rows = Rows(ask, packaged(), record["lang"], [view])
            rows.fetch([record["notation"]])
            data = rows.of(view, record["notation"])
            possible = {
                (template.render(q, data, c), template.render(a, data, c))
                for q in template.questions
                for a in template.answers
                for c in range(60)
            }
            assert (question["content"], answer["content"]) in possible
            assert set(answer["sources"]) == {record["notation"], *rows.rests(view, record["notation"])}
            checked += 1
    assert checked >= 44
