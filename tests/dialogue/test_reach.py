"""A changed statement reaches every notation whose rows it alters: checked on random graphs and random edits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guqin_kg.dialogue.affected import affected
from guqin_kg.dialogue.reach import reach_of
from guqin_kg.dialogue.rows import Rows, View, ViewKey
from guqin_kg.query.library import QueryLibrary

GQ = "https://w3id.org/guqin/ontology#"
GQR = "https://w3id.org/guqin/resource/"
HEAD = """#+ question: {zh: 问, en: q}
#+ params: {notation: {type: iri, example: gqr:n1}}
#+ columns: {notation: iri, x: iri?, y: iri?}
#+ rows: 0..
SELECT DISTINCT ?notation ?x ?y WHERE {
  VALUES ?notation { gqr:n1 }
"""
BODIES = {
    "chain": "?notation gq:hasPart ?p . ?p gq:component ?x .",
    "optional": "?notation gq:leftFinger ?x . OPTIONAL { ?x gq:finger ?y }",
    "union": "{ ?notation gq:leftFinger ?x } UNION { ?notation gq:hasPart/gq:component ?x }",
    "beside-union": "{ ?notation gq:leftFinger ?x } UNION { ?notation gq:hasPart ?x } ?x gq:finger ?y .",
    "optional-x": "?notation gq:leftFinger ?y . OPTIONAL { ?notation gq:hasPart ?x }",
    "maybe-sub": "?notation gq:hasSubNote? ?n . ?n gq:leftFinger ?x .",
    "inverse": "?x ^gq:leftFinger ?notation . ?y gq:finger|gq:hand ?x .",
    "not-exists": "?notation gq:leftFinger ?x . FILTER NOT EXISTS { ?x gq:finger ?f . ?f gq:hand ?h }",
    "minus": "?notation gq:leftFinger ?x . MINUS { ?x gq:finger ?f }",
    "others": "?notation gq:leftFinger ?f . ?x gq:leftFinger ?f . FILTER(?x != ?notation)",
    "subquery": "?notation gq:leftFinger ?x . "
    "{ SELECT ?x (COUNT(?f) AS ?n) WHERE { ?x gq:finger ?f } GROUP BY ?x } FILTER(?n > 1)",
    "hidden": "?notation gq:leftFinger ?x . { SELECT ?x WHERE { ?x gq:finger ?notation2 . ?notation2 gq:hand ?y } }",
}
NODES = [f"n{i}" for i in range(1, 6)] + ["a", "b", "c"]
PROPERTIES = ["hasPart", "component", "leftFinger", "finger", "hand", "hasSubNote"]
TRIPLE = st.tuples(st.sampled_from(NODES), st.sampled_from(PROPERTIES), st.sampled_from(NODES))


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> dict[str, View]:
    folder = tmp_path_factory.mktemp("queries")
    for name, body in BODIES.items():
        (folder / f"{name}.select.rq").write_text(f"{HEAD}  {body}\n}}\n", encoding="utf-8")
    (folder / "facts.select.rq").write_text(
        "#+ question: {zh: 问, en: q}\n#+ params: {key: {type: iri, example: gqr:a}}\n"
        "#+ columns: {key: iri, other: iri}\n#+ rows: 0..\n"
        "SELECT ?key ?other WHERE { VALUES ?key { gqr:a } ?key gq:finger ?f . ?other gq:hand ?f }\n",
        encoding="utf-8",
    )
    library = QueryLibrary([folder])
    made = {name: View(ViewKey(name), library) for name in BODIES}
    made["lookup"] = View(ViewKey("chain", (("x", "facts"),)), library)
    made["lookup-optional"] = View(ViewKey("optional-x", (("x", "facts"),)), library)
    return made


def _graph(triples: Any) -> Any:
    import pyoxigraph as ox

    def node(base: str, name: str) -> Any:
        return ox.NamedNode(base + name)

    return {ox.Triple(node(GQR, s), node(GQ, p), node(GQR, o)) for s, p, o in triples}


def _store(triples: Any) -> Any:
    import pyoxigraph as ox

    store = ox.Store()
    store.extend(ox.Quad(t.subject, t.predicate, t.object) for t in triples)
    return store


def _rows(view: View, store: Any, folder: list[Path]) -> dict[str, Any]:
    fresh = View(view.key, QueryLibrary(folder))
    rows = Rows(store.query, QueryLibrary(folder), "zh", [fresh])
    rows.fetch(None)
    return {n: rows.of(fresh, n) for n in rows.rows[fresh.specs[0].name]}


@settings(max_examples=80, deadline=None)
@given(before=st.sets(TRIPLE, max_size=14), gone=st.sets(TRIPLE, max_size=3), come=st.sets(TRIPLE, max_size=3))
@pytest.mark.parametrize("name", [*BODIES, "lookup", "lookup-optional"])
def test_every_changed_row_is_reached(views: dict[str, View], name: str, before: Any, gone: Any, come: Any) -> None:
    view = views[name]
    folder = [Path(view.specs[0].file).parent]
    old = _graph(before)
    new = (old - _graph(gone)) | _graph(come)
    store = _store(new)
    was, now = _rows(view, _store(old), folder), _rows(view, store, folder)
    changed = {n for n in was.keys() | now.keys() if was.get(n) != now.get(n)}
    found = affected([reach_of(view)], store, new - old, old - new)
    assert found.everything or changed <= found.notations.keys()


def test_a_limit_in_a_query_reaches_everything(tmp_path: Path) -> None:
    (tmp_path / "few.select.rq").write_text(
        f"{HEAD}  ?notation gq:leftFinger ?x . {{ SELECT ?x WHERE {{ ?x gq:finger ?y }} LIMIT 1 }}\n}}\n",
        encoding="utf-8",
    )
    assert reach_of(View(ViewKey("few"), QueryLibrary([tmp_path]))).everything


def test_an_edit_elsewhere_reaches_nothing(views: dict[str, View]) -> None:
    old = _graph([("n1", "hasPart", "a"), ("a", "component", "b")])
    extra = _graph([("n2", "leftFinger", "c")])
    found = affected([reach_of(views["chain"])], _store(old | extra), extra, [])
    assert not found.everything
    assert not found.notations
