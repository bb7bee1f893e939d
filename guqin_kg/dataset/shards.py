"""One shard: drawn, written beside its place, moved there when whole."""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
import tarfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from guqin_kg.dataset.plan import Plan, item_seed, load_notations, load_plan, plan_grammar
from guqin_kg.errors import MissingExtraError

if TYPE_CHECKING:
    from guqin_kg.draw.engine import Engine
    from guqin_kg.draw.raster import Drawing
    from guqin_kg.notation.grammar import Grammar


@lru_cache(maxsize=2)
def _engine(out: Path, plan: Plan) -> tuple[Engine, Grammar]:
    from guqin_kg.draw.engine import Engine

    grammar = plan_grammar(plan)
    return Engine(grammar), grammar


def items(plan: Plan, number: int) -> list[tuple[int, int]]:
    """``(notation, replicate)`` of the pictures of a shard, mixed."""
    first = number * plan.per_shard
    last = min(plan.glyphs, first + plan.per_shard)
    found = [(n, r) for n in range(first, last) for r in range(plan.per_glyph)]
    random.Random(plan.seed * 1_000_003 + number).shuffle(found)
    return found


def draw_item(out: Path, plan: Plan, notation: int, replicate: int) -> tuple[str, Drawing, dict[str, Any]]:
    """One picture of the plan with its key and record."""
    from guqin_kg.draw.labels import record
    from guqin_kg.draw.raster import draw_spec
    from guqin_kg.draw.spec import sample_spec

    engine, grammar = _engine(out, plan)
    iri, found = load_notations(out, plan.notations)[notation]
    seed = item_seed(plan.seed, iri, replicate)
    preset = plan.presets[seed % len(plan.presets)]
    spec = sample_spec(found, preset, seed, size=plan.size, frame=plan.frame, styles=plan.styles or None, engine=engine)
    drawing = draw_spec(spec, engine)
    row = record(drawing, grammar)
    row["preset"] = preset
    return f"{notation:06d}-{replicate:04d}", drawing, row


def png(drawing: Drawing) -> bytes:
    """The picture as PNG bytes (8-bit grey, one block, no filter: these pictures are small)."""
    pixels = drawing.pixels
    height, width = pixels.shape
    lines = np.zeros((height, width + 1), np.uint8)
    lines[:, 1:] = pixels
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 1)
    chunks = ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def rows(out: Path, plan: Plan, number: int) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Key, PNG and record of each picture of a shard."""
    for notation, replicate in items(plan, number):
        key, drawing, row = draw_item(out, plan, notation, replicate)
        yield key, png(drawing), row


def make_shard(out: Path | str, number: int) -> dict[str, Any]:
    """Draw and write a shard, unless it is there.

    Args:
        out: folder of the data set.
        number: which shard of the plan.

    Returns:
        Its index entry: ``name``, ``images``, ``bytes``, ``blake2b``.

    Raises:
        MissingExtraError: Parquet without pyarrow.
        OSError: no room, or the folder cannot be written.
    """
    out = Path(out)
    plan = load_plan(out)
    name = plan.shard_name(number)
    entry = out / f"{name}.json"
    done = finished(out, plan, number)
    if done is not None:
        return done
    part = out / f"{name}.part"
    count = (_write_tar if plan.format == "webdataset" else _write_parquet)(part, rows(out, plan, number))
    digest = hashlib.blake2b(digest_size=16)
    with part.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    body = {"name": name, "images": count, "bytes": part.stat().st_size, "blake2b": digest.hexdigest()}
    part.replace(out / name)
    note = out / f"{name}.json.part"
    note.write_text(json.dumps(body) + "\n", "utf-8")
    note.replace(entry)
    return body


def finished(out: Path, plan: Plan, number: int) -> dict[str, Any] | None:
    """The index entry of a shard that is whole, else None."""
    name = plan.shard_name(number)
    try:
        body: dict[str, Any] = json.loads((out / f"{name}.json").read_text("utf-8"))
        whole = (out / name).stat().st_size == body["bytes"] and body["images"] == plan.shard_images(number)
    except (OSError, ValueError, KeyError):
        return None
    return body if whole else None


def _write_tar(path: Path, found: Iterator[tuple[str, bytes, dict[str, Any]]]) -> int:
    count = 0
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, image, row in found:
            label = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()
            for suffix, data in (("png", image), ("json", label)):
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            count += 1
    return count


def _write_parquet(path: Path, found: Iterator[tuple[str, bytes, dict[str, Any]]]) -> int:
    """Columns as the ``datasets`` library reads images, with boxes as ``[x, y, w, h]``."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("Parquet (pyarrow)", "data") from None
    component = pa.struct(
        [("name", pa.string()), ("role", pa.string()), ("base", pa.list_(pa.string())), ("box", pa.list_(pa.float32()))]
    )
    schema = pa.schema(
        [
            ("key", pa.string()),
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            *((n, pa.string()) for n in ("reading", "reading_full", "iri", "form", "ids", "preset")),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("components", pa.list_(component)),
            ("structure", pa.string()),
            ("spec", pa.string()),
        ],
        metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
    )
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for key, image, row in found:
            body = {name: row[name] for name in schema.names if name in row}
            body |= {"key": key, "image": {"bytes": image, "path": f"{key}.png"}}
            body |= {n: json.dumps(row[n], ensure_ascii=False) for n in ("structure", "spec")}
            batch.append(body)
            count += 1
            if len(batch) == 512:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch = []
        if batch:
            writer.write_table(pa.Table.from_pylist(batch, schema))
    return count


def _value(kind: str) -> dict[str, str]:
    return {"dtype": kind, "_type": "Value"}


_FEATURES: dict[str, Any] = {
    "key": _value("string"),
    "image": {"_type": "Image"},
    **{n: _value("string") for n in ("reading", "reading_full", "iri", "form", "ids", "preset")},
    "width": _value("int32"),
    "height": _value("int32"),
    "components": {
        "_type": "List",
        "feature": {
            "name": _value("string"),
            "role": _value("string"),
            "base": {"_type": "List", "feature": _value("string")},
            "box": {"_type": "List", "feature": _value("float32")},
        },
    },
    "structure": _value("string"),
    "spec": _value("string"),
}
