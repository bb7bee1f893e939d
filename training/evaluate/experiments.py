"""The experiments of docs/experiments.md: each function is one of its tables.

::

    python -m training.evaluate.experiments base  --data LABELS --names NAMES --out DIR
    python -m training.evaluate.experiments adapt --data LABELS --crops 100 --out DIR
    python -m training.evaluate.experiments prior --data LABELS [--adapter DIR] --out DIR
    python -m training.evaluate.experiments spoilt --data LABELS [--adapter DIR] [--crops 400] --out DIR
    python -m training.evaluate.experiments styles --data LABELS [--crops 300] --out DIR
    python -m training.evaluate.experiments curve --out DIR

``LABELS`` are crops with pages, ``NAMES`` a list of readings. Test pages are fixed here; they are never adapted on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg import resources
from guqin_kg.errors import NotFoundError
from guqin_kg.notation.grammar import default_grammar
from guqin_kg.notation.listing import read_list
from guqin_kg.notation.parse import parse
from guqin_kg.recognise import shelf
from guqin_kg.recognise.candidate import Candidate
from guqin_kg.recognise.images import fit, load_grey
from guqin_kg.recognise.recogniser import Recogniser
from training.evaluate import measure, plot
from training.recogniser.crops import Crops, read_crops

TEST_PAGES = (4, 9, 13, 17)
"""Every fourth page or so of the labelled book; the others are for adapting."""


def drawn(
    reader: Recogniser, readings: Sequence[str], styles: Sequence[str], preset: str, times: int
) -> tuple[np.ndarray, list[str]]:
    """Windows and labels of readings drawn ``times`` in each style."""
    from guqin_kg.draw import draw_spec, sample_spec
    from guqin_kg.errors import DataError

    windows, labels = [], []
    for number, reading in enumerate(readings):
        notation = parse(reading)
        canonical = reader.words.decode(reader.words.encode(reading))
        for at, style in enumerate(styles):
            for turn in range(times):
                seed = 900_000_000 + number * 1000 + at * 50 + turn
                try:
                    drawing = draw_spec(sample_spec(notation, preset, seed, size=128, frame="crop", styles=[style]))
                except DataError:
                    continue
                windows.append(fit(drawing.pixels, reader.height, reader.width).pixels)
                labels.append(canonical.reading if canonical else reading)
    return np.stack(windows), labels


def on_windows(reader: Recogniser, windows: np.ndarray, labels: list[str], name: str) -> dict[str, Any]:
    """Figures on windows."""
    return measure.report(name, labels, reader.read(windows, top=6), reader).to_json()


_KEPT_FONTS = ("long-cang-chinese-simplified-400-normal.woff", "ma-shan-zheng-chinese-simplified-400-normal.woff")
_COMMON_FONTS = (
    "HanaMinA.ttf",
    "KouzanBrushFontSousyo.ttf",
    "lxgw-wenkai-tc-chinese-traditional-300-normal.woff",
    "lxgw-wenkai-tc-chinese-traditional-400-normal.woff",
)


def ordinary_characters(reader: Recogniser, count: int = 1000, seed: int = 7) -> dict[str, Any]:
    """How many ordinary characters, in fonts never trained on where there are any, are called jianzi."""
    from PIL import Image, ImageDraw, ImageFont

    from guqin_kg.draw.fonts import folders
    from training.recogniser.others import Others, lacks

    others = Others(reader.words.inventory)
    found = {p.name: p for folder in folders() for p in folder.rglob("*") if p.name in (*_KEPT_FONTS, *_COMMON_FONTS)}
    kept = [found[name] for name in _KEPT_FONTS if name in found]
    common = [found[name] for name in _COMMON_FONTS if name in found]
    fonts = [ImageFont.truetype(str(p), 96) for p in (*kept, *(common or others.fonts[:4]))]
    rng = np.random.default_rng(seed)
    windows: list[np.ndarray] = []
    while len(windows) < count:
        font = fonts[int(rng.integers(len(fonts)))]
        char = str(rng.choice(others.characters))
        if lacks(font, char):  # its box for what it lacks is no ordinary character
            continue
        image = Image.new("L", (160, 160), 255)
        ImageDraw.Draw(image).text((24, 16), char, font=font, fill=0)
        window = fit(np.asarray(image), reader.height, reader.width)
        if not window.blank:
            windows.append(window.pixels)
    read = reader.read(np.stack(windows), top=2)
    called = [row[0].reading for row in read if row and row[0].reading is not None]
    return {
        "ordinary_characters": count,
        "called_jianzi": round(len(called) / count, 4),
        "fonts_kept_for_measuring": len(kept),
    }


def base(args: argparse.Namespace) -> dict[str, Any]:
    """The base without any real training image."""
    reader = Recogniser.open(base=args.base, adapter=args.adapter, grammar=default_grammar())
    crops = read_crops(args.data, reader.words, reader.vocabulary)
    out: dict[str, Any] = {}
    for name, rows in (("all pages", crops), ("test pages", _pages(crops, TEST_PAGES))):
        for closed in (False, True):
            found = measure.on_crops(reader, rows, name=name, closed=closed)
            out[f"{name}, {'closed' if closed else 'open'}"] = found.to_json()
            if name == "all pages" and not closed:
                measure.write(found, args.out / "base")
    out["test pages, open, seen five times"] = measure.on_crops(
        reader, _pages(crops, TEST_PAGES), name="test pages", careful=True
    ).to_json()
    if args.names:
        from guqin_kg.draw.styles import available
        from training.recogniser.drawing import HELD_OUT_STYLES

        names = read_list(args.names)
        closed_reader = Recogniser(reader.model, reader.words.grammar, names, reader.beams)
        there = {style.name: style for style in available()}
        plain = [name for name in ("kai", "wenkai", "ukai", "tw-kai") if name in there]
        hands = [name for name in HELD_OUT_STYLES if name in there]
        for label, styles, preset, times in (
            ("96 names, kai type", plain, "clean", 1),
            ("96 names, handwriting fonts never trained on", hands, "handwritten", 3),
        ):
            if styles:
                windows, labels = drawn(reader, names, styles, preset, times)
                out[f"{label}, open"] = on_windows(reader, windows, labels, label)
                out[f"{label}, closed"] = on_windows(closed_reader, windows, labels, label)
    out["no jianzi"] = ordinary_characters(reader)
    return out


def adapt(args: argparse.Namespace) -> dict[str, Any]:
    """LoRA on ``--crops`` crops of the other pages, measured on the test pages."""
    from training import config as configs
    from training.evaluate.calibrate import fit_temperature
    from training.recipes import adapt as recipe

    config = configs.load(args.config, steps=args.steps, seed=args.seed)
    folder = args.base or resources.folder("models") / shelf.BASE
    plain = Recogniser.open(base=folder, grammar=default_grammar())
    crops = read_crops(args.data, plain.words, plain.vocabulary)
    pool = crops.where(lambda row: row.page not in TEST_PAGES)
    order = np.random.default_rng(args.seed).permutation(len(pool.rows))
    chosen = [pool.rows[i] for i in (order[: args.crops] if args.crops else order)]
    test = _pages(crops, TEST_PAGES)
    with tempfile.TemporaryDirectory(prefix="guqin-experiment-") as work:
        listed = Path(work) / "crops.jsonl"
        rows = [{"file": str(row.file), "reading": row.reading, "page": row.page} for row in chosen]
        listed.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        about = recipe.run(config, folder, listed, "experiment", Path(work) / "adapter", cache=args.cache, command="")
        reader = Recogniser.open(base=folder, adapter=str(Path(work) / "adapter"), grammar=default_grammar())
        raw = measure.on_crops(reader, test, name="test pages")
        windows = _windows(reader, test)
        read = reader.read(windows, top=8)
        truths = [row.reading for row in test.rows]
        scores = [[c.score for c in row] for row in read]
        right = [
            next((i for i, c in enumerate(row) if c.reading == t), None) for row, t in zip(read, truths, strict=True)
        ]
        closed = measure.on_crops(reader, test, name="test pages", closed=True)
        sequence = after_neighbours(reader, pool, test, read)
        careful = measure.on_crops(reader, test, name="test pages", careful=True)
    if not args.crops:
        measure.write(raw, args.out / "adapted")
    return {
        "crops": len(chosen),
        "steps": about["steps"],
        "minutes": about["minutes"],
        "open": raw.to_json(),
        "closed": closed.to_json(),
        "open, with the sequence prior": sequence.to_json(),
        "open, seen five times": careful.to_json(),
        "temperature_on_test_pages": fit_temperature(scores, right),
        "other_bias_on_test_pages": other_bias(reader, read),
    }


def after_neighbours(reader: Recogniser, pool: Crops, test: Crops, read: list[list[Candidate]]) -> measure.Report:
    """The test pages reranked with the sequence prior: counts of the other pages, the weight of the model in use."""
    from training.recipes.adapt import PRIOR_WEIGHT
    from training.recipes.prior import count

    prior = count(pool.rows, reader.words)
    prior.weight = float(reader.model.calibration.get("prior_weight", PRIOR_WEIGHT))
    reranked = measure.by_page(read, [row.page for row in test.rows], prior, reader)
    return measure.report("test pages", [row.reading for row in test.rows], reranked, reader)


def other_bias(reader: Recogniser, real: Sequence[Sequence[Candidate]], count: int = 500) -> float:
    """The weight of "no jianzi" at which as many of the real crops are rejected as other pictures are accepted.

    Args:
        reader: what read the crops.
        real: its candidates for each crop.
        count: how many pictures that are no jianzi are drawn for it.
    """
    from training.evaluate.calibrate import even_bias
    from training.recogniser.drawing import Recipe

    settings = reader.model.config
    painter = Recipe(reader.vocabulary, settings["height"], settings["width"], settings["max_tokens"], 1.0)()
    others = reader.read(np.stack([row[0] for row in painter([810_000_000 + at for at in range(count)])]), top=8)
    given = float(reader.model.calibration.get("other_bias", 0.0))
    leads = []
    for rows in (real, others):
        best = [
            [max((c.score for c in row if (c.reading is None) is no), default=-30.0) for no in (False, True)]
            for row in rows
        ]
        leads.append(np.array([jianzi - other + given for jianzi, other in best]))
    return even_bias(*leads)


def spoilt(args: argparse.Namespace) -> dict[str, Any]:
    """The pages that are not kept for testing, spoilt in ways that other scans and prints may have."""
    from PIL import Image

    from training.evaluate.spoilt import WAYS

    reader = Recogniser.open(base=args.base, adapter=args.adapter, grammar=default_grammar())
    crops = read_crops(args.data, reader.words, reader.vocabulary)
    pool = crops.where(lambda row: row.page not in TEST_PAGES)
    order = np.random.default_rng(args.seed).permutation(len(pool.rows))
    rows = [pool.rows[at] for at in (order[: args.crops] if args.crops else order)]
    pictures = [Image.fromarray(load_grey(row.file)) for row in rows]
    out: dict[str, Any] = {"crops": len(rows)}
    for name, spoil in WAYS.items():
        beside = [*pictures[7:], *pictures[:7]]
        seen = [np.asarray(spoil(*pair)) for pair in zip(pictures, beside, strict=True)]
        windows = np.stack([fit(grey, reader.height, reader.width).pixels for grey in seen])
        found = on_windows(reader, windows, [row.reading for row in rows], name)
        out[name] = {key: found[key] for key in ("top1", "top5", "called_no_jianzi")}
    return out


def styles(args: argparse.Namespace) -> dict[str, Any]:
    """The book's readings drawn as prints in every style that is installed here: hands of other books."""
    from guqin_kg.draw.styles import available
    from training.recogniser.drawing import HELD_OUT_STYLES

    reader = Recogniser.open(base=args.base, adapter=args.adapter, grammar=default_grammar())
    crops = read_crops(args.data, reader.words, reader.vocabulary)
    names = sorted({row.reading for row in crops.rows})
    order = np.random.default_rng(args.seed).permutation(len(names))
    names = [names[at] for at in (order[: args.crops] if args.crops else order)]
    out: dict[str, Any] = {"readings": len(names)}
    for style in available():
        windows, labels = drawn(reader, names, [style.name], "print", 1)
        found = on_windows(reader, windows, labels, style.name)
        out[style.name] = {key: found[key] for key in ("top1", "top5", "called_no_jianzi")}
        out[style.name]["kept_for_measuring"] = style.name in HELD_OUT_STYLES
    return out


def curve(args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy against the number of real crops, from the ``base`` and ``adapt-*`` files in ``--out``."""
    rows = [json.loads(path.read_text("utf-8")) for path in sorted(args.out.glob("adapt*.json"))]
    found = {row["crops"]: row["open"] for row in rows}
    before = args.out / "base.json"
    if before.is_file():
        found[0] = json.loads(before.read_text("utf-8"))["test pages, open"]
    if len(found) < 2:
        raise NotFoundError(f"no two measures to join in {args.out}", hint="run `base` and `adapt` into it first")
    points = {
        name: [(float(np.log10(1 + crops)), figures[key]) for crops, figures in sorted(found.items())]
        for name, key in (("top-1", "top1"), ("top-5", "top5"))
    }
    picture = plot.lines(points, "log10(1 + real crops)", "share right, test pages, open", y=(0.6, 1), marks=True)
    (args.out / "recogniser-crops.svg").write_text(picture, "utf-8")
    return {str(crops): {"top1": f["top1"], "top5": f["top5"]} for crops, f in sorted(found.items())}


def prior(args: argparse.Namespace) -> dict[str, Any]:
    """The sequence prior, cross-fitted by pages, over the base or an adapter."""
    from training.recipes.prior import cross_fit

    reader = Recogniser.open(base=args.base, adapter=args.adapter, grammar=default_grammar())
    crops = read_crops(args.data, reader.words, reader.vocabulary)
    read = reader.read(_windows(reader, crops), top=8)
    reranked, found = cross_fit(crops.rows, read, reader)
    after = measure.report("all pages", [row.reading for row in crops.rows], reranked, reader)
    return {**found, "with_prior": after.to_json()}


def _windows(reader: Recogniser, crops: Crops) -> np.ndarray:
    return np.stack([fit(load_grey(row.file), reader.height, reader.width).pixels for row in crops.rows])


def _pages(crops: Crops, pages: Sequence[int]) -> Crops:
    return crops.where(lambda row: row.page in pages)


EXPERIMENTS: Mapping[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    experiment.__name__: experiment for experiment in (base, adapt, prior, spoilt, styles, curve)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one experiment and write ``NAME.json`` into ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=tuple(EXPERIMENTS))
    parser.add_argument("--data", type=Path, help="labelled crops (not for curve)")
    parser.add_argument("--names", type=Path)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--adapter")
    parser.add_argument("--crops", type=int, default=0)
    parser.add_argument("--config", default="adapt", help="of adapt: a configuration or a YAML file of one's own")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--label", default="")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.data is None and args.experiment != "curve":
        parser.error("--data is needed")
    found = EXPERIMENTS[args.experiment](args)
    name = args.experiment + (f"-{args.label}" if args.label else "")
    (args.out / f"{name}.json").write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", "utf-8")
    json.dump(found, sys.stdout, ensure_ascii=False, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
