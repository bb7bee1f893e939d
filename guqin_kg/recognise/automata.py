"""The open automaton, compiled once per grammar and vocabulary and then read from a file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np

from guqin_kg.recognise.automaton import Automaton
from guqin_kg.recognise.vocabulary import Vocabulary
from guqin_kg.recognise.words import Words

NAME = "automaton.npz"


def grammar_hash(words: Words, vocabulary: Vocabulary) -> str:
    """blake2b of what the automaton depends on: rules, words, roles, numbers, parts, and the vocabulary."""
    bases = [
        [b.id, b.name, sorted(b.roles), b.number, b.position_effect, b.written_as_parts, list(b.steps)]
        for b in words.grammar.alphabet.bases
    ]
    rules = [[rule.name, rule.priority, _written(rule.tree)] for rule in words.grammar.rules]
    text = json.dumps([bases, rules, vocabulary.hash])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _written(node: object) -> object:
    """A rule's tree as JSON-able lists, in its order; only the sets in it, which have none, are sorted."""
    if is_dataclass(node):
        return [type(node).__name__, *(_written(getattr(node, field.name)) for field in fields(node))]
    if isinstance(node, frozenset):
        return sorted(node)
    if isinstance(node, tuple):
        return [_written(item) for item in node]
    return node


def open_automaton(words: Words, vocabulary: Vocabulary, folder: Path) -> Automaton:
    """Every well-formed notation; from ``folder`` or the per-user cache when the grammar is the same."""
    import platformdirs

    key = grammar_hash(words, vocabulary)
    cache = Path(platformdirs.user_cache_dir("guqin-kg")) / f"automaton-{key}.npz"
    for path in (folder / NAME, cache):
        found = _read(path, key)
        if found is not None:
            return found
    machine = words.automaton(vocabulary)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs seconds, not the answer
        save(cache, machine, key)
    return machine


def save(path: Path, machine: Automaton, key: str) -> None:
    """Write an automaton with the hash of its grammar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.{os.getpid()}.npz")
    np.savez_compressed(part, table=machine.table, accepting=machine.accepting, key=np.array(key))
    part.replace(path)


def _read(path: Path, key: str) -> Automaton | None:
    try:
        with np.load(path, allow_pickle=False) as data:
            if str(data["key"]) == key:
                return Automaton(data["table"].astype(np.int32), data["accepting"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass
    return None


def with_word(machine: Automaton, token: int) -> Automaton:
    """The same automaton that also accepts ``token`` alone."""
    states = len(machine.table)
    table = np.concatenate([machine.table, np.full((1, machine.table.shape[1]), -1, np.int32)])
    table[machine.start, token] = states
    return Automaton(table, np.concatenate([machine.accepting, [True]]), machine.start)
