"""SHACL value constraints as SPARQL boolean expressions over one variable.

Each function answers "does this value conform?" as SPARQL text. Terms come from the shapes graph and are written by
the RDF library's own serialiser, so nothing is pasted in unescaped.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pyoxigraph as ox

from guqin_kg.validate.shapes import SH, Constraint, Shape, ShapesGraph, Term, UnsupportedShape

XSD = "http://www.w3.org/2001/XMLSchema#"
_NODE_KINDS = {
    "IRI": "isIRI({v})",
    "Literal": "isLiteral({v})",
    "BlankNode": "isBlank({v})",
    "BlankNodeOrIRI": "(isBlank({v}) || isIRI({v}))",
    "IRIOrLiteral": "(isIRI({v}) || isLiteral({v}))",
    "BlankNodeOrLiteral": "(isBlank({v}) || isLiteral({v}))",
}
# datatype → pattern of well-formed lexical forms (None: every string is well-formed)
_LEXICAL: dict[str, str | None] = {
    XSD + "string": None,
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString": None,
    XSD + "anyURI": None,
    XSD + "integer": "^[-+]?[0-9]+$",
    XSD + "nonNegativeInteger": "^[+]?[0-9]+$",
    XSD + "positiveInteger": "^[+]?0*[1-9][0-9]*$",
    XSD + "decimal": "^[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)$",
    XSD + "boolean": "^(true|false|1|0)$",
    XSD + "gYear": "^-?[0-9]{4,}(Z|[-+][0-9]{2}:[0-9]{2})?$",
}


def text(value: str) -> str:
    """A SPARQL string literal."""
    return str(ox.Literal(value))


def integer(term: Term) -> int:
    """The number in a count parameter."""
    if not isinstance(term, ox.Literal) or not term.value.isdigit():
        raise UnsupportedShape(f"not a count: {term}")
    return int(term.value)


class Expressions:
    """Builds conformance expressions for the shapes of one shapes graph.

    Args:
        graph: the shapes.
        classes: class → classes whose direct instances are all its instances.
    """

    def __init__(self, graph: ShapesGraph, classes: Callable[[Term], tuple[Term, ...]]) -> None:
        self.graph = graph
        self.classes = classes
        self._fresh = count(1)

    def fresh(self, stem: str = "v") -> str:
        """A variable not used before."""
        return f"?_{stem}{next(self._fresh)}"

    def instance_of(self, v: str, cls: Term) -> str:
        """``v`` is an instance of ``cls`` or of a subclass."""
        return "(" + " || ".join(f"EXISTS {{ {v} a {one} }}" for one in self.classes(cls)) + ")"

    def value_ok(self, v: str, c: Constraint, shape: Shape) -> str | None:
        """Conformance of one value with one constraint, or None when it is not about single values."""
        method = getattr(self, f"_{c.parameter}", None)
        return None if method is None else method(v, c, shape)

    def _class(self, v: str, c: Constraint, _: Shape) -> str:
        return self.instance_of(v, c.value)

    def _datatype(self, v: str, c: Constraint, _: Shape) -> str:
        name = getattr(c.value, "value", "")
        if name not in _LEXICAL:
            raise UnsupportedShape(f"sh:datatype {name}")
        lexical = _LEXICAL[name]
        base = f"(isLiteral({v}) && datatype({v}) = {c.value}"
        return base + (f" && REGEX(STR({v}), {text(lexical)}))" if lexical else ")")

    def _nodeKind(self, v: str, c: Constraint, _: Shape) -> str:
        kind = getattr(c.value, "value", "").removeprefix(SH)
        if kind not in _NODE_KINDS:
            raise UnsupportedShape(f"sh:nodeKind {kind}")
        return _NODE_KINDS[kind].format(v=v)

    def _in(self, v: str, c: Constraint, _: Shape) -> str:
        iris = [m for m in c.members if isinstance(m, ox.NamedNode)]
        tests = [f"{v} IN ({', '.join(str(m) for m in iris)})"] if iris else []
        tests += [f"sameTerm({v}, {m})" for m in c.members if not isinstance(m, ox.NamedNode)]
        return "(" + " || ".join(tests or ["false"]) + ")"

    def _pattern(self, v: str, c: Constraint, shape: Shape) -> str:
        flags = self.graph.value(shape.node, ox.NamedNode(SH + "flags"))
        extra = f", {flags}" if flags is not None else ""
        return f"(!isBlank({v}) && REGEX(STR({v}), {c.value}{extra}))"

    def _minLength(self, v: str, c: Constraint, _: Shape) -> str:
        return f"(!isBlank({v}) && STRLEN(STR({v})) >= {integer(c.value)})"

    def _maxLength(self, v: str, c: Constraint, _: Shape) -> str:
        return f"(!isBlank({v}) && STRLEN(STR({v})) <= {integer(c.value)})"

    def _compare(self, v: str, sign: str, c: Constraint) -> str:
        return f"(isLiteral({v}) && {v} {sign} {c.value})"

    def _minInclusive(self, v: str, c: Constraint, _: Shape) -> str:
        return self._compare(v, ">=", c)

    def _minExclusive(self, v: str, c: Constraint, _: Shape) -> str:
        return self._compare(v, ">", c)

    def _maxInclusive(self, v: str, c: Constraint, _: Shape) -> str:
        return self._compare(v, "<=", c)

    def _maxExclusive(self, v: str, c: Constraint, _: Shape) -> str:
        return self._compare(v, "<", c)

    def _languageIn(self, v: str, c: Constraint, _: Shape) -> str:
        tests = [f"langMatches(LANG({v}), {text(getattr(m, 'value', ''))})" for m in c.members]
        return f'(isLiteral({v}) && LANG({v}) != "" && (' + " || ".join(tests or ["false"]) + "))"

    def _node(self, v: str, c: Constraint, _: Shape) -> str:
        return self.conforms(v, self.graph.shape(c.value))

    def _not(self, v: str, c: Constraint, _: Shape) -> str:
        return f"(!{self.conforms(v, self.graph.shape(c.value))})"

    def _and(self, v: str, c: Constraint, _: Shape) -> str:
        return "(" + " && ".join(self.conforms(v, self.graph.shape(m)) for m in c.members) + ")"

    def _or(self, v: str, c: Constraint, _: Shape) -> str:
        return "(" + " || ".join(self.conforms(v, self.graph.shape(m)) for m in c.members) + ")"

    def _xone(self, v: str, c: Constraint, _: Shape) -> str:
        return "((" + " + ".join(f"IF({self.conforms(v, self.graph.shape(m))}, 1, 0)" for m in c.members) + ") = 1)"

    def conforms(self, v: str, shape: Shape, depth: int = 0) -> str:
        """The whole of ``shape`` holds for ``v``; errors count as not conforming."""
        if shape.deactivated:
            return "true"
        if depth > 8:
            raise UnsupportedShape(f"recursive shape {shape.name}")
        if shape.path is not None:
            tests = self._path_tests(v, shape)
        else:
            tests = [self._single(v, c, shape) for c in shape.constraints if c.parameter != "closed"]
            tests += [self.closed(v, shape, c) for c in shape.constraints if c.parameter == "closed"]
            tests += [self.conforms(v, self.graph.shape(p), depth + 1) for p in shape.properties]
        return "COALESCE(" + (" && ".join(f"({t})" for t in tests) or "true") + ", false)"

    def _single(self, v: str, c: Constraint, shape: Shape) -> str:
        if c.parameter == "hasValue":
            return f"sameTerm({v}, {c.value})"
        test = self.value_ok(v, c, shape)
        if test is None:
            raise UnsupportedShape(f"sh:{c.parameter} inside another shape")
        return test

    def closed(self, v: str, shape: Shape, c: Constraint) -> str:
        """No property outside the shape's own and the ignored ones."""
        if getattr(c.value, "value", "") != "true":
            return "true"
        p, o = self.fresh("p"), self.fresh("o")
        return f"NOT EXISTS {{ {v} {p} {o} FILTER({p} NOT IN ({', '.join(self.allowed(shape))})) }}"

    def allowed(self, shape: Shape) -> list[str]:
        """Predicates a closed shape admits."""
        paths = [self.graph.shape(p).path for p in shape.properties]
        out = [p for p in paths if p is not None and p.startswith("<")]
        head = self.graph.value(shape.node, ox.NamedNode(SH + "ignoredProperties"))
        if head is not None:
            out += [str(m) for m in self.graph.members(head)]
        return out or ["<urn:none>"]

    def _path_tests(self, v: str, shape: Shape) -> list[str]:
        tests = []
        for c in shape.constraints:
            x = self.fresh()
            if c.parameter in ("minCount", "maxCount"):
                tests.append(self.count_ok(v, shape.path or "", c))
            elif c.parameter == "hasValue":
                tests.append(f"EXISTS {{ {v} {shape.path} {c.value} }}")
            else:
                ok = self.value_ok(x, c, shape)
                if ok is None:
                    raise UnsupportedShape(f"sh:{c.parameter} inside another shape")
                tests.append(f"NOT EXISTS {{ {v} {shape.path} {x} FILTER(!COALESCE({ok}, false)) }}")
        for p in shape.properties:
            x = self.fresh()
            inner = self.conforms(x, self.graph.shape(p), 1)
            tests.append(f"NOT EXISTS {{ {v} {shape.path} {x} FILTER(!{inner}) }}")
        return tests

    def count_ok(self, v: str, path: str, c: Constraint) -> str:
        """Cardinality as EXISTS over distinct values (small numbers only)."""
        n = integer(c.value)
        need = n if c.parameter == "minCount" else n + 1
        if need > 4:
            raise UnsupportedShape(f"sh:{c.parameter} {n} inside another shape")
        if need == 0:
            return "true"
        xs = [self.fresh() for _ in range(need)]
        body = " ".join(f"{v} {path} {x} ." for x in xs)
        pairs = [f"!sameTerm({a}, {b})" for i, a in enumerate(xs) for b in xs[i + 1 :]]
        body += f" FILTER({' && '.join(pairs)})" if pairs else ""
        return ("EXISTS" if c.parameter == "minCount" else "NOT EXISTS") + f" {{ {body} }}"
