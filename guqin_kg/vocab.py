"""The vocabulary is closed: a term the ontology does not declare is an error in Python, not an empty answer.

``GQ.notationName`` is the IRI of a declared term; ``GQ.notatioName`` raises ``UnknownTermError`` with the nearest
declared names.  The names are read from the ontology's own Turtle when first asked for, so a new term needs no
change here.  Prefixes have one home too, ``ontology/prefixes.ttl``.
"""

from __future__ import annotations

from functools import cache

from guqin_kg.errors import NotFoundError

_RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_SH = "http://www.w3.org/ns/shacl#"
_OWL = "http://www.w3.org/2002/07/owl#"
_REPLACED = "http://purl.org/dc/terms/isReplacedBy"


class UnknownTermError(NotFoundError, AttributeError):
    """A name that the ontology does not declare."""


@cache
def prefixes() -> dict[str, str]:
    """Prefix to namespace, from ``ontology/prefixes.ttl``, sorted by prefix."""
    import pyoxigraph as ox

    from guqin_kg import resources

    rows: dict[str, dict[str, str]] = {}
    path = resources.folder("ontology") / "prefixes.ttl"
    for quad in ox.parse(path=str(path), format=ox.RdfFormat.TURTLE):
        if quad.predicate.value.startswith(_SH):
            key = str(getattr(quad.subject, "value", ""))
            rows.setdefault(key, {})[quad.predicate.value[len(_SH) :]] = str(getattr(quad.object, "value", ""))
    return dict(sorted((r["prefix"], r["namespace"]) for r in rows.values() if "prefix" in r))


def prefix_lines(style: str = "sparql") -> str:
    """The whole prefix table as ``PREFIX`` lines (``sparql``) or ``@prefix`` lines (``turtle``)."""
    if style == "turtle":
        return "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in prefixes().items())
    return "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in prefixes().items())


@cache
def _declared() -> tuple[frozenset[str], dict[str, str]]:
    import pyoxigraph as ox

    from guqin_kg import resources

    namespace = prefixes()["gq"]
    names: set[str] = set()
    successors: dict[str, str] = {}
    root = resources.folder("ontology")
    for path in sorted((root / "modules").glob("*.ttl")):
        for quad in ox.parse(path=str(path), format=ox.RdfFormat.TURTLE):
            subject = str(getattr(quad.subject, "value", ""))
            if subject.startswith(namespace):
                if quad.predicate.value == _RDF_TYPE:
                    names.add(subject[len(namespace) :])
                elif quad.predicate.value == _REPLACED:
                    successors[subject[len(namespace) :]] = str(getattr(quad.object, "value", ""))[len(namespace) :]
    return frozenset(names), successors


def terms() -> frozenset[str]:
    """Local names of all terms (classes, properties, fixed values) the ontology declares in ``gq:``."""
    return _declared()[0]


def successors() -> dict[str, str]:
    """Deprecated term to the term that replaces it (local names)."""
    return dict(_declared()[1])


class Namespace:
    """A namespace whose attributes are IRIs of declared terms; anything else raises ``UnknownTermError``."""

    def __getattr__(self, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> str:
        if name not in terms():
            from difflib import get_close_matches

            near = get_close_matches(name, sorted(terms()), n=3)
            raise UnknownTermError(
                f"the ontology declares no term gq:{name}",
                code="unknown-term",
                hint=("did you mean " + ", ".join(f"gq:{n}" for n in near) + "?") if near else "see ontology/modules",
            )
        return prefixes()["gq"] + name

    def __contains__(self, iri: object) -> bool:
        namespace = prefixes()["gq"]
        return isinstance(iri, str) and iri.startswith(namespace) and iri[len(namespace) :] in terms()

    def __str__(self) -> str:
        return prefixes()["gq"]


#: The term namespace, closed.
GQ = Namespace()


def compact(iri: str) -> str:
    """``iri`` with the longest fitting prefix (``gqr:rh-gou``), or unchanged."""
    best = max(
        ((name, base) for name, base in prefixes().items() if iri.startswith(base)),
        key=lambda p: len(p[1]),
        default=None,
    )
    return f"{best[0]}:{iri[len(best[1]) :]}" if best else iri


def full(name: str) -> str:
    """The IRI of a prefixed name (``gq:sound``); an IRI passes unchanged.

    Raises:
        UnknownTermError: the prefix is not in the table.
    """
    prefix, colon, rest = name.partition(":")
    if not colon or rest.startswith("//"):
        return name
    if prefix not in prefixes():
        raise UnknownTermError(f"no prefix {prefix!r}", code="unknown-prefix", hint="known: " + ", ".join(prefixes()))
    return prefixes()[prefix] + rest
