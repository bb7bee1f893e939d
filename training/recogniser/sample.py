"""Random notations in the graph's pattern language: what the base is trained to read.

``shapes.yaml`` names the shapes and how often each is met; a derivation walks the pattern and chooses at each fork. A
share is derived straight from the graph's own reading rules, so that whatever they allow is met sometimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guqin_kg.errors import ReadingError
from guqin_kg.inventory import GQ, BaseNotation, local
from guqin_kg.model import Notation
from guqin_kg.notation.pattern import ANY, Alt, Node, Rep, Seq, Term, read_patterns
from guqin_kg.recognise.grammar import drawn_parts
from guqin_kg.recognise.words import Words

SHAPES = Path(__file__).parent / "shapes.yaml"

_OPTIONAL: Mapping[str, float] = {
    "modifier": 0.03,
    "attack": 0.16,
    "tone": 0.25,
    "wrap": 0.02,
    "quality": 0.2,
    "count": 0.15,
    "link": 0.05,
    "unit": 0.0,
}
"""Chance that an optional part is written, by the grammar role of its first word."""

_SEVERAL = 0.25
"""Chance of one more repetition."""

_CONTESTED: Mapping[str | None, float] = {"LowConfidence": 0.3}
"""Weight of a base notation among the words of its place, by the graph's confidence in it."""


@dataclass(frozen=True)
class Sampled:
    """A notation to draw: reading, structure and the base ids the network shall answer."""

    reading: str
    notation: Notation
    bases: tuple[str, ...]


class Sampler:
    """Draws notations.

    Args:
        words: the grammar's words.
        drawable: ids of base notations that can be drawn; others are never chosen.
        longest: most base notations a notation may have.
        favour: base id to weight among the words of its place, over those of ``shapes.yaml``.
        shapes: another file of shapes.
    """

    def __init__(
        self,
        words: Words,
        drawable: set[str],
        *,
        longest: int = 16,
        favour: Mapping[str, float] | None = None,
        shapes: Path = SHAPES,
    ) -> None:
        import yaml

        self.words = words
        self.longest = longest
        self._drawable = drawable
        plan = yaml.safe_load(shapes.read_text("utf-8"))
        view = words.inventory.view
        texts = {
            local(iri).removeprefix("rule-"): view.value(iri, GQ + "pattern") or ""
            for iri in view.instances(GQ + "ReadingPattern")
        }
        texts |= plan["parts"]
        texts |= {f"shape-{at}": text for at, (_, text) in enumerate(plan["shapes"])}
        trees = read_patterns(texts)
        self._trees: list[Node] = [trees[f"shape-{at}"] for at in range(len(plan["shapes"]))]
        weights = [float(weight) for weight, _ in plan["shapes"]]
        rules = words.grammar.rules
        self._trees += [rule.tree for rule in rules]
        weights += [float(plan["rules"]) / len(rules)] * len(rules)
        self._weights = np.array(weights) / sum(weights)
        self._favour = {**plan["favour"], **(favour or {})}
        self._usable = {
            base.id
            for base in words.grammar.alphabet.bases
            if (parts := drawn_parts(base, words.inventory)) and all(part in drawable for part in parts)
        }
        self._terms: dict[Term, tuple[list[BaseNotation], np.ndarray]] = {}

    def __call__(self, rng: np.random.Generator) -> Sampled:
        """One notation."""
        for _ in range(1000):
            tree = self._trees[int(rng.choice(len(self._trees), p=self._weights))]
            found = self._derive(tree, rng)
            if not found or len(found) > self.longest or not _strings_fit(found):
                continue
            try:
                bases = self.words.encode("".join(base.name for base in found))
            except ReadingError:
                continue
            read = self.words.decode(bases)
            if read and len(bases) <= self.longest and self._drawable.issuperset(bases):
                return Sampled(read.reading, read.notation, bases)
        raise ReadingError("the reading rules of this graph derive no drawable notation", code="no-notation")

    def _derive(self, node: Node, rng: np.random.Generator) -> list[BaseNotation] | None:
        if isinstance(node, Term):
            return self._choose(node, rng)
        if isinstance(node, Seq):
            out: list[BaseNotation] = []
            for item in node.items:
                part = self._derive(item, rng)
                if part is None:
                    return None
                out += part
            return out
        if isinstance(node, Alt):
            for at in rng.permutation(len(node.items)):
                part = self._derive(node.items[int(at)], rng)
                if part is not None:
                    return part
            return None
        if isinstance(node, Rep):
            return self._repeat(node, rng)
        return self._derive(node.item, rng)

    def _repeat(self, node: Rep, rng: np.random.Generator) -> list[BaseNotation] | None:
        times = node.low
        chance = _OPTIONAL.get(_first_role(node.item), 0.4) if node.low == 0 else _SEVERAL
        while times < node.high and rng.random() < chance:
            times += 1
            chance = _SEVERAL
        out: list[BaseNotation] = []
        for count in range(times):
            part = self._derive(node.item, rng)
            if part is None:
                return out if count >= node.low else None
            out += part
        return out

    def _choose(self, term: Term, rng: np.random.Generator) -> list[BaseNotation] | None:
        if term not in self._terms:
            bases: list[BaseNotation] = []
            if term.role not in (ANY, "unit"):
                bases = [b for b in self.words.grammar.alphabet.matching(term) if b.id in self._usable]
            weights = np.array([self._favour.get(b.id, _CONTESTED.get(b.confidence, 1.0)) for b in bases])
            self._terms[term] = (bases, weights / weights.sum() if len(bases) else weights)
        found, chances = self._terms[term]
        return [found[int(rng.choice(len(found), p=chances))]] if found else None


def _strings_fit(found: list[BaseNotation]) -> bool:
    """Whether the strings written are as many as the graph says the techniques take (none at all is always fine).

    A second string under a stroke that takes one is met in old prints (the graph warns of it), so it is shown too.
    """
    strings = [base.number for base in found if "string" in base.roles]
    if not strings:
        return True
    limits = [base.max_strings for base in found if base.max_strings]
    return len(strings) <= max(2, max(limits, default=7))


def _first_role(node: Node) -> str:
    if isinstance(node, Term):
        return node.role
    if isinstance(node, Seq | Alt):
        return _first_role(node.items[0])
    return _first_role(node.item)
