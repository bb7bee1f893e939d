"""Write exports: every sample is checked against the form's schema, and its pictures are laid beside the files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from guqin_kg.dialogue.exports import forms
from guqin_kg.errors import DataError, MissingExtraError, NotFoundError, UsageError
from guqin_kg.graph.journal import write_file

if TYPE_CHECKING:
    from guqin_kg.graph.workspace import Workspace

FORMATS = ("messages", "minicpm-v", "llama-factory", "ms-swift", "parquet")
#: The published dialogue data sets: notations and the set of turns.
PRESETS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {"225x6": (225, "six"), "13254x6": (13254, "six"), "277x22": (277, "twenty-two")}
)
#: Characters of the published dialogues, all data sets together.
PUBLISHED_CHARACTERS = 1_250_000
MINICPM_TOKENS = 2048
SPLITS = ("train", "val")
#: Forms whose trainer opens a picture for every sample.
NEEDS_PICTURE = ("minicpm-v",)


def read_records(folder: Path, which: str, lang: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(split, record) of the generated records.

    Raises:
        NotFoundError: nothing was generated there, or nothing for this set and language.
    """
    found = False
    for split in SPLITS:
        path = folder / f"{split}.jsonl"
        if not path.exists():
            raise NotFoundError(f"there are no dialogues in {folder}", hint="`guqin regenerate` makes them")
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if which in ("all", record["set"]) and lang in ("both", record["lang"]):
                    found = True
                    yield split, record
    if not found:
        raise NotFoundError(
            f"there are no dialogues of set {which!r} in language {lang!r} in {folder}",
            hint=f"`guqin regenerate --set {which} --lang {lang}` makes them",
        )


def _of_set(ws: Workspace, folder: Path, which: str, lang: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """``read_records``, which tells a set that was not generated from one that does not exist.

    Templates are only read where nothing was found: records of a set whose templates are gone are exported.

    Raises:
        NotFoundError: as ``read_records`` does.
        UsageError: there is no such set, or not in this language; the same as when regenerating.
    """
    from guqin_kg.dialogue.regenerate import template_folders
    from guqin_kg.dialogue.templates import load_templates
    from guqin_kg.dialogue.turns import pick_sets, turn_sets

    try:
        yield from read_records(folder, which, lang)
    except NotFoundError:
        langs = ("zh", "en") if lang == "both" else (lang,)
        pick_sets(turn_sets(load_templates(template_folders(ws))), which, langs)
        raise


def characters(record: Mapping[str, Any]) -> int:
    """Characters of questions and answers."""
    return sum(len(m["content"]) for m in record["messages"])


def _checked(model: type[BaseModel], sample: dict[str, Any], identity: str) -> dict[str, Any]:
    try:
        return model.model_validate(sample).model_dump(by_alias=True, exclude_none=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"the sample {identity} does not fit the form: {first['msg']}", code="export") from None


def _samples(fmt: str, record: dict[str, Any], images: list[str]) -> Iterator[dict[str, Any]]:
    turns = forms.plain(record)
    identity = record["id"]
    if fmt == "messages":
        yield _checked(forms.Messages, {"id": identity, "images": images, "messages": turns}, identity)
    elif fmt == "minicpm-v":
        pieces = forms.cut(turns, images, MINICPM_TOKENS)
        for number, piece in enumerate(pieces):
            sample: dict[str, Any] = {
                "id": identity if len(pieces) == 1 else f"{identity}#{number + 1}",
                "image": images[0],
                "conversations": forms.with_mark(piece, images),
            }
            yield _checked(forms.MiniCPM, sample, identity)
    elif fmt == "llama-factory":
        talk = [
            {"from": "human" if m["role"] == "user" else "gpt", "value": m["content"]}
            for m in forms.with_mark(turns, images)
        ]
        yield _checked(forms.ShareGPT, {"conversations": talk, "images": images}, identity)
    else:
        yield _checked(forms.Swift, {"messages": forms.with_mark(turns, images), "images": images}, identity)


def export_records(
    records: Iterable[tuple[str, dict[str, Any]]],
    fmt: str,
    target: Path,
    image_root: Path | None = None,
    drawn: Collection[str] = (),
) -> dict[str, Any]:
    """Write ``records`` (split, record) in the form ``fmt`` into ``target``, with their pictures in the same folder.

    Args:
        image_root: where the records' image paths begin; images that are not there are left out of the samples.
        drawn: images that are in ``target`` already.

    Returns:
        Files written, samples, notations, turns and characters by split.

    Raises:
        DataError: a sample does not fit the form; nothing of this export is left half-written.
        NotFoundError: the form needs pictures and no record has one.
        MissingExtraError: parquet without pyarrow.
    """
    if fmt not in FORMATS:
        raise UsageError(f"there is no export format {fmt!r}", hint=f"one of {', '.join(FORMATS)}")
    groups: dict[str, list[dict[str, Any]]] = {s: [] for s in SPLITS}
    counts = {s: {"samples": 0, "notations": 0, "turns": 0, "characters": 0} for s in SPLITS}
    seen: dict[str, set[str]] = {s: set() for s in SPLITS}
    pictures: set[str] = set()
    left_out = bare = 0
    for split, record in records:
        images = [i for i in record["images"] if i in drawn or (image_root is not None and (image_root / i).exists())]
        left_out += len(record["images"]) - len(images)
        if not images and fmt in NEEDS_PICTURE:
            bare += 1
            continue
        pictures.update(images)
        made = [_row(record, images, split)] if fmt == "parquet" else list(_samples(fmt, record, images))
        groups[split] += made
        seen[split].add(record["notation"])
        counts[split]["samples"] += len(made)
        counts[split]["turns"] += len(record["messages"]) // 2
        counts[split]["characters"] += characters(record)
    for split in SPLITS:
        counts[split]["notations"] = len(seen[split])
    if bare and not pictures:
        raise NotFoundError(
            f"none of the {bare} dialogues has a picture; the trainer of {fmt} opens one for every sample",
            hint="`guqin regenerate --drawings` makes them",
        )
    if image_root is not None:
        _lay_pictures(pictures - set(drawn), image_root, target)
    files = _write(fmt, groups, target)
    return {
        "format": fmt,
        "files": [str(f) for f in files],
        "splits": counts,
        "characters": sum(c["characters"] for c in counts.values()),
        "images": len(pictures),
        "images_left_out": left_out,
        **({"dialogues_left_out": bare} if fmt in NEEDS_PICTURE else {}),
    }


def _lay_pictures(pictures: Collection[str], source: Path, target: Path) -> None:
    """Give ``target`` the pictures of ``source`` under the same relative paths: a hard link, else a copy.

    Trainers look for a picture beside the file that names it; so the folder can be moved as it is, too.  Drawings are
    replaced, never written into, so a link keeps the picture of the time of the export.
    """
    for name in sorted(pictures):
        here, there = source / name, target / name
        if there.exists() and there.samefile(here):
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        temporary = there.with_name(f".{there.name}.{os.getpid()}.tmp")
        temporary.unlink(missing_ok=True)
        try:
            temporary.hardlink_to(here)
        except OSError:  # another file system, or one without links
            shutil.copyfile(here, temporary)
        temporary.replace(there)


def _row(record: dict[str, Any], images: list[str], split: str) -> dict[str, Any]:
    keys = ("id", "notation", "reading", "set", "lang", "fingerprint")
    return {**{k: record[k] for k in keys}, "split": split, "images": images, "messages": forms.plain(record)}


def _write(fmt: str, groups: Mapping[str, list[dict[str, Any]]], target: Path) -> list[Path]:
    target.mkdir(parents=True, exist_ok=True)
    files = []
    for split, samples in groups.items():
        if fmt == "parquet":
            files.append(_parquet(target / f"{split}.parquet", samples))
            continue
        as_list = fmt in ("minicpm-v", "llama-factory")
        path = target / f"{split}.{'json' if as_list else 'jsonl'}"
        if as_list:
            body = json.dumps(samples, ensure_ascii=False, indent=1) + "\n"
        else:
            body = "".join(json.dumps(s, ensure_ascii=False, separators=(",", ":")) + "\n" for s in samples)
        write_file(path, body.encode())
        files.append(path)
    if fmt == "llama-factory":
        info = {
            f"guqin_{split}": forms.DatasetInfo(
                file_name=f"{split}.json",
                formatting="sharegpt",
                columns={"messages": "conversations", "images": "images"},
            ).model_dump()
            for split in groups
        }
        path = target / "dataset_info.json"
        write_file(path, (json.dumps(info, indent=2) + "\n").encode())
        files.append(path)
    return files


def _parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("pyarrow", "data") from None
    text = pa.string()
    schema = pa.schema(
        [
            *((name, text) for name in ("id", "notation", "reading", "set", "lang", "split")),
            ("images", pa.list_(text)),
            ("messages", pa.list_(pa.struct([("role", text), ("content", text)]))),
            ("fingerprint", text),
        ]
    )
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)
    if pq.read_metadata(temporary).num_rows != len(rows):
        raise DataError("the parquet file lost rows", code="export", file=path)
    temporary.replace(path)
    return path


def draw_missing(
    ws: Workspace,
    records: list[tuple[str, dict[str, Any]]],
    root: Path,
    target: Path,
    say: Callable[[str], None] | None = None,
) -> set[str]:
    """Draw into ``target`` what the output folder ``root`` has no drawing of, and name it in the records.

    Returns:
        The images drawn; a notation with a component of unknown form has none.
    """
    from guqin_kg.dialogue.drawings import update_drawings
    from guqin_kg.dialogue.generate import image_path

    bare = [r for _, r in records if not any((root / i).exists() for i in r["images"])]
    if not bare:
        return set()
    update_drawings(ws, target, sorted({r["notation"]: r["reading"] for r in bare}.items()), say)
    drawn = set()
    for record in bare:
        image = image_path(record["notation"])
        if (target / image).exists():
            drawn.add(image)
            record["images"] = [image]
    return drawn


def preset_records(
    ws: Workspace, preset: str, lang: str, say: Callable[[str], None] | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a published data set's size: sourced notations first, then others, each in an order by hash.

    Raises:
        UsageError: no such preset, or the store holds too few notations.
    """
    from guqin_kg.dialogue.generate import generate
    from guqin_kg.dialogue.regenerate import library_of, scope_notations, template_folders
    from guqin_kg.dialogue.templates import load_templates
    from guqin_kg.dialogue.turns import turn_sets
    from guqin_kg.graph.build import build

    if preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}", hint=f"one of {', '.join(PRESETS)}")
    count, name = PRESETS[preset]
    generation, _ = build(ws, say=say)
    library = library_of(ws)

    def order(pair: tuple[str, str]) -> bytes:
        return hashlib.blake2b(pair[0].encode(), digest_size=8).digest()

    first = sorted(scope_notations(generation, library, "curated"), key=order)
    known = {iri for iri, _ in first}
    rest = sorted((p for p in scope_notations(generation, library, "lexicon") if p[0] not in known), key=order)
    chosen = [*first, *rest][:count]
    if len(chosen) < count:
        raise UsageError(
            f"the store holds {len(chosen)} notations; the preset {preset} takes {count}",
            hint="`guqin build --lexicon full` puts the lexicon into the store",
        )
    turns = turn_sets(load_templates(template_folders(ws), lang))[name, lang]
    for record in generate(generation.store.query, library, [turns], sorted(chosen)):
        yield record.split, json.loads(record.line)


def run_export(
    ws: Workspace,
    fmt: str,
    *,
    preset: str | None = None,
    which: str = "all",
    lang: str = "zh",
    out: Path | None = None,
    target: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Export the generated dialogues, or a preset, and report what was written.

    Args:
        out: the output folder that holds ``dialogues`` (default: the workspace's).
        target: where to write (default: ``exports/<format>`` beside ``dialogues``).

    Raises:
        UsageError: no such format, preset or set; a preset together with a set.
        NotFoundError: nothing was generated there, or nothing for this set and language.
        DataError: a sample does not fit the form.
    """
    root = out or ws.out
    if preset is not None and which != "all":
        raise UsageError("a preset has its own set of turns", hint="leave out --set or --preset")
    if preset is not None:
        records: Iterable[tuple[str, dict[str, Any]]] = preset_records(
            ws, preset, "zh" if lang == "both" else lang, say
        )
        place = target or root / "exports" / f"{fmt}-{preset}"
    else:
        records = _of_set(ws, root / "dialogues", which, lang)
        place = target or root / "exports" / fmt
    drawn: set[str] = set()
    if fmt in NEEDS_PICTURE:
        records = held = list(records)
        drawn = draw_missing(ws, held, root, place, say)
    result = export_records(records, fmt, place, root, drawn)
    if preset is not None:
        result["preset"] = preset
        result["published_characters"] = PUBLISHED_CHARACTERS
    return result
