"""The plan of a data set: which notations, how many pictures of each, how they are drawn, how they are cut into shards.

A plan is two files in the output folder: ``plan.json`` and ``notations.jsonl``. Everything else follows from them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from guqin_kg.draw.sampling import PRESETS
from guqin_kg.draw.spec import check_size
from guqin_kg.draw.styles import style
from guqin_kg.errors import DataError, NotFoundError, UsageError
from guqin_kg.inventory import GQ, Inventory
from guqin_kg.model import Notation
from guqin_kg.notation.grammar import Grammar, default_grammar, grammar_of

PLAN_FILE, NOTATIONS_FILE = "plan.json", "notations.jsonl"
FORMATS = ("webdataset", "parquet")
VERSION = 5
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_DRAWN = (
    "BasicNotation", "WrittenForm", "CompositionStep", "CharacterOutline", "LayoutTemplate", "LayoutSlot", "LayoutRole",
    "ReadingForm", "ReadingPattern", "LexiconRule",
)  # fmt: skip
_TEXTS = {GQ + name for name in ("confidence", "pinyin", "traditionalName", "period")}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run makes.

    Attributes:
        glyphs: number of notations; per_glyph: pictures of each.
        presets: drawing presets, one chosen for each picture; styles: names to choose from (empty: the presets' own).
        size: longer side in pixels; frame: ``square`` or ``crop``.
        seed: the only source of chance.
        per_shard: notations in a shard (all pictures of a notation are in one shard).
        format: ``webdataset`` (tar) or ``parquet``.
        graph: hash of what the graph says about reading and drawing (:func:`drawing_hash`).
        notations: blake2b of ``notations.jsonl``.
        extra: Turtle files read beside the released graph.
    """

    glyphs: int
    per_glyph: int
    presets: tuple[str, ...] = ("print",)
    styles: tuple[str, ...] = ()
    size: int = 64
    frame: str = "square"
    seed: int = 0
    per_shard: int = 64
    format: str = "webdataset"
    graph: str = ""
    notations: str = ""
    extra: tuple[str, ...] = ()
    version: int = VERSION

    @property
    def images(self) -> int:
        """Pictures altogether."""
        return self.glyphs * self.per_glyph

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.glyphs // self.per_shard)

    def shard_name(self, number: int) -> str:
        """File name of a shard."""
        return f"shard-{number:06d}.{'tar' if self.format == 'webdataset' else 'parquet'}"

    def shard_images(self, number: int) -> int:
        """Pictures in a shard."""
        return min(self.per_shard, self.glyphs - number * self.per_shard) * self.per_glyph


def drawing_hash(inventory: Inventory) -> str:
    """Hash of what the graph says about reading and drawing: texts about the notations do not change it."""
    kinds = {GQ + name for name in _DRAWN}
    digest = hashlib.blake2b(digest_size=16)
    table = inventory.view.table
    for subject in sorted(table):
        row = table[subject]
        if not kinds & {value for value, _ in row.get(_TYPE, ())}:
            continue
        for term in sorted(term for term in row if term.startswith(GQ) and term not in _TEXTS):
            for value in sorted(value for value, _ in row[term]):
                digest.update(f"{subject}\n{term}\n{value}\n".encode())
    return digest.hexdigest()


def item_seed(seed: int, iri: str, replicate: int) -> int:
    """The seed of one picture: the same whatever else is in the plan."""
    text = f"{seed}\n{iri}\n{replicate}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def _order(seed: int, iri: str) -> bytes:
    return hashlib.blake2b(f"{seed}\n{iri}".encode(), digest_size=8).digest()


def make_plan(
    out: Path,
    *,
    glyphs: int | None = None,
    per_glyph: int = 70,
    presets: tuple[str, ...] = ("print",),
    styles: tuple[str, ...] = (),
    size: int = 64,
    frame: str = "square",
    seed: int = 0,
    images_per_shard: int = 4480,
    format: str = "webdataset",
    readings: Iterable[str] | None = None,
    grammar: Grammar | None = None,
    extra: tuple[str, ...] = (),
) -> Plan:
    """Write the plan into ``out``, or find the same plan there.

    Args:
        out: folder of the data set.
        glyphs: how many notations (default: all of the published size); drawn by lot from the lexicon, the same
            for the same seed.
        per_glyph: pictures of each.
        presets, styles, size, frame, seed: as :class:`Plan`.
        images_per_shard: shards are cut at the notation nearest to it.
        format: ``webdataset`` or ``parquet``.
        readings: notations to draw instead of the lexicon.
        grammar: of another graph; extra: the Turtle files that make it up beside the released ones.

    Raises:
        UsageError: a value out of range; more glyphs than there are; another plan is in ``out``.
    """
    if per_glyph < 1 or (glyphs is not None and glyphs < 1):
        raise UsageError("a data set has at least one glyph and one picture of each", hint="--glyphs 100 --per-glyph 5")
    if format not in FORMATS:
        raise UsageError(f"there is no format {format!r}", hint="one of: " + ", ".join(FORMATS))
    check_size(size)
    for name in presets:
        if name not in PRESETS:
            raise UsageError(
                f"there is no preset {name!r}", code="unknown-preset", hint="one of: " + ", ".join(PRESETS)
            )
    for name in styles:
        style(name).font()
    grammar = grammar or default_grammar()
    rows = _choose(glyphs, readings, seed, grammar)
    lines = b"".join(
        (json.dumps({"iri": iri, "notation": n.model_dump(exclude_defaults=True)}, ensure_ascii=False) + "\n").encode()
        for iri, n in rows
    )
    plan = Plan(
        glyphs=len(rows), per_glyph=per_glyph, presets=tuple(presets), styles=tuple(styles), size=size, frame=frame,
        seed=seed, per_shard=max(1, round(images_per_shard / per_glyph)), format=format,
        graph=drawing_hash(grammar.inventory), notations=hashlib.blake2b(lines, digest_size=16).hexdigest(),
        extra=tuple(extra),
    )  # fmt: skip
    if (out / PLAN_FILE).is_file():
        if load_plan(out) != plan:
            raise UsageError(
                f"{out} holds another data set (another plan.json)",
                code="other-plan",
                hint="give the same options to go on with it, or another folder",
            )
        return plan
    out.mkdir(parents=True, exist_ok=True)
    _write(out / NOTATIONS_FILE, lines)
    _write(out / PLAN_FILE, (json.dumps(asdict(plan), indent=1) + "\n").encode())
    return plan


def _choose(
    glyphs: int | None, readings: Iterable[str] | None, seed: int, grammar: Grammar
) -> list[tuple[str, Notation]]:
    """IRI and notation of the glyphs, by lot; what has a component without a written form is passed over."""
    from guqin_kg.draw.engine import Engine
    from guqin_kg.notation.iri import notation_iri
    from guqin_kg.notation.lexicon import PUBLISHED_SIZE, Lexicon

    if readings is not None:
        from guqin_kg.notation.parse import parse

        wanted: Iterable[Notation] = (parse(text, grammar) for text in readings)
    else:
        wanted = islice(iter(Lexicon(grammar)), max(PUBLISHED_SIZE, 2 * (glyphs or 0)))
    found = {notation_iri(notation, grammar): notation for notation in wanted}
    engine = Engine(grammar)
    chosen: list[tuple[str, Notation]] = []
    for iri in sorted(found, key=lambda iri: (_order(seed, iri), iri)):
        if len(chosen) == glyphs:
            break
        try:
            engine.layout(found[iri])
        except DataError:
            if readings is not None:
                raise
            continue
        chosen.append((iri, found[iri]))
    if glyphs is not None and len(chosen) < glyphs:
        raise UsageError(
            f"{glyphs} glyphs are asked for, {len(chosen)} can be drawn",
            code="too-many-glyphs",
            hint=f"--glyphs {len(chosen)} at most, or add components to the graph",
        )
    return chosen


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


def load_plan(out: Path) -> Plan:
    """The plan of a data set.

    Raises:
        NotFoundError: no plan in ``out``.
        DataError: a plan of another version, or damaged.
    """
    path = out / PLAN_FILE
    if not path.is_file():
        raise NotFoundError(f"no data set in {out} (no {PLAN_FILE})", hint="guqin dataset --out DIR makes one")
    try:
        body: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if set(body) != {f.name for f in fields(Plan)} or body["version"] != VERSION:
            raise ValueError("fields of another version")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in body.items()}
        return Plan(**values)
    except (ValueError, TypeError) as error:
        raise DataError(f"not a plan this version reads ({error})", file=path, hint="make the data set anew") from None


@lru_cache(maxsize=2)
def load_notations(out: Path, digest: str) -> tuple[tuple[str, Notation], ...]:
    """IRI and notation of every glyph of the plan, in order.

    Raises:
        DataError: the file is not the one the plan was made with.
    """
    data = (out / NOTATIONS_FILE).read_bytes()
    if hashlib.blake2b(data, digest_size=16).hexdigest() != digest:
        raise DataError(
            "the list of notations was changed after the plan was made",
            file=out / NOTATIONS_FILE,
            hint="make the data set anew in another folder",
        )
    rows = (json.loads(line) for line in data.decode().splitlines())
    return tuple((row["iri"], Notation.model_validate(row["notation"])) for row in rows)


def plan_grammar(plan: Plan) -> Grammar:
    """The grammar of the graph a plan was made from.

    Raises:
        DataError: the graph has changed since.
    """
    from guqin_kg.inventory import load_inventory

    grammar = grammar_of(load_inventory([Path(p) for p in plan.extra])) if plan.extra else default_grammar()
    if plan.graph and drawing_hash(grammar.inventory) != plan.graph:
        raise DataError(
            "the graph has changed since the plan was made; its pictures would differ",
            code="graph-changed",
            hint="make the data set anew in another folder",
        )
    return grammar
