"""Every individual explains itself: labels and definitions in both languages, sources; the tables are covered."""

from __future__ import annotations

import csv
from fractions import Fraction

import pytest

from guqin_kg import resources
from guqin_kg.graph.serialise import format_turtle
from guqin_kg.inventory import load_inventory

from .test_vocabulary import DCT, GQ, RDF, RDFS, SKOS, languages, triples

#: Nodes below an individual (``…/form-1``) say something about it only and need no label of their own.
RESOURCE = "https://w3id.org/guqin/resource/"
#: Files kept by hand in the stable form.
STABLE = (
    *("annotations", "combined", "components", "fingers", "left-hand", "marks", "numbers", "ornaments", "right-hand"),
    *("roles", "slides", "sources", "tones", "traditions", "tunings", "two-hand"),
)
#: Named by the character they draw.
UNLABELLED = {"CharacterOutline"}


@pytest.fixture(scope="module")
def inventory():
    return load_inventory()


@pytest.fixture(scope="module")
def individuals():
    """IRI -> predicate -> objects, for the individuals of the data files."""
    table: dict[str, dict[str, list]] = {}
    for path in resources.files("ontology", "*.ttl"):
        if path.parent.name == "data":
            for t in triples(path):
                table.setdefault(t.subject.value, {}).setdefault(t.predicate.value, []).append(t.object)
    return table


def kinds(row) -> set[str]:
    return {o.value.removeprefix(GQ) for o in row.get(RDF + "type", [])}


def test_every_individual_has_labels_and_a_source(individuals):
    problems = []
    for iri, row in sorted(individuals.items()):
        if not kinds(row) or "/" in iri.removeprefix(RESOURCE):
            continue
        if not kinds(row) & UNLABELLED and not languages(row.get(RDFS + "label", [])) >= {"zh", "en"}:
            problems.append(f"{iri} lacks a label")
        if not row.get(DCT + "source"):
            problems.append(f"{iri} lacks a source")
    assert not problems, problems[:20]


def test_every_base_notation_and_claim_is_defined_and_rated(individuals):
    problems = []
    wanted = {"BasicNotation", "Annotation", "Source", "Tuning", "Tradition", "Finger"}
    rows = {i: r for i, r in individuals.items() if kinds(r) & wanted}
    assert len(rows) > 400
    for iri, row in sorted(rows.items()):
        if not languages(row.get(SKOS + "definition", [])) >= {"zh", "en"}:
            problems.append(f"{iri} lacks a definition")
        if len(row.get(GQ + "confidence", [])) != 1 and "Finger" not in kinds(row):
            problems.append(f"{iri} has no one confidence")
    assert not problems, problems[:20]


def test_every_base_notation_can_be_read_and_placed(inventory):
    for base in inventory.bases:
        assert base.name, base.id
        assert base.pinyin, base.id
        assert base.roles, base.id
        assert base.part_role, base.id
        assert len(base.categories) == 1, (base.id, base.categories)
        assert base.sources, base.id


def test_sources_are_described(individuals):
    cited = {o.value for row in individuals.values() for o in row.get(DCT + "source", [])}
    assert cited
    assert all("Source" in kinds(individuals.get(iri, {})) for iri in cited)


def test_every_row_of_the_knowledge_pack_is_there(shared_data, inventory):
    with (shared_data / "knowledge" / "basic_notations.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 293
    for row in rows:
        base = inventory.by_id[row["id"]]
        assert base.name == row["reading"]
        assert base.traditional == row["traditional"]
        assert base.pinyin == row["pinyin"]
        assert (base.confidence or "").lower() == row["confidence"] + "confidence"
        if row["written_form"]:
            form = base.forms[0]
            assert (form.character or form.ids) == row["written_form"]


def test_words_of_one_role_are_unambiguous(inventory):
    seen: dict[tuple[str, str], str] = {}
    for base in inventory.bases:
        for role in base.roles - {"component"}:
            for word in {base.name, *base.aliases}:
                other = seen.setdefault((word, role), base.id)
                assert other == base.id, f"{word} as {role}: {other} and {base.id}"


def test_hui_fractions_and_harmonics(inventory):
    hui = {b.number: b for b in inventory.by_role("hui")}
    assert sorted(hui) == list(range(1, 14))
    for number, base in hui.items():
        here = Fraction(base.extra["fractionFromBridge"][0])
        there = Fraction(hui[14 - number].extra["fractionFromBridge"][0])
        assert here + there == 1
        assert int(base.extra["harmonicNumber"][0]) == here.denominator


def test_steps_of_combined_techniques_exist(inventory):
    for base in inventory.bases:
        assert all(step in inventory.by_id for step in base.steps), base.id
        if base.written_as_parts:
            assert "".join(inventory.by_id[s].name for s in base.steps) == base.name


def test_contested_facts_name_both_sides(individuals):
    """The direction of 擘: one claim for each side, each bound to its sources."""
    claims = [
        r
        for r in individuals.values()
        if "Annotation" in kinds(r) and r[GQ + "annotates"][0].value.endswith("/rh-bo")
        if r[GQ + "claimedProperty"][0].value == GQ + "direction"
    ]
    assert {r[GQ + "claimedResource"][0].value for r in claims} == {GQ + "Inward", GQ + "Outward"}
    first, second = ({o.value for o in r[DCT + "source"]} for r in claims)
    assert not first & second


@pytest.mark.parametrize("name", STABLE)
def test_data_files_are_in_stable_form(name):
    path = resources.folder("ontology") / "data" / f"{name}.ttl"
    text = path.read_text(encoding="utf-8")
    assert format_turtle(text) == text


def test_every_shipped_compound_explains_itself():
    path = resources.folder("ontology") / "curated" / "notations.ttl"
    table: dict[str, dict[str, list]] = {}
    for t in triples(path):
        table.setdefault(t.subject.value, {}).setdefault(t.predicate.value, []).append(t.object)
    compounds = {i: r for i, r in table.items() if "CompoundNotation" in kinds(r)}
    assert len(compounds) >= 277
    for iri, row in compounds.items():
        assert languages(row[RDFS + "label"]) == {"zh", "en"}, iri
        assert languages(row[SKOS + "definition"]) == {"zh", "en"}, iri
        assert len(row[GQ + "pinyin"]) == 1, iri
        assert row[DCT + "source"], iri
