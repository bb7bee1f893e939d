"""The reference of shapes in ``docs/validation.md``, written from the shapes themselves."""

from __future__ import annotations

import pyoxigraph as ox

from guqin_kg.validate.report import SEVERITIES
from guqin_kg.validate.shapes import RDFS, Shape, ShapesGraph, Term, load_shapes

_LETTER = {"violation": "H", "warning": "C", "info": "S"}
START, END = "<!-- shapes: start (written by guqin_kg.validate.reference) -->", "<!-- shapes: end -->"


def _texts(graph: ShapesGraph, node: Term, local: str) -> dict[str, str]:
    found = graph.objects(node, ox.NamedNode(RDFS + local))
    return {t.language or "": t.value for t in found if isinstance(t, ox.Literal)}


def _level(shape: Shape) -> str:
    return _LETTER[SEVERITIES[shape.severity]]


def _local(name: str) -> str:
    return name.rpartition("#")[2]


def shapes_reference(graph: ShapesGraph | None = None) -> str:
    """A Markdown section per root shape: level, basis, and the messages of each of its constraints."""
    graph = graph or load_shapes()
    lines: list[str] = []
    for root in graph.roots():
        label = _texts(graph, root.node, "label")
        basis = " ".join(_texts(graph, root.node, "comment").values())
        targets = ", ".join(f"{kind.removeprefix('target')} `{_local(t.value)}`" for kind, t in root.targets)
        lines += [f"### {_local(root.name)} — {label.get('zh', '')} · {label.get('en', '')}", ""]
        lines += [f"Applies to: {targets}." + (f" {basis}" if basis else ""), ""]
        lines += ["| level | shape | says |", "| --- | --- | --- |"]
        for c in root.constraints:
            said = graph.select(c)[1] if c.parameter == "sparql" else root.messages
            name = _local(c.value.value) if c.parameter == "sparql" else _local(root.name)
            lines.append(f"| {_level(root)} | `{name}` | {_said(said)} |")
        for node in root.properties:
            shape = graph.shape(node)
            lines.append(f"| {_level(shape)} | `{_local(shape.name)}` | {_said(shape.messages)} |")
        lines.append("")
    return "\n".join(lines)


def _said(messages: tuple[ox.Literal, ...]) -> str:
    by_language = {m.language or "": m.value for m in messages}
    return " ".join(by_language.get(k, "") for k in ("zh", "en")).replace("|", "\\|").strip()


def written_into(text: str, graph: ShapesGraph | None = None) -> str:
    """``text`` with the part between the markers replaced by the reference."""
    head, _, rest = text.partition(START)
    _, _, tail = rest.partition(END)
    return f"{head}{START}\n\n{shapes_reference(graph)}\n{END}{tail}"


if __name__ == "__main__":  # python -m guqin_kg.validate.reference
    from guqin_kg import resources

    page = resources.folder("ontology").parent / "docs" / "validation.md"
    page.write_text(written_into(page.read_text(encoding="utf-8")), encoding="utf-8")
