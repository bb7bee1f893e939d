"""Pictures and boxes as detection tools read them: COCO, YOLO, JSON lines, WebDataset."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guqin_kg.dataset.plan import Plan, load_plan, plan_grammar
from guqin_kg.dataset.shards import finished
from guqin_kg.errors import DataError, MissingExtraError, NotFoundError, UsageError

if TYPE_CHECKING:
    from guqin_kg.notation.grammar import Grammar

FORMATS = ("coco", "yolo", "jsonl", "webdataset")


def pictures(source: Path) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Key, PNG bytes and record of every picture of a data set, shard by shard.

    Raises:
        NotFoundError: no data set there, or a shard is missing (the run was not finished).
    """
    plan = load_plan(source)
    for number in range(plan.shards):
        if finished(source, plan, number) is None:
            raise NotFoundError(
                f"shard {number} of {source} is missing",
                code="unfinished",
                hint="give guqin dataset the same options again; it goes on where it was",
            )
        path = source / plan.shard_name(number)
        yield from _tar(path) if plan.format == "webdataset" else _parquet(path)


def _tar(path: Path) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    with tarfile.open(path) as tar:
        image = b""
        for member in tar:
            file = tar.extractfile(member)
            data = file.read() if file else b""
            key, _, suffix = member.name.partition(".")
            if suffix == "png":
                image = data
            else:
                yield key, image, json.loads(data)


def _parquet(path: Path) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("Parquet (pyarrow)", "data") from None
    for batch in pq.ParquetFile(path).iter_batches(512):
        for row in batch.to_pylist():
            image = row.pop("image")["bytes"]
            row["structure"], row["spec"] = json.loads(row["structure"]), json.loads(row["spec"])
            yield row.pop("key"), image, row


def category_names(plan: Plan) -> list[str]:
    """IRIs of the base notations in a fixed order: the classes of detection formats."""
    return [base.iri for base in plan_grammar(plan).inventory.bases]


def _class_of(component: dict[str, Any], index: dict[str, int]) -> list[int]:
    """Classes of a component's box: a position of several signs has the class of its first sign."""
    return [index[iri] for iri in component["base"][:1] if iri in index]


def export_images(fmt: str, source: Path | str, out: Path | str) -> dict[str, Any]:
    """Write a data set in another form.

    Args:
        fmt: ``coco`` (``images/`` and ``annotations.json``), ``yolo`` (``images/``, ``labels/``, ``data.yaml``),
            ``jsonl`` (``images/`` and ``labels.jsonl``), ``webdataset`` (the tar shards).
        source: folder of a finished data set.
        out: new folder.

    Returns:
        ``{"format", "images", "boxes", "out"}``.

    Raises:
        UsageError: unknown format, ``out`` is there and not empty.
        NotFoundError: no finished data set in ``source``.
    """
    source, out = Path(source), Path(out)
    if fmt not in FORMATS:
        raise UsageError(f"there is no format {fmt!r}", hint="one of: " + ", ".join(FORMATS))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there and not empty", hint="name a new folder; nothing was changed")
    plan = load_plan(source)
    part = out.with_name(out.name + ".part")
    if part.exists():
        shutil.rmtree(part)
    part.mkdir(parents=True)
    writer = {"coco": _coco, "yolo": _yolo, "jsonl": _jsonl, "webdataset": _webdataset}[fmt]
    images, boxes = writer(source, part, plan)
    if out.exists():
        out.rmdir()
    part.replace(out)
    return {"format": fmt, "images": images, "boxes": boxes, "out": str(out)}


def export_workspace(
    root: Path,
    fmt: str,
    *,
    images: Path | None = None,
    target: Path | None = None,
    grammar: Grammar | None = None,
    extra: tuple[str, ...] = (),
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Export the drawn images of a workspace.

    Args:
        root: of the workspace.
        fmt: as :func:`export_images`.
        images: a finished data set (default: ``images`` of the workspace, 200 notations x 5, made if missing).
        target: new folder (default: ``exports/<format>`` of the workspace, replaced).
        grammar: of the workspace's graph; extra: its own Turtle files.
        say: told when something takes a while.

    Raises:
        UsageError, NotFoundError: as :func:`export_images`.
    """
    from guqin_kg.dataset.plan import make_plan
    from guqin_kg.dataset.run import run_plan

    source = images or root / "images"
    if images is None:
        make_plan(source, glyphs=200, per_glyph=5, images_per_shard=250, grammar=grammar, extra=extra)
        if say:
            say(f"drawing 200 notations x 5 in {source} where they are missing")
        run_plan(source, workers=1)
    place = target or root / "exports" / fmt
    if target is None and place.is_dir():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    return export_images(fmt, source, place)


def _coco(source: Path, out: Path, plan: Plan) -> tuple[int, int]:
    (out / "images").mkdir()
    names = category_names(plan)
    inventory = plan_grammar(plan).inventory
    index = {iri: i + 1 for i, iri in enumerate(names)}
    categories = [
        {
            "id": index[iri],
            "name": inventory.by_iri[iri].id,
            "supercategory": inventory.by_iri[iri].part_role or "other",
            "reading": inventory.by_iri[iri].name,
            "iri": iri,
        }
        for iri in names
    ]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for key, png, row in pictures(source):
        (out / "images" / f"{key}.png").write_bytes(png)
        number = len(images) + 1
        images.append(
            {
                "id": number,
                "file_name": f"images/{key}.png",
                "width": row["width"],
                "height": row["height"],
                **{name: row[name] for name in ("reading", "iri", "ids", "form")},
            }
        )
        for order, component in enumerate(row["components"]):
            box = [round(float(v), 2) for v in component["box"]]
            for category in _class_of(component, index) if box[2] > 0 else ():
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": category,
                        "bbox": box,
                        "area": round(box[2] * box[3], 2),
                        "iscrowd": 0,
                        "order": order,
                        "role": component["role"],
                        "name": component["name"],
                    }
                )
    body = {
        "info": {"description": "jianzi drawn by guqin-kg", "graph": plan.graph, "license": "CC BY 4.0"},
        "licenses": [{"id": 1, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"}],
        "categories": categories,
        "images": images,
        "annotations": annotations,
    }
    (out / "annotations.json").write_text(json.dumps(body, ensure_ascii=False), "utf-8")
    return len(images), len(annotations)


def _yolo(source: Path, out: Path, plan: Plan) -> tuple[int, int]:
    (out / "images").mkdir()
    (out / "labels").mkdir()
    names = category_names(plan)
    index = {iri: i for i, iri in enumerate(names)}
    inventory = plan_grammar(plan).inventory
    images = boxes = 0
    for key, png, row in pictures(source):
        (out / "images" / f"{key}.png").write_bytes(png)
        lines = []
        width, height = row["width"], row["height"]
        for component in row["components"]:
            x, y, w, h = component["box"]
            if w <= 0:
                continue
            for category in _class_of(component, index):
                centre = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
                lines.append(f"{category} " + " ".join(f"{v:.6f}" for v in centre))
        (out / "labels" / f"{key}.txt").write_text("".join(line + "\n" for line in lines), "utf-8")
        images += 1
        boxes += len(lines)
    header = ["path: .", "train: images", "val: images", f"nc: {len(names)}", "names:"]
    classes = [f"  {i}: {inventory.by_iri[iri].id}" for iri, i in index.items()]
    (out / "data.yaml").write_text("\n".join([*header, *classes, ""]), "utf-8")
    return images, boxes


def _jsonl(source: Path, out: Path, plan: Plan) -> tuple[int, int]:
    (out / "images").mkdir()
    images = boxes = 0
    with (out / "labels.jsonl").open("w", encoding="utf-8") as file:
        for key, png, row in pictures(source):
            (out / "images" / f"{key}.png").write_bytes(png)
            names = [c["name"] for c in row["components"]]
            roles = [c["role"] for c in row["components"]]
            line = {"file": f"images/{key}.png", "reading": row["reading"], "components": names, "roles": roles}
            line["boxes"] = [c["box"] for c in row["components"]]
            line |= {k: row[k] for k in ("iri", "ids", "form", "reading_full", "structure", "width", "height", "spec")}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            images += 1
            boxes += len(names)
    return images, boxes


def _webdataset(source: Path, out: Path, plan: Plan) -> tuple[int, int]:
    if plan.format != "webdataset":
        raise DataError("this data set is in Parquet shards", hint="make it with --shards webdataset")
    images = boxes = 0
    for _, _, row in pictures(source):
        images += 1
        boxes += len(row["components"])
    for number in range(plan.shards):
        name = plan.shard_name(number)
        try:
            os.link(source / name, out / name)
        except OSError:
            shutil.copyfile(source / name, out / name)
    return images, boxes
