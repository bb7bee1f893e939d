"""Pictures to notations: the face of the recogniser.

::

    from guqin_kg.recognise import Recogniser
    reader = Recogniser.open(adapter="wusheng-1457")
    for answer in reader.recognise(["a.png", "b.png"], top=3):
        print(answer["candidates"][0]["reading"])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from guqin_kg.errors import DataError, GuqinKGError, UsageError
from guqin_kg.notation.grammar import Grammar, default_grammar
from guqin_kg.notation.iri import notation_iri
from guqin_kg.recognise import automata, onnx_encoder, shelf, views
from guqin_kg.recognise.automaton import Automaton
from guqin_kg.recognise.beam import Hypothesis, search
from guqin_kg.recognise.candidate import Candidate, weighed
from guqin_kg.recognise.images import Fitted, fit, load_grey
from guqin_kg.recognise.network import Network
from guqin_kg.recognise.vocabulary import BEGIN, END, OTHER
from guqin_kg.recognise.words import Words

BATCH = 64

_MANY = 256
"""From so many pictures on it is worth a second to load onnxruntime (it takes a third off the time of the encoder)."""


_NOTHING, _BESIDE = "not a jianzi", "a jianzi, but none of the lexicon"
"""What is said of a picture without an answer."""


class Recogniser:
    """A loaded model with the graph's grammar.

    Args:
        model: weights, words and calibration.
        grammar: the graph's rules.
        lexicon: readings to which answers are restricted; None = every well-formed notation.
        beams: partial readings kept.
    """

    def __init__(
        self, model: shelf.Model, grammar: Grammar, lexicon: Iterable[str] | None = None, beams: int = 6
    ) -> None:
        self.model = model
        self.words = Words(grammar)
        self.vocabulary = model.vocabulary.named(grammar.inventory)
        self.beams = beams
        self.network, self.height, self.width = network_of(model)
        self.skipped: list[str] = []
        self._lexicon = list(dict.fromkeys(lexicon)) if lexicon is not None else None

    @classmethod
    def open(
        cls,
        *,
        base: Path | None = None,
        adapter: str | None = None,
        lexicon: Iterable[str] | None = None,
        grammar: Grammar | None = None,
        workspace: Path | None = None,
        beams: int = 6,
    ) -> Recogniser:
        """Load the bundled base (or ``base``), an adapter over it, and the grammar of the graph.

        Raises:
            NotFoundError: no such model or adapter.
            UsageError: the adapter belongs to another base.
        """
        return cls(shelf.load(base, adapter, workspace), grammar or default_grammar(), lexicon, beams)

    @cached_property
    def automaton(self) -> Automaton:
        """What may be answered: the open grammar or the lexicon, and "no jianzi"."""
        if self._lexicon is None:
            machine = automata.open_automaton(self.words, self.vocabulary, self.model.folder)
        else:
            machine = self._closed(self._lexicon)
        return automata.with_word(machine, OTHER)

    def _closed(self, lexicon: Sequence[str]) -> Automaton:
        from guqin_kg.recognise.automaton import from_sequences

        sequences = []
        teach = ""
        for reading in lexicon:
            try:
                sequences.append(self.vocabulary.encode(self.words.encode(reading))[1:-1])
            except GuqinKGError as error:
                self.skipped.append(f"{reading}: {error.message}")
                teach = str(error.hint) if error.code == "unknown-component" else teach
        if not sequences:
            raise DataError(
                "no reading of this lexicon can be recognised",
                code="empty-lexicon",
                hint="; ".join([teach or "one reading a line", *self.skipped[:3]]),
            )
        return from_sequences(sequences, len(self.vocabulary))

    @cached_property
    def unknown(self) -> list[str]:
        """Names of base notations of the graph that this model was never shown."""
        missing = self.vocabulary.missing(base for base in self.words.bases() if self.words.inventory.by_id[base].forms)
        return sorted({self.words.inventory.by_id[base].name for base in missing})

    # -- windows -------------------------------------------------------------------------------------------------

    def read(self, windows: np.ndarray, top: int = 5, careful: bool = False) -> list[list[Candidate]]:
        """Candidates for each window, best first.

        Args:
            windows: uint8 ``(n, height, width)``, ink 255 (see ``guqin_kg.recognise.images.fit``).
            top: how many at most.
            careful: see each window five times, moved by two pixels; takes five times as long.
        """
        moves = views.MOVES if careful else views.MOVES[:1]
        if len(windows) * len(moves) >= _MANY:
            onnx_encoder.hasten(self.network)
        temperature = float(self.model.calibration.get("temperature", 1.0))
        size = np.array([self.width, self.height], np.float32)
        out: list[list[Candidate]] = []
        for at in range(0, len(windows), BATCH):
            batch = windows[at : at + BATCH]
            seen = [self._seen(views.moved(batch, *move) if any(move) else batch, top) for move in moves]
            for rows in zip(*seen, strict=True):
                found = views.joined(rows, moves, size) if careful else rows[0]
                out.append(weighed(found, temperature)[:top])
        return out

    def _seen(self, windows: np.ndarray, top: int) -> list[list[Candidate]]:
        """Candidates for each window, without probabilities."""
        beams = max(self.beams, min(top + 1, 24))
        found = search(self.network, self.automaton, windows, begin=BEGIN, end=END, beams=beams, bonus=self._bonus)
        return [self._candidates(hypotheses) for hypotheses in found]

    @cached_property
    def _bonus(self) -> np.ndarray:
        bonus = np.zeros(len(self.vocabulary), np.float32)
        bonus[OTHER] = self.model.calibration.get("other_bias", 0.0)
        for gone in self.vocabulary.gone(self.words.inventory):
            bonus[gone] = -1e9
        return bonus

    def _candidates(self, hypotheses: list[Hypothesis]) -> list[Candidate]:
        rows: list[Candidate] = []
        for hypothesis in hypotheses:
            if hypothesis.tokens == (OTHER,):
                rows.append(Candidate(None, None, hypothesis.score, 0.0))
                continue
            bases = tuple(self.vocabulary.ids[token] for token in hypothesis.tokens)
            found = self.words.decode(bases)
            if found is not None and all(found.reading != row.reading for row in rows):
                rows.append(
                    Candidate(
                        found.reading,
                        found.notation,
                        hypothesis.score,
                        0.0,
                        hypothesis.token_scores,
                        hypothesis.boxes,
                        bases,
                    )
                )
        return rows

    # -- files ---------------------------------------------------------------------------------------------------

    def recognise(
        self, images: Sequence[str | Path | np.ndarray], top: int = 5, sequence: bool = False, careful: bool = False
    ) -> list[dict[str, Any]]:
        """One object per picture, in the order given; the contract's form.

        A picture that cannot be read gives ``{"image", "error": {...}}`` instead of candidates.

        Args:
            images: files, or grey uint8 arrays.
            top: how many candidates at most.
            sequence: the pictures are neighbours in a piece: let what follows what help to decide.
            careful: as for :meth:`read`.

        Raises:
            UsageError: ``top`` is less than 1.
        """
        if top < 1:
            raise UsageError(f"top is {top}: at least one candidate is asked for", hint="top=1 for the best alone")
        fitted: list[Fitted | None] = []
        errors: dict[int, GuqinKGError] = {}
        for at, image in enumerate(images):
            try:
                grey = image if isinstance(image, np.ndarray) else load_grey(image)
                if grey.ndim != 2 or grey.dtype != np.uint8 or not grey.size:
                    raise DataError(
                        "a picture array is uint8 (height, width)",
                        code="bad-image",
                        hint="Image.fromarray(array).convert('L') makes it grey",
                    )
                fitted.append(fit(grey, self.height, self.width))
            except GuqinKGError as error:
                fitted.append(None)
                errors[at] = error
        inked = [at for at, window in enumerate(fitted) if window is not None and not window.blank]
        windows = np.stack([fitted[at].pixels for at in inked]) if inked else np.zeros((0, self.height, self.width))  # type: ignore[union-attr]
        read = dict(zip(inked, self.read(windows, max(top, 8) if sequence else top + 1, careful), strict=True))
        if sequence:
            from guqin_kg.recognise import prior

            rows = prior.of_model(self.model).rerank([read[at] for at in inked], self.words)
            read = dict(zip(inked, rows, strict=True))
        known = self._known_openly(inked, windows, read)
        about = self.about()
        out = []
        for at, image in enumerate(images):
            row: dict[str, Any] = {"image": str(image) if not isinstance(image, np.ndarray) else None}
            window = fitted[at]
            if window is None:
                row |= {"candidates": [], "error": errors[at].to_json()}
            else:
                row |= self._answer(read.get(at, []), window, top, at in known)
            out.append({**row, "model": about})
        return out

    def about(self) -> dict[str, Any]:
        """Which model answered, over which graph, and what it cannot know."""
        row: dict[str, Any] = {
            "name": shelf.BASE,
            "base": self.model.folder.resolve().name,
            "weights": self.model.hash,
            "adapter": self.model.name if self.model.adapter else None,
            "vocabulary": self.vocabulary.hash,
            "graph": self.model.graph,
            "open": self._lexicon is None,
        }
        if self.unknown:
            row["unknown"] = self.unknown
            row["hint"] = (
                "the graph has components this model was never shown; "
                "teach them: guqin train recognizer --config extend --out DIR"
            )
        return row

    def _known_openly(
        self, places: Sequence[int], windows: np.ndarray, read: Mapping[int, list[Candidate]]
    ) -> frozenset[int]:
        """Of the pictures that are none of the lexicon, those that are a jianzi all the same."""
        if self._lexicon is None:
            return frozenset()
        without = [row for row, at in enumerate(places) if not read[at] or read[at][0].reading is None]
        if not without:
            return frozenset()
        openly = Recogniser(self.model, self.words.grammar, None, self.beams).read(windows[without], top=1)
        found = (places[row] for row, best in zip(without, openly, strict=True) if best and best[0].reading is not None)
        return frozenset(found)

    def _answer(self, candidates: list[Candidate], window: Fitted, top: int, openly: bool = False) -> dict[str, Any]:
        """The contract's form of an answer; ``openly``: none of the lexicon, but a jianzi."""
        jianzi = [row for row in candidates if row.reading is not None]
        rejected = window.blank or not jianzi or candidates[0].reading is None
        other = next((row.probability for row in candidates if row.reading is None), 1.0 if window.blank else 0.0)
        shown = [self._json(row, window) for row in jianzi[:top]]
        return {
            "jianzi": openly or not rejected,
            "other_probability": round(other, 4),
            "candidates": [] if rejected else shown,
            **({"message": _BESIDE if openly else _NOTHING, "rejected": shown} if rejected else {}),
        }

    def _json(self, row: Candidate, window: Fitted) -> dict[str, Any]:
        assert row.notation is not None
        at = 0
        components = []
        for part in self.words.parts(row.notation):
            size = len(part.bases)
            boxes, scores = row.boxes[at : at + size], row.token_scores[at : at + size]
            at += size
            box = (*boxes[:, :2].min(0).tolist(), *boxes[:, 2:].max(0).tolist())
            components.append(
                {
                    "name": part.name,
                    "role": part.role,
                    "box": window.to_file(box),
                    "probability": round(float(np.exp(sum(scores))), 4),
                }
            )
        return {
            "reading": row.reading,
            "iri": notation_iri(row.notation, self.words.grammar),
            "probability": round(row.probability, 4),
            "components": components,
        }


def network_of(model: shelf.Model) -> tuple[Network, int, int]:
    """The network with the height and width of its window, tried once on a blank one.

    Raises:
        DataError: weights, ``config.json`` and vocabulary do not belong together.
    """
    try:
        network = Network(model.weights, model.config)
        height, width = int(model.config["height"]), int(model.config["width"])
        memory = network.encode(np.zeros((1, height, width), np.uint8))
        logits = network.step(np.array([BEGIN]), np.array([0]), network.start(1), memory)[0]
        if logits.shape[-1] != len(model.vocabulary):
            raise ValueError(f"the weights know {logits.shape[-1]} words, the vocabulary has {len(model.vocabulary)}")
    except (KeyError, ValueError, TypeError, IndexError, ArithmeticError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"this is not a whole recogniser: {what}",
            code="bad-model",
            file=model.folder,
            hint="config.json, model.safetensors and vocabulary.json must be of one run; copy the folder again",
        ) from None
    return network, height, width


__all__ = ["Candidate", "Recogniser"]
