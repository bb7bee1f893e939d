"""Values and RDF terms: what a person writes, what an engine gets, what a caller gets back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from guqin_kg.errors import DataError, NotFoundError, UsageError

if TYPE_CHECKING:
    from pyoxigraph import Literal, NamedNode

    from guqin_kg.query.spec import ParamSpec

    Term: TypeAlias = "NamedNode | Literal"

XSD = "http://www.w3.org/2001/XMLSchema#"
_SH = "http://www.w3.org/ns/shacl#"
_INTEGERS = {
    XSD + name
    for name in ("integer", "int", "long", "short", "byte", "nonNegativeInteger", "positiveInteger", "unsignedInt")
}
_FRACTIONS = {XSD + n for n in ("decimal", "double", "float")}
_CURIE = re.compile(r"(?P<prefix>[A-Za-z][\w-]*)?:(?P<local>[^\s<>\"{}|\\^`]*)\Z")
_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`\x00-\x20]*\Z")

#: Turns what a person wrote (a reading, a name) into the IRI of a resource of a class, or None when it has none. It may
#: raise ReadingError where only a reading was meant, which says more than that nothing has that name.
Resolver: TypeAlias = Callable[[str, str | None], "str | None"]


class BindError(UsageError):
    """A parameter is missing, unknown, or of the wrong type, or its value does not say which of several is meant.

    A reading that cannot be parsed and a name that nothing has are no wrong use: they are ``ReadingError`` and
    ``NotFoundError``.
    """

    default_code = "bad-parameter"


@cache
def prefixes() -> Mapping[str, str]:
    """The one prefix table: prefix to namespace, as ``ontology/prefixes.ttl`` declares them (sh:declare)."""
    import pyoxigraph as ox

    from guqin_kg import resources

    rows: dict[str, dict[str, str]] = {}
    path = resources.folder("ontology") / "prefixes.ttl"
    for quad in ox.parse(path=str(path), format=ox.RdfFormat.TURTLE):
        if quad.predicate.value in (_SH + "prefix", _SH + "namespace"):
            rows.setdefault(str(quad.subject), {})[quad.predicate.value] = quad.object.value
    pairs = [(row[_SH + "prefix"], row[_SH + "namespace"]) for row in rows.values() if len(row) == 2]
    return dict(sorted(pairs))


def expand(name: str) -> str | None:
    """``gqr:rh-gou`` to a full IRI; None when the text is no prefixed name of the table."""
    match = _CURIE.fullmatch(name)
    namespace = prefixes().get(match["prefix"] or "") if match else None
    return namespace + match["local"].replace("\\", "") if match and namespace else None


def shorten(iri: str) -> str:
    """A full IRI as a prefixed name where the table has its namespace, else as it is."""
    for prefix, namespace in sorted(prefixes().items(), key=lambda p: -len(p[1])):
        if iri.startswith(namespace) and len(iri) > len(namespace):
            return f"{prefix}:{iri[len(namespace) :]}"
    return iri


def iri(value: str) -> NamedNode:
    """An IRI term.

    Raises:
        BindError: the text is no absolute IRI.
    """
    from pyoxigraph import NamedNode

    if not _IRI.fullmatch(value):
        raise BindError(f"{value!r} is no absolute IRI", hint="write https://… or a prefixed name such as gqr:rh-gou")
    try:
        return NamedNode(value)
    except ValueError as error:
        raise BindError(f"{value!r} is no IRI: {error}") from None


def to_term(value: Any, spec: ParamSpec, resolve: Resolver | None = None) -> Term:
    """The RDF term a parameter value stands for.

    Args:
        value: text, number or boolean as a person or caller gives it, or already a pyoxigraph term.
        spec: the declared parameter.
        resolve: for iri parameters, called with text that is no IRI and the expanded class.

    Raises:
        BindError: the value does not fit the declared type.
        ReadingError, NotFoundError: it is a reading that cannot be parsed, or a name that nothing in the graph has.
    """
    from pyoxigraph import Literal, NamedNode

    if isinstance(value, (NamedNode, Literal)):
        if isinstance(value, NamedNode) != (spec.type == "iri"):
            raise BindError(f"parameter {spec.name} takes a value of type {spec.type}, not {value}")
        return value
    text = str(value)
    if spec.type == "iri":
        return _to_iri(text, spec, resolve)
    if spec.type == "text":
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise BindError(f"parameter {spec.name} is not valid Unicode text") from None
        return Literal(text)
    if spec.type == "boolean":
        if text.lower() not in ("true", "false"):
            raise BindError(f"parameter {spec.name} takes true or false, not {text!r}")
        return Literal(text.lower() == "true")
    if spec.type == "integer":
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip(), re.ASCII):
            raise BindError(f"parameter {spec.name} takes a whole number, not {text!r}")
        return Literal(int(text))
    try:
        number = Decimal(text.strip())
        if not number.is_finite() or abs(number.adjusted()) > 17:
            raise InvalidOperation
    except InvalidOperation:
        raise BindError(f"parameter {spec.name} takes a number, not {text!r}") from None
    return Literal(format(number, "f"), datatype=NamedNode(XSD + "decimal"))


def _to_iri(text: str, spec: ParamSpec, resolve: Resolver | None) -> NamedNode:
    bare = text.strip()
    if bare.startswith("<") and bare.endswith(">"):
        return iri(bare[1:-1])
    full = expand(bare)
    if full is not None:
        return iri(full)
    if "://" in bare or bare.startswith("urn:"):
        return iri(bare)
    cls = expand(spec.cls) if spec.cls else None
    found = resolve(bare, cls) if resolve else None
    if found is None:
        raise NotFoundError(
            f"parameter {spec.name}: nothing in the graph is called {text!r}",
            code="unknown-name",
            hint="give a reading, a name or an IRI such as gqr:rh-gou"
            + (f"; it must be a {spec.cls}" if spec.cls else ""),
        )
    return iri(found)


def to_python(term: Any) -> Any:
    """A term for a caller: IRIs and text as str, numbers as int or float, booleans as bool, unbound as None."""
    if term is None:
        return None
    datatype = getattr(term, "datatype", None)
    value: str = term.value
    if datatype is None:
        return value
    kind = datatype.value
    if kind in _INTEGERS:
        return int(value)
    if kind in _FRACTIONS:
        return float(value)
    if kind == XSD + "boolean":
        return value in ("true", "1")
    return value


def type_of(term: Any) -> str:
    """The column type a term has: iri, text, integer, decimal or boolean."""
    datatype = getattr(term, "datatype", None)
    if datatype is None:
        if type(term).__name__ != "NamedNode":
            raise DataError("the answer holds a blank node", code="blank-node", hint="the graph must not use them")
        return "iri"
    if datatype.value in _INTEGERS:
        return "integer"
    if datatype.value in _FRACTIONS:
        return "decimal"
    return "boolean" if datatype.value == XSD + "boolean" else "text"
