"""Pictures: exact boxes, the same bytes for the same specification, checks a reader's eye would make."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from guqin_kg.draw import PRESETS, Spec, default_engine, draw_spec, draw_specs, sample_spec
from guqin_kg.draw.chance import Chance
from guqin_kg.draw.labels import record, record_json
from guqin_kg.draw.raster import INK_LEVEL, _compress, cover
from guqin_kg.draw.spec import MAX_SIZE
from guqin_kg.draw.styles import STYLES, style
from guqin_kg.draw.svg import svg
from guqin_kg.errors import DataError, UsageError
from guqin_kg.notation.parse import parse

READINGS = [
    "大九勾四", "名十一绰挑六", "撮大七七散四", "历七六", "散挑七", "名六二抹六", "大八半擘四", "名外注勾四",
    "勾间勾三", "上七九", "泛起", "名十对起", "四", "二", "跪五六勾二",
]  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS)
def test_boxes_are_the_ink_of_each_component_drawn_alone(preset: str) -> None:
    engine = default_engine()
    for seed, reading in enumerate(READINGS):
        spec = sample_spec(parse(reading), preset, seed, size=64)
        drawing = draw_spec(spec)
        geometry = engine.geometry(spec)
        for number, box in enumerate(drawing.boxes):
            alone, _ = cover(geometry, spec, frozenset({number}))
            down, across = np.nonzero(alone >= int(255 * INK_LEVEL))
            if not len(down):
                assert box[2] == 0
                continue
            again = np.array([across.min(), down.min(), across.max() + 1 - across.min(), down.max() + 1 - down.min()])
            scale = drawing.pixels.shape[1] / alone.shape[1]
            assert np.abs(box - again * scale).max() < 1e-6, (reading, preset, number)


def test_boxes_of_a_clean_picture_hold_all_dark_pixels() -> None:
    for reading in READINGS:
        drawing = draw_spec(sample_spec(parse(reading), "clean", 0, size=200))
        down, across = np.nonzero(drawing.pixels < 100)
        x0, y0 = drawing.boxes[:, :2].min(0)
        x1, y1 = (drawing.boxes[:, :2] + drawing.boxes[:, 2:]).max(0)
        assert x0 <= across.min()
        assert y0 <= down.min()
        assert across.max() < x1
        assert down.max() < y1


@pytest.mark.parametrize("preset", PRESETS)
def test_same_specification_same_bytes(preset: str) -> None:
    for seed in range(6):
        spec = sample_spec(parse("名十一绰挑六"), preset, seed)
        assert spec == sample_spec(parse("名十一绰挑六"), preset, seed)
        first = draw_spec(spec)
        draw_spec(sample_spec(parse("大九勾四"), preset, seed + 1))
        again = draw_spec(Spec.from_json(json.dumps(spec.to_json())))
        assert first.pixels.tobytes() == again.pixels.tobytes()
        assert first.boxes.tolist() == again.boxes.tolist()


def test_seeds_give_different_pictures() -> None:
    pictures = {draw_spec(sample_spec(parse("大九勾四"), "print", seed)).pixels.tobytes() for seed in range(20)}
    assert len(pictures) == 20


def test_frames_and_sizes() -> None:
    notation = parse("大九勾四")
    square = draw_spec(sample_spec(notation, "print", 3, size=64)).pixels
    crop = draw_spec(sample_spec(notation, "print", 3, size=224, frame="crop")).pixels
    assert square.shape == (64, 64)
    assert max(crop.shape) == 224
    assert square.dtype == np.uint8


@pytest.mark.parametrize("reading", READINGS[:12])
def test_proportions_a_reader_expects(reading: str) -> None:
    drawing = draw_spec(sample_spec(parse(reading), "clean", 0, size=300))
    boxes = drawing.boxes
    x0, y0 = boxes[:, :2].min(0)
    x1, y1 = (boxes[:, :2] + boxes[:, 2:]).max(0)
    assert 0.45 <= (x1 - x0) / (y1 - y0) <= 1.4
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] > 0).all()
    for role, box, part in zip(drawing.roles, boxes, drawing.layout.parts, strict=True):
        if role == "string" and part.string not in (1, 2, 3):
            assert box[3] >= 0.11 * (y1 - y0), "the string number must be legible"


def test_outside_sign_and_slide_sign_stand_apart() -> None:
    outside = draw_spec(sample_spec(parse("名外挑四"), "clean", 0, size=300))
    hui, technique = outside.boxes[1], outside.boxes[2]
    assert hui[1] + hui[3] < technique[1] + 0.35 * technique[3]
    slide = draw_spec(sample_spec(parse("大九绰勾三"), "clean", 0, size=300))
    nine, sign = slide.boxes[1], slide.boxes[2]
    assert sign[1] >= nine[1] + 0.7 * nine[3]


def test_a_frame_that_holds_a_string_gets_the_room_it_needs() -> None:
    drawing = draw_spec(Spec(parse("名十二剔二"), size=256))
    assert list(drawing.names) == ["名", "十二", "剔", "二"]
    frame, string = drawing.boxes[2:]
    assert frame[3] > 0.5 * 256, "the frame with its string is not squeezed to a strip"
    assert string[3] > 0.5 * frame[3]


def test_arms_beside_a_stem_leave_it_a_gap() -> None:
    drawing = draw_spec(Spec(parse("撮三四"), size=512))
    row = np.asarray(drawing.image().convert("L"))[int(0.8 * 512)] < 128
    runs = np.diff(np.flatnonzero(np.diff(np.r_[0, row.astype(int), 0])))[::2]
    assert len(runs) >= 3, "stem and sides of the enclosure are strokes of their own"
    assert runs.max() < 1.6 * np.median(runs)


def test_a_glyph_that_is_another_sign_is_not_taken_from_the_font() -> None:
    chosen = style("liu-jian-mao-cao")
    if chosen.path() is None:
        pytest.skip("the font is not installed")
    font = chosen.font()
    assert font is not None
    assert chosen.without
    assert not any(font.has(char) for char in chosen.without)
    assert font.has("大")


def test_components_change_shape_by_slot() -> None:
    alone = draw_spec(sample_spec(parse("抹三"), "clean", 0, size=300))
    over = draw_spec(sample_spec(parse("大九抹四"), "clean", 0, size=300))
    shape = [d.boxes[d.names.index("抹")] for d in (alone, over)]
    ratios = [b[2] / b[3] for b in shape]
    assert ratios[1] > ratios[0], "flattened in the lower half"


def test_strokes_keep_their_weight_in_small_slots() -> None:
    drawing = draw_spec(sample_spec(parse("名十八抹五"), "clean", 0, size=400))
    spec = drawing.spec
    geometry = default_engine().geometry(spec)

    def weight(numbers: set[int]) -> float:
        ink = cover(geometry, spec, frozenset(numbers))[0] > 127
        edge = (ink[:, 1:] != ink[:, :-1]).sum() + (ink[1:] != ink[:-1]).sum()
        return 2.0 * ink.sum() / edge

    assert weight({1}) > 0.6 * weight({2}), "hui and fen beside the technique"


@pytest.mark.parametrize("name", [s.name for s in STYLES.values() if s.bundled])
def test_every_base_notation_with_a_form_draws_in_every_bundled_style(name: str) -> None:
    engine = default_engine()
    builder = engine._builders[True]
    drawn = 0
    for base in engine.inventory.bases:
        for form in builder.forms(base):
            tree = parse_tree(form)
            for leaf in engine.outlines.expand(tree).leaves():
                if leaf.char != "〇":
                    assert len(engine.outlines.ink(leaf, STYLES[name].brush, None, base.name).points) > 2
                    drawn += 1
    assert drawn > 300


def parse_tree(form: object) -> object:
    from guqin_kg.draw.layout import Node, parse_ids

    if form.stroke_path:  # type: ignore[attr-defined]
        return Node(char="x", path=("stroke", form.stroke_path))  # type: ignore[attr-defined]
    if form.svg_path:  # type: ignore[attr-defined]
        return Node(char="x", path=("outline", form.svg_path))  # type: ignore[attr-defined]
    return parse_ids(form.ids or form.character)  # type: ignore[attr-defined]


def test_record_says_everything() -> None:
    row = record(draw_spec(sample_spec(parse("大九勾四"), "print", 1)))
    assert row["reading"] == "大九勾四"
    assert row["reading_full"] == "大指九徽勾四弦"
    assert row["ids"] == "⿱⿰大九⿹勹四"
    assert row["iri"].startswith("https://w3id.org/guqin/resource/")
    assert [c["name"] for c in row["components"]] == ["大", "九", "勾", "四"]
    assert [c["role"] for c in row["components"]] == ["left_finger", "hui", "right_hand", "string"]
    assert row["structure"]["strings"] == [4]
    json.dumps(row)


def test_svg_has_one_group_for_each_component() -> None:
    import xml.etree.ElementTree as ET

    spec = sample_spec(parse("撮大七七散四"), "clean", 0, size=256, reading="撮大七七散四")
    tree = ET.fromstring(svg(spec))
    groups = tree.findall("{http://www.w3.org/2000/svg}g")
    assert [g.get("data-name") for g in groups] == ["撮", "大", "七", "七", "散", "四"]
    assert all(len(g) for g in groups)


@pytest.mark.parametrize("size", [0, -5, 10**6, MAX_SIZE + 1])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match="size"):
        sample_spec(parse("大九勾四"), "clean", 0, size=size)
    with pytest.raises(UsageError, match="size"):
        draw_spec(Spec(parse("大九勾四"), size=size))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="style"):
        sample_spec(parse("大九勾四"), "clean", 0, styles=["gothic"])
    with pytest.raises(UsageError, match="preset"):
        sample_spec(parse("大九勾四"), "dirty", 0)
    with pytest.raises(DataError, match="specification"):
        Spec.from_json({"colour": 3})


def test_pictures_drawn_together_are_as_drawn_alone() -> None:
    """Also where a batch mixes sizes, frames, presets and JPEG qualities, and holds one specification twice."""
    specs = [
        sample_spec(
            parse(reading), PRESETS[seed % 4], seed, size=(64, 48, 130)[seed % 3], frame=("square", "crop")[seed % 2]
        )
        for seed in range(3)
        for reading in READINGS
    ]
    specs = [replace(spec, jpeg=(0, 40, 90)[i % 3]) for i, spec in enumerate([*specs, specs[0]])]
    for spec, drawing in zip(specs, draw_specs(specs), strict=True):
        alone = draw_spec(spec)
        assert np.array_equal(drawing.pixels, alone.pixels)
        assert np.array_equal(drawing.boxes, alone.boxes)
    assert draw_specs([]) == []


def test_compressed_together_as_compressed_alone() -> None:
    rng = np.random.default_rng(0)
    specs = [replace(sample_spec(parse("四"), "clean", 0), jpeg=quality) for quality in (30, 75, 30, 30, 75, 0)]
    shapes = [(17, 40), (64, 64), (9, 8), (31, 57), (33, 12), (20, 20)]
    pictures = [rng.integers(0, 256, shape).astype(np.uint8) for shape in shapes]
    wanted = []
    for spec, picture in zip(specs, pictures, strict=True):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=spec.jpeg or 75)
        wanted.append(np.asarray(Image.open(file)) if spec.jpeg else picture)
    done = list(pictures)
    _compress(done, specs)
    assert all(np.array_equal(a, b) for a, b in zip(done, wanted, strict=True))


def test_label_text_is_the_record() -> None:
    for seed, reading in enumerate(READINGS):
        drawing = draw_spec(sample_spec(parse(reading), "print", seed))
        assert json.loads(record_json(drawing, more=[1])) == {**json.loads(json.dumps(record(drawing))), "more": [1]}


def test_chance_is_even_and_normal() -> None:
    seeds = list(range(4000))
    uniform = Chance(seeds).uniform(10)
    assert np.abs(uniform.mean(0) - 0.5).max() < 0.02
    assert np.abs(np.histogram(uniform, 10, (0, 1))[0] / uniform.size - 0.1).max() < 0.005
    assert abs(np.corrcoef(uniform[:, 0], uniform[:, 1])[0, 1]) < 0.05
    normal = Chance(seeds).normal(np.arange(4000)[:, None], np.arange(50))
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert np.array_equal(Chance(seeds[7:8]).uniform(10)[0], uniform[7]), "the batch makes no difference"


def test_prints_let_parts_reach_into_each_other() -> None:
    facing = draw_spec(Spec(parse("名十对起"), size=256, prints=1.0))
    finger, _, rise = facing.boxes
    assert rise[1] < finger[1] + 0.8 * finger[3], "the upper half of 业 stands beside the falling stroke of 名"
    tree = draw_spec(Spec(parse("抹挑七"), size=256, prints=1.0))
    wood, hook, _ = tree.boxes
    assert hook[0] < wood[0] < wood[0] + wood[2] < hook[0] + hook[2], "the hook holds the tree"
