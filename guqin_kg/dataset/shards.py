"""One shard: drawn, written beside its place, moved there when whole."""

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from guqin_kg.dataset.plan import Plan, item_seed, load_notations, load_plan, plan_grammar
from guqin_kg.errors import MissingExtraError

if TYPE_CHECKING:
    from guqin_kg.draw.engine import Engine
    from guqin_kg.draw.raster import Drawing
    from guqin_kg.notation.grammar import Grammar


_MOST_TOGETHER = 1024
_PIXELS_TOGETHER = 8_000_000
"""Pictures drawn together: enough to share the work of a step, few enough for the memory."""


class Picture(NamedTuple):
    """A picture of a plan: its key, what was drawn, and its preset."""

    key: str
    drawing: Drawing
    preset: str


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


def pictures(out: Path, plan: Plan, chosen: Sequence[tuple[int, int]]) -> Iterator[Picture]:
    """The pictures of ``chosen`` ``(notation, replicate)``; many are drawn together, none depends on the others."""
    from guqin_kg.draw.raster import draw_specs
    from guqin_kg.draw.sampling import sample_spec

    engine, _ = _engine(out, plan)
    notations = load_notations(out, plan.notations)
    together = max(1, min(_MOST_TOGETHER, _PIXELS_TOGETHER // plan.size**2))
    for first in range(0, len(chosen), together):
        keys, presets, specs = [], [], []
        for notation, replicate in chosen[first : first + together]:
            iri, found = notations[notation]
            seed = item_seed(plan.seed, iri, replicate)
            preset = plan.presets[seed % len(plan.presets)]
            keys.append(f"{notation:06d}-{replicate:04d}")
            presets.append(preset)
            specs.append(
                sample_spec(
                    found, preset, seed, size=plan.size, frame=plan.frame, styles=plan.styles or None, engine=engine
                )
            )
        yield from map(Picture, keys, draw_specs(specs, engine), presets)


def png(drawing: Drawing) -> bytes:
    """The picture as PNG bytes: 8-bit grey, one block, no filter, run lengths only, as these pictures are small."""
    pixels = drawing.pixels
    height, width = pixels.shape
    lines = np.zeros((height, width + 1), np.uint8)
    lines[:, 1:] = pixels
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    squeeze = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    body = squeeze.compress(lines.data) + squeeze.flush()
    return b"".join((b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", head), _chunk(b"IDAT", body), _END))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))))


_END = _chunk(b"IEND", b"")


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
    # a name of its own for each process: what a killed run still writes never meets what is written now
    own = f"{os.getpid()}.part"
    part = out / f"{name}.{own}"
    write = _write_tar if plan.format == "webdataset" else _write_parquet
    try:
        count = write(part, pictures(out, plan, items(plan, number)), _engine(out, plan)[1])
    except OSError as error:
        part.unlink(missing_ok=True)  # its room may be what the rest of the system needs now
        raise OSError(
            error.errno, f"{error.strerror}; whole shards are kept, give the command again", str(part)
        ) from None
    digest = hashlib.blake2b(digest_size=16)
    with part.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    body = {"name": name, "images": count, "bytes": part.stat().st_size, "blake2b": digest.hexdigest()}
    part.replace(out / name)
    note = out / f"{name}.json.{own}"
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


def _write_tar(path: Path, found: Iterator[Picture], grammar: Grammar) -> int:
    from guqin_kg.draw.labels import record_json

    count = 0
    with path.open("wb", 1 << 20) as file:
        for picture in found:
            label = record_json(picture.drawing, grammar, preset=picture.preset)
            for suffix, data in ((b".png", png(picture.drawing)), (b".json", label)):
                file.write(_member(picture.key.encode() + suffix, len(data)))
                file.write(data)
                file.write(bytes(-len(data) % tarfile.BLOCKSIZE))
            count += 1
        file.write(bytes(2 * tarfile.BLOCKSIZE))
        file.write(bytes(-file.tell() % tarfile.RECORDSIZE))
    return count


def _member(name: bytes, size: int) -> bytes:
    """The header of a file in a tar archive, as :mod:`tarfile` writes it in a fifth of the time."""
    text = b"%011o" % size
    block = bytearray(_HEADER)
    block[: len(name)] = name
    block[124:135] = text
    block[148:155] = b"%06o\0" % (_HEADER_SUM + sum(name) + sum(text))
    return bytes(block)


_HEADER = tarfile.TarInfo("").tobuf(tarfile.USTAR_FORMAT)
_HEADER_SUM = sum(_HEADER[:124]) + sum(_HEADER[135:148]) + 8 * ord(" ") + sum(_HEADER[156:])


def _write_parquet(path: Path, found: Iterator[Picture], grammar: Grammar) -> int:
    """Columns as the ``datasets`` library reads images, with boxes as ``[x, y, w, h]``."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("Parquet (pyarrow)", "data") from None
    from guqin_kg.draw.labels import record

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
        for key, drawing, preset in found:
            row = record(drawing, grammar)
            body = {name: row[name] for name in schema.names if name in row}
            body |= {"key": key, "preset": preset, "image": {"bytes": png(drawing), "path": f"{key}.png"}}
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
