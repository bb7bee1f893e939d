"""Processor time of reading one picture, batched, on one core: this package against PyTorch running the same network.

    python benchmarks/bench_recognise.py [--pictures 512] [--turns 3] [--write docs/benchmarks/recognition.md]

The pictures are drawn from notations of the graph as print; drawing and starting up are not counted. Each row
is the median of several turns, taken in turn with the others so that a busy machine spoils all alike. The peer decodes
greedily, one word at a time without the graph's rules, as one writes it first with PyTorch; it needs the extra
``train``, the second row the extra ``fast``.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def windows_of(count: int) -> np.ndarray:
    """Windows of ``count`` drawn pictures, uint8 ``(count, 64, 48)``, ink 255."""
    from guqin_kg.dataset import make_plan
    from guqin_kg.dataset.plan import load_notations
    from guqin_kg.draw import draw_spec, sample_spec
    from guqin_kg.recognise.images import fit

    with tempfile.TemporaryDirectory() as work:
        plan = make_plan(Path(work) / "plan", glyphs=max(8, count // 4), per_glyph=4, images_per_shard=4 * 8)
        notations = [notation for _, notation in load_notations(Path(work) / "plan", plan.notations)]
    out = []
    for at in range(count):
        spec = sample_spec(notations[at % len(notations)], "print", at, size=96, frame="crop")
        out.append(fit(draw_spec(spec).pixels, 64, 48).pixels)
    return np.stack(out)


def peer(folder: Path) -> Callable[[np.ndarray], Any]:
    """The torch network of the same weights, decoding greedily in batches of 64."""
    import torch

    from guqin_kg.recognise.vocabulary import BEGIN, END
    from training.recogniser import bundle

    torch.set_num_threads(1)
    model, _ = bundle.read(folder)
    model.eval()

    def read(windows: np.ndarray) -> None:
        with torch.inference_mode():
            for at in range(0, len(windows), 64):
                pixels = torch.from_numpy(windows[at : at + 64]).float().div_(255).unsqueeze(1)
                memory = model.encode(pixels.contiguous(memory_format=torch.channels_last))
                tokens = torch.full((len(pixels), 1), BEGIN)
                for _ in range(model.config.max_tokens - 1):
                    logits, _ = model.decode(tokens, memory)
                    tokens = torch.cat([tokens, logits[:, -1].argmax(-1, keepdim=True)], 1)
                    if bool((tokens == END).any(1).all()):
                        break

    return read


def main() -> None:
    """Run and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pictures", type=int, default=512)
    options.add_argument("--turns", type=int, default=3)
    options.add_argument("--write", type=Path)
    given = options.parse_args()

    from guqin_kg import resources
    from guqin_kg.notation.grammar import default_grammar
    from guqin_kg.recognise import onnx_encoder
    from guqin_kg.recognise.recogniser import Recogniser

    windows = windows_of(given.pictures)
    folder = resources.folder("models") / "recogniser"
    work: dict[str, Callable[[np.ndarray], Any]] = {}
    plain = Recogniser.open(base=folder, grammar=default_grammar())

    def numpy_alone(windows: np.ndarray) -> None:
        for at in range(0, len(windows), 64):  # so few at a time that onnxruntime is not asked for
            plain.read(windows[at : at + 64], top=5)

    work["this package, numpy: six beams under the graph's rules, five candidates"] = numpy_alone
    if onnx_encoder.installed():
        quick = Recogniser.open(base=folder, grammar=default_grammar())
        onnx_encoder.hasten(quick.network)
        work["this package with the extra `fast` (onnxruntime), the same"] = lambda w: quick.read(w, top=5)
        work["its encoder alone"] = quick.network.features
    try:
        work[PEER] = peer(folder)
    except ImportError:
        sys.stderr.write("no torch here: measured without the peer\n")
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(given.turns + 1):
        for name, read in work.items():
            started = time.process_time()
            read(windows[: 64 if turn == 0 else None])
            if turn:  # the first is for warming up
                times[name].append(1000 * (time.process_time() - started) / len(windows))
    lines = [*head(given.pictures, given.turns), *rows(times)]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if given.write:
        given.write.write_text("# Benchmark: recognition\n\n" + text, "utf-8")


PEER = "PyTorch, the same network, greedy, without rules: one reading"


def head(pictures: int, turns: int) -> list[str]:
    """What was measured, on what."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text("utf-8") if cpuinfo.is_file() else ""
    known = [name for name in ("avx2", "avx512f", "amx_bf16") if name in flags]
    return [
        "`python benchmarks/bench_recognise.py` (method in its docstring).",
        "",
        f"{processor}{' with ' + ', '.join(known) if known else ''}, Python {platform.python_version()}, "
        f"{pictures} drawn pictures, one thread, median of {turns} turns, load average {os.getloadavg()[0]:.1f}.",
        "",
    ]


def rows(times: dict[str, list[float]]) -> list[str]:
    """The table."""
    against = statistics.median(times[PEER]) if PEER in times else None
    out = [
        "| what | ms of processor time a picture | least and most | ratio to the peer |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, taken in times.items():
        median = statistics.median(taken)
        ratio = f"{median / against:.2f}" if against else ""
        out.append(f"| {name} | {median:.2f} | {min(taken):.2f} - {max(taken):.2f} | {ratio} |")
    return out


if __name__ == "__main__":
    main()
