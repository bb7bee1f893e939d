"""Images a second: this package, a naive paste with Pillow, TRDG and SynthTIGER drawing single characters, in one run.

    python benchmarks/bench_draw.py [--images 1500] [--trdg-python PATH] [--synthtiger-python PATH] [--font FILE]

CPU seconds of one process are the measure that a busy machine spoils least; wall time is given beside it.
TRDG and SynthTIGER pin old libraries: install each in an environment of its own and name its Python:

    python -m venv trdg && trdg/bin/pip install trdg==1.8.0 pillow==9.5 "numpy<2"
    python -m venv tiger && tiger/bin/pip install synthtiger==1.2.1 "pillow<10" "numpy<2"
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TRDG = """
import json, sys, time, random, warnings
warnings.filterwarnings("ignore")
from trdg.generators import GeneratorFromStrings
count, size, font = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
chars = [chr(0x4E00 + 37 * i) for i in range(200)]
make = GeneratorFromStrings(chars, count=count + 20, fonts=[font], size=size, blur=1, random_blur=True,
    distorsion_type=1, background_type=0, skewing_angle=3, random_skew=True, output_mask=False)
it = iter(make)
for _ in range(20): next(it)
a, b = time.process_time(), time.perf_counter()
for _ in range(count): next(it)
print(json.dumps([count / (time.process_time() - a), count / (time.perf_counter() - b)]))
"""


# components of its published example: elastic distortion, skew or rotation, noise, blur, resampling; without textures
SYNTHTIGER = """
import json, os, sys, tempfile, time, warnings
warnings.filterwarnings("ignore")
import numpy as np
from PIL import Image
from synthtiger import components as c, layers
count, size, font = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
chars = [chr(0x4E00 + 37 * i) for i in range(200)]
folder = tempfile.mkdtemp()  # it reads which characters a font has from a text file beside it
os.symlink(font, os.path.join(folder, "font.ttf"))
open(os.path.join(folder, "font.txt"), "w").write("".join(chars))
faces = c.BaseFont(paths=[folder], weights=[1], size=[size, size], bold=0.5)
shape = c.ElasticDistortion(alpha=[0, 2], sigma=[0, 0.6])
transform = c.Selector([c.Skew(weights=[1, 0], angle=[0, 10]), c.Rotate(angle=[0, 5])], weights=[1, 1])
grain, blur = c.AdditiveGaussianNoise(scale=[4, 8], per_channel=0), c.GaussianBlur(sigma=[0, 1])
noise = c.Iterator([grain, blur, c.Resample(size=[0.5, 1])])
color, fit, pad = c.Gray(gray=[0, 90], alpha=[1, 1], colorize=0), c.Fit(), c.Pad(pxs=[[0, 6]] * 4)
def draw(i):
    char = chars[i % 200]
    text = layers.TextLayer(char, **faces.sample({"text": char, "vertical": False}))
    for step in (shape, color, transform, fit, pad): step.apply([text])
    paper = layers.RectLayer(text.size, (235, 235, 235, 255)); paper.topleft = text.topleft
    whole = (text + paper).merge()
    noise.apply([whole])
    picture = Image.fromarray(whole.output()[..., :3].astype(np.uint8)).convert("L").resize((size, size))
    return np.asarray(picture), text.bbox
for i in range(20): draw(i)
a, b = time.process_time(), time.perf_counter()
for i in range(count): draw(i)
print(json.dumps([count / (time.process_time() - a), count / (time.perf_counter() - b)]))
"""


def timed(count: int, work: Callable[[int], object], together: int = 1) -> tuple[float, float]:
    """Images per CPU second and per second of wall time; ``work(i)`` makes ``together`` of them."""
    cpu, wall = time.process_time(), time.perf_counter()
    count -= count % together
    for i in range(0, count, together):
        work(i)
    return count / (time.process_time() - cpu), count / (time.perf_counter() - wall)


def main() -> None:
    """Run and print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=1500)
    options.add_argument("--trdg-python", type=Path)
    options.add_argument("--synthtiger-python", type=Path)
    options.add_argument("--font", type=Path, help="a Chinese font for the naive paste and for TRDG")
    options.add_argument("--out", type=Path)
    given = options.parse_args()

    from guqin_kg.dataset import load_plan, make_plan, run_plan
    from guqin_kg.dataset.plan import load_notations
    from guqin_kg.dataset.shards import make_shard
    from guqin_kg.draw import default_engine, draw_specs, sample_spec
    from guqin_kg.draw.fonts import find

    font = given.font or find(("LXGWWenKai-Regular.ttf", "ukai.ttc", "HanaMinA.ttf"))
    engine = default_engine()
    table: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "plan"
        plan = make_plan(out, glyphs=max(8, given.images // 70), per_glyph=70, images_per_shard=70 * 8)
        notations = [n for _, n in load_notations(out, plan.notations)]
        for size in (64, 224):
            count = given.images if size == 64 else max(100, given.images // 4)

            def ours(first: int, many: int, size: int = size) -> object:
                return draw_specs(
                    [
                        sample_spec(notations[(i // 70) % len(notations)], "print", i, size=size, engine=engine)
                        for i in range(first, first + many)
                    ],
                    engine,
                )

            for i in range(0, 700, 7):
                ours(i, 1)
            table[f"guqin-kg, image and boxes, {size} px"] = timed(count, lambda i, ours=ours: ours(i, 100), 100)
            table[f"guqin-kg, one picture at a time, {size} px"] = timed(count // 3, lambda i, ours=ours: ours(i, 1))
            if font:
                naive = NaivePaste(font)
                for notation in notations:
                    naive(notation, size, 0)
                table[f"naive Pillow paste, {size} px"] = timed(
                    count, lambda i, size=size, naive=naive: naive(notations[(i // 70) % len(notations)], size, i)
                )
            for name, python, script in (
                ("TRDG, one character without boxes", given.trdg_python, TRDG),
                ("SynthTIGER, one character and its box", given.synthtiger_python, SYNTHTIGER),
            ):
                if python and font:
                    done = subprocess.run(
                        [str(python), "-c", script, str(count // 5), str(size), str(font)],
                        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ""},
                    )  # fmt: skip
                    table[f"{name}, {size} px"] = tuple(json.loads(done.stdout.splitlines()[-1]))
        cpu, wall, count = time.process_time(), time.perf_counter(), 0
        for number in range(plan.shards):
            count += make_shard(out, number)["images"]
        table["guqin-kg, shards: image, PNG, full label, tar, 64 px"] = (
            count / (time.process_time() - cpu), count / (time.perf_counter() - wall),
        )  # fmt: skip
        index = run_plan(out, workers=1)
        each = index["bytes"] / index["images"]
        assert load_plan(out) == plan
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    load = os.getloadavg()[0]
    print(f"python {platform.python_version()}, {os.cpu_count()} cores, load average {load:.1f}, peak {memory:.0f} MB")
    print("| what | images per CPU second | images per second of wall time |")
    print("| --- | --- | --- |")
    for name, (cpu_rate, wall_rate) in table.items():
        print(f"| {name} | {cpu_rate:,.0f} | {wall_rate:,.0f} |")
    print(f"bytes of shard for each 64-px image: {each:,.0f}")
    if given.out:
        given.out.write_text(json.dumps({"load": load, "rates": table, "bytes": each}, indent=1))


class NaivePaste:
    """What one writes first: each component's character at its slot's size, pasted; boxes of the slots, no noise."""

    def __init__(self, font: Path) -> None:
        from guqin_kg.draw import default_engine

        self.font = str(font)
        self.engine = default_engine()
        self.kept: dict[object, object] = {}

    def __call__(self, notation: object, size: int, seed: int) -> object:
        import numpy as np
        from PIL import Image, ImageDraw, ImageFont

        if notation not in self.kept:
            prepared = self.engine.prepare(notation, "kai", (), True)  # type: ignore[arg-type]
            self.kept[notation] = (prepared.program, [leaf.char for leaf in prepared.program.leaves])
        program, chars = self.kept[notation]  # type: ignore[misc]
        image = Image.new("L", (size, size), 255)
        shake = random.Random(seed)
        boxes = self.engine.composer.run([program], np.zeros(1), np.ones(1)).tolist()
        for char, (x0, y0, x1, y1) in zip(chars, boxes, strict=True):
            w, h = max(4, int((x1 - x0) * size)), max(4, int((y1 - y0) * size))
            face = ImageFont.truetype(self.font, max(w, h))
            tile = Image.new("L", (max(w, h), max(w, h)), 255)
            ImageDraw.Draw(tile).text((0, -max(w, h) // 8), char, font=face, fill=shake.randrange(60))
            image.paste(tile.resize((w, h)), (int(x0 * size), int(y0 * size)))
        return np.asarray(image), boxes


if __name__ == "__main__":
    sys.exit(main())
