"""The bundled recogniser, end to end: pictures in, the contract's form out."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from guqin_kg import KnowledgeGraph
from guqin_kg.cli.recognise import adapters, recognize
from guqin_kg.draw import draw_spec, sample_spec
from guqin_kg.errors import DataError, GuqinKGError, NotFoundError, UsageError
from guqin_kg.inventory import load_inventory
from guqin_kg.notation.grammar import default_grammar, grammar_of
from guqin_kg.notation.iri import notation_iri
from guqin_kg.notation.listing import read_list
from guqin_kg.notation.parse import parse
from guqin_kg.recognise import Recogniser, export, prior, shelf

READINGS = ["大九勾四", "散挑七", "名十一勾三", "勾二", "五", "名十对起", "撮大七七散四"]


@pytest.fixture(scope="module")
def reader():
    return Recogniser.open(grammar=default_grammar())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for at, reading in enumerate(READINGS):
        drawing = draw_spec(sample_spec(parse(reading), "clean", 11 + at, size=96, frame="crop"))
        path = folder / f"{at}.png"
        Image.fromarray(drawing.pixels).save(path)
        paths.append(path)
    return paths


def test_clean_drawings_are_read(reader, pictures):
    rows = reader.recognise(pictures, top=3)
    assert [row["image"] for row in rows] == [str(p) for p in pictures]
    found = [row["candidates"][0]["reading"] if row["candidates"] else None for row in rows]
    assert sum(a == b for a, b in zip(found, READINGS, strict=True)) >= len(READINGS) - 1, found


def test_the_form_of_an_answer(reader, pictures):
    row = reader.recognise(pictures[:1], top=3)[0]
    best = row["candidates"][0]
    assert len(row["candidates"]) <= 3
    assert best["iri"] == notation_iri(parse(best["reading"]), default_grammar())
    assert 0 < best["probability"] <= 1
    assert [c["name"] for c in best["components"]] == ["大", "九", "勾", "四"]
    assert [c["role"] for c in best["components"]] == ["left_finger", "hui", "right_hand", "string"]
    width, height = Image.open(pictures[0]).size
    for component in best["components"]:
        x, y, w, h = component["box"]
        assert 0 <= x <= x + w <= width + 0.2
        assert 0 <= y <= y + h <= height + 0.2
        assert 0 <= component["probability"] <= 1
    assert {"name", "adapter", "vocabulary", "graph"} <= set(row["model"])


def test_boxes_lie_where_the_components_were_drawn(reader):
    notation = parse("大九勾四")
    drawing = draw_spec(sample_spec(notation, "clean", 5, size=128, frame="crop"))
    best = reader.recognise([drawing.pixels], top=1)[0]["candidates"][0]
    assert best["reading"] == "大九勾四"
    overlaps = []
    for component, (x, y, w, h) in zip(best["components"], drawing.boxes, strict=True):
        a, b, c, d = component["box"]
        shared = max(0, min(x + w, a + c) - max(x, a)) * max(0, min(y + h, b + d) - max(y, b))
        overlaps.append(shared / (w * h + c * d - shared))
    assert np.mean(overlaps) > 0.6, overlaps


def test_every_answer_is_well_formed(reader):
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 256, (40, 40)).astype(np.uint8) for _ in range(8)]
    answers = [c for row in reader.recognise(noise, top=5) for c in row["candidates"] + row.get("rejected", [])]
    assert answers
    for candidate in answers:
        assert candidate["iri"] == notation_iri(parse(candidate["reading"]), default_grammar())


def test_blank_paper_is_no_jianzi(reader):
    row = reader.recognise([np.full((60, 50), 240, np.uint8)])[0]
    assert row["jianzi"] is False
    assert row["candidates"] == []


def test_a_lexicon_restricts(pictures):
    closed = Recogniser.open(grammar=default_grammar(), lexicon=["大九勾四", "散挑七", "不成字"])
    rows = closed.recognise(pictures, top=5)
    seen = {c["reading"] for row in rows for c in row["candidates"]}
    assert seen <= {"大九勾四", "散挑七"}
    assert rows[0]["candidates"][0]["reading"] == "大九勾四"
    assert any("不成字" in line for line in closed.skipped)


def test_an_empty_lexicon(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("# nothing\n", "utf-8")
    with pytest.raises(GuqinKGError):
        read_list(path)
    with pytest.raises(DataError):
        _ = Recogniser.open(grammar=default_grammar(), lexicon=["不成字"]).automaton
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError) as caught:
        read_list(path)
    assert caught.value.code == "not-utf8"
    assert caught.value.hint


def test_a_sequence_has_one_answer_a_picture(reader, pictures):
    rows = reader.recognise([*pictures, np.full((60, 50), 240, np.uint8)], top=2, sequence=True)
    assert len(rows) == len(pictures) + 1
    assert all(len(row["candidates"]) <= 2 for row in rows)


def test_an_adapter_says_how_much_its_neighbours_count(reader):
    from dataclasses import replace

    plain = replace(reader.model, calibration={})
    assert prior.of_model(plain).weight == prior.load(reader.model.folder).weight
    assert prior.of_model(replace(reader.model, calibration={"prior_weight": 0.05})).weight == 0.05
    with pytest.raises(DataError, match="prior_weight"):
        prior.of_model(replace(reader.model, calibration={"prior_weight": "much"}))


def test_a_new_component_does_not_break_the_model(tmp_path, pictures):
    path = tmp_path / "new.ttl"
    path.write_text(
        """
        @prefix gq: <https://w3id.org/guqin/ontology#> .
        @prefix gqr: <https://w3id.org/guqin/resource/> .
        @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
        gqr:rh-invented a gq:BasicNotation , gq:RightHandTechnique ; gq:notationName "戳" ; gq:traditionalName "戳" ;
            gq:fullName "戳" ; rdfs:label "戳"@zh ; gq:grammarRole gqr:role-stroke ; gq:partRole gq:rightHandPart ;
            gq:minStrings 1 ; gq:maxStrings 1 ; gq:writtenForm <https://w3id.org/guqin/resource/rh-invented/form-1> .
        <https://w3id.org/guqin/resource/rh-invented/form-1> a gq:WrittenForm ; gq:character "戈" ; gq:preferred true .
        """,
        "utf-8",
    )
    grown = Recogniser.open(grammar=grammar_of(load_inventory([path])))
    row = grown.recognise(pictures[:1], top=1)[0]
    assert row["candidates"][0]["reading"] == "大九勾四"
    assert "戳" in row["model"]["unknown"]
    assert "guqin train recognizer --config extend" in row["model"]["hint"]
    closed = Recogniser.open(grammar=grammar_of(load_inventory([path])), lexicon=["大九戳四"])
    with pytest.raises(DataError) as caught:
        _ = closed.automaton
    assert "--config extend" in str(caught.value.hint)
    assert "the model has never seen 戳 (rh-invented)" in closed.skipped[0]


def test_command(pictures, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    run = CliRunner().invoke(recognize, [str(pictures[0]), str(broken), "--top", "1", "--format", "json"])
    rows = json.loads(run.stdout)
    assert run.exit_code == 1
    assert rows[0]["candidates"][0]["reading"] == "大九勾四"
    assert rows[1]["error"]["code"] == "bad-image"
    run = CliRunner().invoke(recognize, [str(pictures[0])])
    assert run.exit_code == 0
    assert "大九勾四" in run.stdout


def test_unknown_adapter():
    with pytest.raises(NotFoundError) as caught:
        Recogniser.open(adapter="wusheng-1475", grammar=default_grammar())
    assert "wusheng-1457" in caught.value.hint


def test_a_merged_adapter_reads_as_the_adapter_does(tmp_path, pictures):
    pytest.importorskip("safetensors", reason="needs the [train] extra")
    out = tmp_path / "merged"
    run = CliRunner().invoke(adapters, ["--merge", "wusheng-1457", "--out", str(out), "--format", "json"])
    assert run.exit_code == 0, run.output
    plain = Recogniser.open(adapter="wusheng-1457", grammar=default_grammar()).recognise(pictures, top=1)
    merged = Recogniser.open(base=out, grammar=default_grammar()).recognise(pictures, top=1)
    for a, b in zip(plain, merged, strict=True):
        assert [c["reading"] for c in a["candidates"]] == [c["reading"] for c in b["candidates"]]
        for x, y in zip(a["candidates"], b["candidates"], strict=True):
            assert abs(x["probability"] - y["probability"]) < 0.02
    with pytest.raises(UsageError, match="there already"):
        export.merged(out, "wusheng-1457")
    assert not list(tmp_path.glob(".merged*"))


def test_a_merged_model_has_what_a_model_needs_and_its_credit(tmp_path):
    """Of a base that was trained here, its checkpoints and logs stay behind."""
    pytest.importorskip("safetensors", reason="needs the [train] extra")
    base = shutil.copytree(shelf.load().folder, tmp_path / "my-base")
    (base / "run" / "checkpoint").mkdir(parents=True)
    (base / "run" / "checkpoint" / "optimiser.safetensors").write_bytes(b"x" * 100)
    (base / "log.jsonl").write_text("{}\n")
    out = export.merged(tmp_path / "merged", "wusheng-1457", base=base)
    assert {path.name for path in out.iterdir()} == {path.name for path in shelf.load().folder.iterdir()}
    card = (out / "README.md").read_text("utf-8")
    about = shelf.load(adapter="wusheng-1457").adapter
    assert about["credit"] in card
    assert "my-base" in card.splitlines()[2]
    assert about["base"] in card
    assert "Noto Serif" in card
    row = Recogniser.open(base=out, grammar=default_grammar()).about()
    assert row["base"] == "merged"
    assert row["weights"] == shelf.file_hash(out / "model.safetensors")
    assert row["adapter"] is None


def test_deep_pictures_of_a_glyph_have_one_reading(reader, pictures, tmp_path):
    grey = np.asarray(Image.open(pictures[0]))
    deep = [
        grey.astype(np.uint16) * 257,
        grey.astype(np.uint16) * 16,
        grey.astype(np.uint16) * 4,
        grey.astype(np.int32) * 65536,
        (grey / 255).astype(np.float32),
        (grey / 250).astype(np.float32),
        grey.astype(np.float32),
    ]
    for at, values in enumerate(deep):
        Image.fromarray(values).save(tmp_path / f"{at}.tif")
    rows = reader.recognise([pictures[0], *(tmp_path / f"{at}.tif" for at in range(len(deep)))], top=1)
    assert [[c["reading"] for c in row["candidates"]] for row in rows] == [["大九勾四"]] * (len(deep) + 1)


def test_top_is_at_least_one(reader, pictures):
    for top in (0, -1):
        with pytest.raises(UsageError, match="at least one"):
            reader.recognise(pictures[:1], top=top)


def test_words_never_seen_are_named_as_in_the_graph(reader):
    from guqin_kg.recognise.vocabulary import Vocabulary

    known = Vocabulary(reader.vocabulary.ids[:-1]).named(reader.words.inventory)
    gone = reader.vocabulary.ids[-1]
    label = reader.words.inventory.by_id[gone].labels["zh"]
    with pytest.raises(DataError) as caught:
        known.encode([gone])
    assert caught.value.message == f"the model has never seen {label} ({gone})"
    assert reader.vocabulary.names[gone] == label


def test_lines_left_out_of_a_lexicon_are_counted(pictures, tmp_path):
    path = tmp_path / "book.txt"
    path.write_text("大九勾四\n" + "".join(f"不成字{at}\n" for at in range(30)), "utf-8")
    run = CliRunner().invoke(recognize, [str(pictures[0]), "--lexicon", str(path)])
    assert run.exit_code == 0
    assert run.stderr.count("left out of the lexicon") == 10
    assert "and 20 more" in run.stderr


def test_a_picture_that_a_decoder_chokes_on_leaves_the_others(pictures, tmp_path, monkeypatch):
    from PIL.PngImagePlugin import PngImageFile

    load = PngImageFile.load

    def broken(self):
        if "broken" in str(self.filename):
            raise RuntimeError("Failed to decode image")
        return load(self)

    monkeypatch.setattr(PngImageFile, "load", broken)
    shutil.copy(pictures[0], tmp_path / "broken.png")
    run = CliRunner().invoke(recognize, [str(pictures[0]), str(tmp_path / "broken.png"), str(pictures[0])])
    assert run.exit_code == 1
    lines = run.stdout.splitlines()
    assert [("大九勾四" in line) for line in lines] == [True, False, True]
    assert "Failed to decode" in lines[1]


@pytest.fixture(scope="module")
def graph():
    """The face of the graph without its store: recognition needs the grammar and the workspace alone."""
    from types import SimpleNamespace

    session = SimpleNamespace(grammar=default_grammar(), workspace=SimpleNamespace(root=None))
    return KnowledgeGraph(session)


def test_python_takes_one_array_as_one_picture(graph, pictures):
    grey = np.asarray(Image.open(pictures[0]))
    for given in (grey, [grey], grey[None]):
        rows = graph.recognize(given, top=1)
        assert [row["candidates"][0]["reading"] for row in rows] == ["大九勾四"]
    rows = graph.recognize(np.stack([grey] * 3, axis=-1))
    assert [row["error"]["code"] for row in rows] == ["bad-image"]
    with pytest.raises(UsageError, match="no image"):
        graph.recognize([])


def test_python_takes_another_base(graph, pictures, tmp_path):
    base = shutil.copytree(shelf.load().folder, tmp_path / "mine")
    for given in (base, str(base)):
        row = graph.recognize(pictures[0], base=given)[0]
        assert row["model"]["base"] == "mine"
        assert row["candidates"][0]["reading"] == "大九勾四"
    assert graph.recognize(pictures[0])[0]["model"]["base"] == "recogniser"
    with pytest.raises(NotFoundError, match="no recogniser in"):
        graph.recognize(pictures[0], base=tmp_path)
    with pytest.raises(UsageError):
        graph.recognize(pictures[0], top=0)


def test_adapters_are_listed():
    run = CliRunner().invoke(adapters, ["--format", "json"])
    assert run.exit_code == 0
    assert "wusheng-1457" in [row["name"] for row in json.loads(run.stdout)]


@pytest.mark.slow
def test_real_crops(shared_data):
    """A floor, far below what docs/experiments.md reports, so that a broken model cannot pass."""
    from guqin_kg.recognise.images import fit, load_grey

    folder = shared_data / "data" / "wushen"
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text("utf-8").splitlines()]
    rows = [row for row in rows if row["reading"] and row["page"] in (4, 9)]
    for adapter, least in ((None, 0.6), ("wusheng-1457", 0.8)):
        reader = Recogniser.open(adapter=adapter, grammar=default_grammar())
        windows = np.stack([fit(load_grey(folder / row["file"]), reader.height, reader.width).pixels for row in rows])
        read = reader.read(windows, top=1)
        right = [bool(c) and c[0].notation == parse(row["reading"]) for c, row in zip(read, rows, strict=True)]
        assert np.mean(right) > least


def test_the_bundled_automaton_is_that_of_the_released_graph(reader):
    """Compiling it takes seconds; `python -m training.recipes.release` writes it anew after a change of the rules."""
    from guqin_kg.recognise import automata

    key = automata.grammar_hash(reader.words, reader.vocabulary)
    with np.load(reader.model.folder / automata.NAME, allow_pickle=False) as data:
        assert str(data["key"]) == key


def test_a_path_that_no_file_can_have_does_not_end_the_list(reader, pictures):
    rows = reader.recognise(["a" * 300 + ".png", pictures[0]], top=1)
    assert rows[0]["error"]["hint"]
    assert rows[1]["candidates"]


def test_an_edited_rule_is_another_grammar(reader):
    """Two parts of a rule in the other order are the same signs, and another automaton."""
    from dataclasses import replace

    from guqin_kg.notation.pattern import Seq
    from guqin_kg.recognise import automata

    grammar = reader.words.grammar
    at = next(i for i, rule in enumerate(grammar.rules) if isinstance(rule.tree, Seq) and len(rule.tree.items) > 1)
    rule = grammar.rules[at]
    edited = replace(rule, tree=Seq(rule.tree.items[::-1]))
    rules = [*grammar.rules[:at], edited, *grammar.rules[at + 1 :]]
    words = SimpleNamespace(grammar=SimpleNamespace(alphabet=grammar.alphabet, rules=rules))
    same = SimpleNamespace(grammar=SimpleNamespace(alphabet=grammar.alphabet, rules=list(grammar.rules)))
    key = automata.grammar_hash(reader.words, reader.vocabulary)
    assert automata.grammar_hash(same, reader.vocabulary) == key
    assert automata.grammar_hash(words, reader.vocabulary) != key


@pytest.mark.parametrize("how", [["--onnx"], ["--merge", "wusheng-1457"]])
def test_the_folder_one_stands_in_can_be_written_to(tmp_path, monkeypatch, how):
    pytest.importorskip("safetensors", reason="needs the [train] extra")
    pytest.importorskip("onnx", reason="needs the [fast] extra")
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    run = CliRunner().invoke(adapters, [*how, "--out", "."])
    assert run.exit_code == 0, run.output
    assert (place / "vocabulary.json").is_file()


def test_networks_of_a_damaged_base_are_refused(tmp_path):
    pytest.importorskip("onnx", reason="needs the [fast] extra")
    base = shutil.copytree(shelf.load().folder, tmp_path / "base")
    config = json.loads((base / "config.json").read_text("utf-8"))
    del config["heads"]
    (base / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(DataError, match="not a whole recogniser"):
        export.networks(tmp_path / "out", base=base)
    assert not (tmp_path / "out").exists()
