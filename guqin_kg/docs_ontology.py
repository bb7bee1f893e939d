"""The reference page of the ontology, made by queries over it and a Jinja template.

Every row of the page comes from the graph; ``python -m guqin_kg.docs`` writes it and its test compares it.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import Any

from guqin_kg.vocab import compact, prefix_lines

_TERMS = """
SELECT ?module ?term ?kind ?zh ?en ?dzh ?den
  (GROUP_CONCAT(DISTINCT STR(?parent); separator=" ") AS ?parents)
  (GROUP_CONCAT(DISTINCT STR(?domain); separator=" ") AS ?domains)
  (GROUP_CONCAT(DISTINCT STR(?range); separator=" ") AS ?ranges)
  (GROUP_CONCAT(DISTINCT STR(?inverse); separator=" ") AS ?inverses)
  (GROUP_CONCAT(DISTINCT STR(?successor); separator=" ") AS ?successors)
  (COUNT(?defined) AS ?definitions)
WHERE {
  GRAPH ?module {
    VALUES ?kind { owl:Class owl:ObjectProperty owl:DatatypeProperty }
    ?term a ?kind ; rdfs:label ?zh , ?en ; skos:definition ?dzh , ?den .
    FILTER(LANG(?zh) = "zh" && LANG(?en) = "en" && LANG(?dzh) = "zh" && LANG(?den) = "en")
    OPTIONAL { { ?term rdfs:subClassOf ?parent } UNION { ?term rdfs:subPropertyOf ?parent } FILTER(ISIRI(?parent)) }
    OPTIONAL { ?term rdfs:domain ?domain FILTER(ISIRI(?domain)) }
    OPTIONAL { ?term rdfs:range ?range FILTER(ISIRI(?range)) }
    OPTIONAL { ?term owl:inverseOf ?inverse }
    OPTIONAL { ?term dct:isReplacedBy ?successor }
    OPTIONAL { ?term owl:equivalentClass ?defined }
  }
} GROUP BY ?module ?term ?kind ?zh ?en ?dzh ?den ORDER BY ?module ?kind LCASE(STR(?term))"""

_NOTES = """
SELECT ?term ?note WHERE {
  GRAPH ?module { ?term skos:note ?note ; rdfs:isDefinedBy ?ontology }
} ORDER BY ?term ?note"""

_FOREIGN = """
SELECT ?term ?zh ?en ?note WHERE {
  GRAPH ?module { ?term a owl:AnnotationProperty ; rdfs:label ?zh , ?en ; skos:note ?note }
  FILTER(LANG(?zh) = "zh" && LANG(?en) = "en")
} ORDER BY ?term"""

_VALUES = """
SELECT ?class ?term ?zh ?en ?dzh ?den WHERE {
  GRAPH ?module {
    ?term a ?class ; rdfs:label ?zh , ?en ; skos:definition ?dzh , ?den .
    FILTER(STRSTARTS(STR(?class), "https://w3id.org/guqin/ontology#"))
    FILTER(STRSTARTS(STR(?term), "https://w3id.org/guqin/ontology#"))
    FILTER(LANG(?zh) = "zh" && LANG(?en) = "en" && LANG(?dzh) = "zh" && LANG(?den) = "en")
  }
} ORDER BY ?class LCASE(STR(?term))"""

_BASES = """
SELECT ?class ?id ?name ?pinyin ?dzh ?den ?confidence (COUNT(DISTINCT ?source) AS ?sources)
  (GROUP_CONCAT(DISTINCT ?code; separator=" ") AS ?roles)
WHERE {
  GRAPH ?g { ?id a gq:BasicNotation , ?class ; gq:notationName ?name ; gq:pinyin ?pinyin ; skos:definition ?dzh , ?den ;
    gq:confidence ?confidence ; dct:source ?source . }
  GRAPH ?any { ?id gq:grammarRole ?role } GRAPH ?roleGraph { ?role gq:code ?code }
  FILTER(?class != gq:BasicNotation && STRSTARTS(STR(?class), "https://w3id.org/guqin/ontology#"))
  FILTER(LANG(?dzh) = "zh" && LANG(?den) = "en")
} GROUP BY ?class ?id ?name ?pinyin ?dzh ?den ?confidence ORDER BY ?class ?id"""

_CLAIMS = """
SELECT ?claim ?about ?property ?zh ?en ?confidence (GROUP_CONCAT(DISTINCT ?title; separator="; ") AS ?sources) WHERE {
  GRAPH ?g { ?claim a gq:Annotation ; gq:annotates ?about ; gq:claimedProperty ?property ; skos:definition ?zh , ?en ;
    gq:confidence ?confidence ; dct:source ?source . }
  GRAPH ?h { ?source rdfs:label ?title FILTER(LANG(?title) = "en") }
  FILTER(LANG(?zh) = "zh" && LANG(?en) = "en")
} GROUP BY ?claim ?about ?property ?zh ?en ?confidence ORDER BY ?about ?claim"""

_SOURCES = """
SELECT ?source ?title ?zh ?en ?page ?rights WHERE {
  GRAPH ?g { ?source a gq:Source ; rdfs:label ?title ; skos:definition ?zh , ?en .
    FILTER(LANG(?title) = "en" && LANG(?zh) = "zh" && LANG(?en) = "en")
    OPTIONAL { ?source foaf:page ?page } OPTIONAL { ?source dct:rights ?rights } }
} ORDER BY ?source"""

_TUNINGS = """
SELECT ?tuning ?name ?en ?n ?pitch WHERE {
  GRAPH ?g { ?tuning a gq:Tuning ; gq:tuningName ?name ; skos:definition ?en ; gq:openString ?string .
    ?string gq:stringNumber ?n ; gq:pitchName ?pitch . FILTER(LANG(?en) = "en") }
} ORDER BY ?tuning ?n"""

_TEMPLATE = """# The ontology

Generated from `ontology/` by `make docs`; edit the Turtle, not this page. Namespace of the terms:
`gq:` = <{{ gq }}>, of the resources: `gqr:` = <{{ gqr }}>.

{{ counts.classes }} classes, {{ counts.properties }} properties, {{ counts.fixed }} fixed values,
{{ counts.bases }} base notations, {{ counts.claims }} claims bound to a source, {{ counts.sources }} sources.

## Prefixes

| prefix | namespace |
| --- | --- |
{% for name, iri in prefixes %}| `{{ name }}:` | <{{ iri }}> |
{% endfor %}
## Terms
{% for module, terms in modules %}
### {{ module }}
{% for t in terms %}
#### {{ t.term }}

{{ t.kind }} · {{ t.zh }} · {{ t.en }}{{ " · **deprecated**, use `" ~ t.successors ~ "`" if t.successors }}

{{ t.dzh }} {{ t.den }}
{% if t.facts %}
{% for label, value in t.facts %}- {{ label }}: {{ value }}
{% endfor %}{% endif %}{% if t.notes %}
{% for note in t.notes %}> {{ note }}
{% endfor %}{% endif %}{% endfor %}{% endfor %}

## Terms of other vocabularies

How this graph uses them; rows are those of the published table 5-2. Nothing here restricts the terms elsewhere.

| term | zh | en | use |
| --- | --- | --- | --- |
{% for f in foreign %}| `{{ f.term }}` | {{ f.zh }} | {{ f.en }} | {{ f.note }} |
{% endfor %}
## Fixed values

| class | value | zh | en | meaning |
| --- | --- | --- | --- | --- |
{% for v in values %}| `{{ v.class }}` | `{{ v.term }}` | {{ v.zh }} | {{ v.en }} | {{ v.dzh }} {{ v.den }} |
{% endfor %}
## Base notations
{% for cls, rows in bases %}
### {{ cls }}

| word | pinyin | IRI | roles | meaning | confidence | sources |
| --- | --- | --- | --- | --- | --- | --- |
{% for b in rows %}| {{ b.name }} | {{ b.pinyin }} | `{{ b.id }}` | {{ b.roles }} | {{ b.dzh }} {{ b.den }} \
| {{ b.confidence }} | {{ b.sources }} |
{% endfor %}{% endfor %}
## Tunings

| tuning | IRI | strings 1 to 7 | meaning |
| --- | --- | --- | --- |
{% for t in tunings %}| {{ t.name }} | `{{ t.tuning }}` | {{ t.pitches }} | {{ t.en }} |
{% endfor %}
## Claims bound to a source

What one source says and another does not. Query them by `gq:annotates` and `dct:source`.

| about | property | claim | sources | confidence |
| --- | --- | --- | --- | --- |
{% for c in claims %}| `{{ c.about }}` | `{{ c.property }}` \
| {{ c.zh }} {{ c.en }} | {{ c.sources }} | {{ c.confidence }} |
{% endfor %}
## Sources

| IRI | source | what | terms |
| --- | --- | --- | --- |
{% for s in sources %}| `{{ s.source }}` | {{ "[" ~ s.title ~ "](" ~ s.page ~ ")" if s.page else s.title }} \
| {{ s.zh }} {{ s.en }} | {{ s.rights }} |
{% endfor %}"""


@cache
def _store() -> Any:
    """The released files, each in a graph named after it, so that a term knows its module."""
    import pyoxigraph as ox

    from guqin_kg import resources

    store = ox.Store()
    for path in resources.ontology_files():
        store.bulk_load(
            path=str(path),
            format=ox.RdfFormat.TURTLE,
            base_iri="https://w3id.org/guqin/resource/",
            to_graph=ox.NamedNode(f"urn:file:{path.stem}"),
        )
    return store


def _rows(query: str) -> list[dict[str, str]]:
    """The rows of ``query``: variable to text, IRIs with their prefix, cells safe inside a table."""
    solutions = _store().query(prefix_lines() + query)
    names = [v.value for v in solutions.variables]
    out = []
    for row in solutions:
        cells = {}
        for name in names:
            node = row[name]
            text = "" if node is None else str(node.value)
            if node is not None and not hasattr(node, "datatype"):
                text = compact(text)
            cells[name] = text.replace("|", "\\|").replace("\n", " ")
        out.append(cells)
    return out


def _iris(text: str) -> str:
    return ", ".join(f"`{compact(x)}`" for x in sorted(text.split()) if not x.startswith("_:"))


def _term(row: dict[str, str], notes: dict[str, list[str]]) -> dict[str, Any]:
    facts = [
        (label, _iris(row[key]))
        for label, key in (
            ("above", "parents"),
            ("of", "domains"),
            ("value", "ranges"),
            ("inverse", "inverses"),
        )
        if row[key] and _iris(row[key])
    ]
    if row["definitions"] != "0":
        facts.append(("definition", "a reasoner fills this class"))
    return {
        **row,
        "kind": {"owl:Class": "class", "owl:ObjectProperty": "object property"}.get(row["kind"], "data property"),
        "facts": facts,
        "notes": notes.get(row["term"], []),
        "successors": " ".join(compact(x) for x in row["successors"].split()),
    }


def page() -> str:
    """The text of ``docs/reference/ontology.md``."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    from guqin_kg.vocab import prefixes

    notes: dict[str, list[str]] = {}
    for row in _rows(_NOTES):
        notes.setdefault(row["term"], []).append(row["note"])
    terms = [_term(row, notes) for row in _rows(_TERMS)]
    for term in terms:
        term["module"] = term["module"].removeprefix("urn:file:")
    bases = _rows(_BASES)
    for base in bases:
        base["confidence"] = base["confidence"].removeprefix("gq:").removesuffix("Confidence").lower()
        base["roles"] = ", ".join(sorted(base["roles"].split()))
    claims, sources = _rows(_CLAIMS), _rows(_SOURCES)
    for claim in claims:
        claim["confidence"] = claim["confidence"].removeprefix("gq:").removesuffix("Confidence").lower()
        claim["sources"] = "; ".join(sorted(claim["sources"].split("; ")))
    tunings = []
    for _, group in groupby(_rows(_TUNINGS), key=lambda r: r["tuning"]):
        strings = list(group)
        tunings.append({**strings[0], "pitches": " ".join(s["pitch"] for s in strings)})
    values = [v for v in _rows(_VALUES) if not v["class"].startswith("owl:")]
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    text = environment.from_string(_TEMPLATE).render(
        gq=prefixes()["gq"],
        gqr=prefixes()["gqr"],
        prefixes=list(prefixes().items()),
        counts={
            "classes": sum(t["kind"] == "class" for t in terms),
            "properties": sum(t["kind"] != "class" for t in terms),
            "fixed": len(values),
            "bases": len({b["id"] for b in bases}),
            "claims": len(claims),
            "sources": len(sources),
        },
        modules=[(name, list(rows)) for name, rows in groupby(terms, key=lambda t: t["module"])],
        foreign=_rows(_FOREIGN),
        values=values,
        bases=[(cls, list(rows)) for cls, rows in groupby(bases, key=lambda b: b["class"])],
        tunings=tunings,
        claims=claims,
        sources=sources,
    )
    return text.rstrip() + "\n"
