"""The graph's base notations as frozen records: what the grammar, the drawing and the pitch machinery read.

The records hold nothing that is not in the graph; a new block of Turtle is a new record, with no change here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from guqin_kg import resources
from guqin_kg.errors import GraphSyntaxError

GQ = "https://w3id.org/guqin/ontology#"
GQR = "https://w3id.org/guqin/resource/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_TYPE = _RDF + "type"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_DCT = "http://purl.org/dc/terms/"


@dataclass(frozen=True, slots=True)
class WrittenForm:
    """One way a base notation is drawn: a character, an IDS of characters, or a path in a 1000 x 1000 box (y down)."""

    iri: str
    character: str | None = None
    ids: str | None = None
    ids_template: str | None = None
    svg_path: str | None = None
    stroke_path: str | None = None
    preferred: bool = False
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BaseNotation:
    """One base notation (基础谱字) as the graph states it; names as in ``docs/reference/ontology.md``."""

    iri: str
    id: str
    name: str
    traditional: str
    aliases: tuple[str, ...]
    full_name: str
    pinyin: str | None
    categories: frozenset[str]
    roles: frozenset[str]
    part_role: str | None
    layout_role: str | None
    hand: str | None
    fingers: tuple[str, ...]
    directions: tuple[str, ...]
    min_strings: int | None
    max_strings: int | None
    number: int | None
    position_effect: str | None
    forms: tuple[WrittenForm, ...]
    steps: tuple[str, ...]
    written_as_parts: bool
    confidence: str | None
    sources: tuple[str, ...]
    labels: Mapping[str, str]
    definitions: Mapping[str, str]
    extra: Mapping[str, tuple[str, ...]]


class GraphView:
    """Statements grouped by subject: ``view.values(subject, property)``; literals as text, IRIs as text."""

    def __init__(self, statements: Iterable[tuple[str, str, str, str | None]]) -> None:
        table: dict[str, dict[str, list[tuple[str, str | None]]]] = defaultdict(lambda: defaultdict(list))
        for subject, predicate, value, lang in statements:
            table[subject][predicate].append((value, lang))
        self.table = table

    def values(self, subject: str, predicate: str) -> tuple[str, ...]:
        """All values, sorted."""
        row = self.table.get(subject)
        found = row.get(predicate) if row else None
        return _distinct(found) if found else ()

    def value(self, subject: str, predicate: str) -> str | None:
        """The first value in sort order, or None."""
        row = self.table.get(subject)
        found = row.get(predicate) if row else None
        return min(found, key=_text)[0] if found else None

    def by_lang(self, subject: str, predicate: str) -> dict[str, str]:
        """Language tag to text (the first in sort order for each tag)."""
        row = self.table.get(subject)
        out: dict[str, str] = {}
        for value, lang in sorted(row.get(predicate, ()), reverse=True, key=lambda p: p[0]) if row else ():
            out[lang or ""] = value
        return out

    def instances(self, cls: str) -> list[str]:
        """All subjects with ``rdf:type cls``, sorted."""
        return self._instances.get(cls, [])[:]

    @cached_property
    def _instances(self) -> dict[str, list[str]]:
        out: dict[str, list[str]] = defaultdict(list)
        for subject in sorted(self.table):
            for cls in {v for v, _ in self.table[subject].get(_TYPE, ())}:
                out[cls].append(subject)
        return out


def _text(value: tuple[str, str | None]) -> str:
    return value[0]


def _distinct(values: list[tuple[str, str | None]]) -> tuple[str, ...]:
    """Distinct texts, sorted."""
    return (values[0][0],) if len(values) == 1 else tuple(sorted({v for v, _ in values}))


def local(iri: str) -> str:
    """The part of an IRI after our resource or term namespace, or after the last ``#`` or ``/``."""
    for base in (GQR, GQ):
        if iri.startswith(base):
            return iri[len(base) :]
    return re.split(r"[#/]", iri)[-1]


def read_statements(paths: Iterable[Path]) -> Iterable[tuple[str, str, str, str | None]]:
    """Parse Turtle files (no network, no imports followed).

    Raises:
        GraphSyntaxError: with file and line.
    """
    import pyoxigraph as ox

    for path in paths:
        try:
            for quad in ox.parse(path=str(path), format=ox.RdfFormat.TURTLE, base_iri=GQR):
                value = quad.object
                lang = value.language if isinstance(value, ox.Literal) else None
                subject = quad.subject
                yield (
                    str(getattr(subject, "value", subject)),
                    quad.predicate.value,
                    str(getattr(value, "value", value)),
                    lang,
                )
        except (SyntaxError, ValueError) as error:
            found = re.search(r"line (\d+)", str(error))
            raise GraphSyntaxError(
                f"not well-formed Turtle: {error}",
                file=path,
                line=getattr(error, "lineno", None) or (int(found[1]) if found else None),
                hint="mend the line named; nothing was changed",
            ) from None


class Inventory:
    """Frozen view of the base notations and of everything stated about them."""

    def __init__(self, view: GraphView, content_hash: str) -> None:
        self.view = view
        self.content_hash = content_hash

    @cached_property
    def bases(self) -> tuple[BaseNotation, ...]:
        """All base notations, sorted by id."""
        return tuple(self._record(iri) for iri in self.view.instances(GQ + "BasicNotation"))

    @cached_property
    def by_id(self) -> Mapping[str, BaseNotation]:
        """Local id (``rh-gou``) to record."""
        return {base.id: base for base in self.bases}

    @cached_property
    def by_iri(self) -> Mapping[str, BaseNotation]:
        """IRI to record."""
        return {base.iri: base for base in self.bases}

    @cached_property
    def _by_role(self) -> Mapping[str, tuple[BaseNotation, ...]]:
        table: dict[str, list[BaseNotation]] = defaultdict(list)
        for base in self.bases:
            for role in base.roles:
                table[role].append(base)
        return {role: tuple(found) for role, found in table.items()}

    @cached_property
    def _by_name(self) -> Mapping[str, tuple[BaseNotation, ...]]:
        table: dict[str, list[BaseNotation]] = defaultdict(list)
        for base in self.bases:
            table[base.name].append(base)
        return {name: tuple(found) for name, found in table.items()}

    def by_role(self, role: str) -> tuple[BaseNotation, ...]:
        """All base notations with grammar role ``role`` (``"stroke"``), sorted by id."""
        return self._by_role.get(role, ())

    def named(self, name: str) -> tuple[BaseNotation, ...]:
        """All base notations with this reading word, whatever their role."""
        return self._by_name.get(name, ())

    def lookup(self, name: str, *roles: str) -> BaseNotation | None:
        """The base notation with reading word ``name`` and one of ``roles`` (any role when none is given)."""
        for base in self.named(name):
            if not roles or base.roles & set(roles):
                return base
        return None

    def _record(self, iri: str) -> BaseNotation:
        view = self.view

        def many(term: str) -> tuple[str, ...]:
            return view.values(iri, GQ + term)

        def one(term: str) -> str | None:
            return view.value(iri, GQ + term)

        def code(target: str | None) -> str | None:
            return None if target is None else (view.value(target, GQ + "code") or local(target))

        def whole(term: str) -> int | None:
            value = one(term)
            return int(value) if value is not None else None

        name = one("notationName") or ""
        effect = one("positionEffect")
        steps = sorted(
            (int(view.value(step, GQ + "stepIndex") or 0), local(view.value(step, GQ + "stepTechnique") or ""))
            for step in many("hasStep")
        )
        known = view.table[iri]
        return BaseNotation(
            iri=iri,
            id=local(iri),
            name=name,
            traditional=one("traditionalName") or name,
            aliases=many("alias"),
            full_name=one("fullName") or name,
            pinyin=one("pinyin"),
            categories=frozenset(local(t) for t in view.values(iri, _RDF + "type") if t.startswith(GQ))
            - {"BasicNotation", "SubtractiveNotation"},
            roles=frozenset(c for c in (code(r) for r in many("grammarRole")) if c),
            part_role=code(one("partRole")),
            layout_role=code(one("layoutRole")),
            hand=local(h) if (h := one("hand")) else None,
            fingers=tuple(local(f) for f in many("finger")),
            directions=tuple(local(d) for d in many("direction")),
            min_strings=whole("minStrings"),
            max_strings=whole("maxStrings"),
            number=whole("number"),
            position_effect=local(effect).lower() if effect else None,
            forms=self._forms(many("writtenForm")),
            steps=tuple(technique for _, technique in steps),
            written_as_parts=one("writtenAsParts") == "true",
            confidence=local(c) if (c := one("confidence")) else None,
            sources=view.values(iri, _DCT + "source"),
            labels=view.by_lang(iri, _RDFS + "label"),
            definitions=view.by_lang(iri, _SKOS + "definition"),
            extra={p[len(GQ) :]: _distinct(values) for p, values in known.items() if p.startswith(GQ)},
        )

    def _forms(self, iris: tuple[str, ...]) -> tuple[WrittenForm, ...]:
        view = self.view
        forms = [
            WrittenForm(
                iri=iri,
                character=view.value(iri, GQ + "character"),
                ids=view.value(iri, GQ + "ids"),
                ids_template=view.value(iri, GQ + "idsTemplate"),
                svg_path=view.value(iri, GQ + "svgPath"),
                stroke_path=view.value(iri, GQ + "strokePath"),
                preferred=view.value(iri, GQ + "preferred") == "true",
                extra={p[len(GQ) :]: _distinct(values) for p, values in view.table[iri].items() if p.startswith(GQ)},
            )
            for iri in iris
        ]
        return tuple(sorted(forms, key=lambda f: (not f.preferred, f.iri)))


def load_inventory(extra: Iterable[Path] = (), *, base: Iterable[Path] | None = None) -> Inventory:
    """Read the released ontology, and ``extra`` Turtle files (a workspace's own), into an inventory.

    Args:
        extra: further Turtle files, read after the released ones.
        base: the released files (default: those of the package).

    Raises:
        GraphSyntaxError: a file is broken; names file and line.
    """
    paths = [*(resources.ontology_files() if base is None else base), *extra]
    return Inventory(GraphView(read_statements(paths)), resources.digest(paths))
