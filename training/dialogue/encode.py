"""Conversations to tensors: the same way for every model that has a processor, loss on the assistant's turns only."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from guqin_kg.errors import DataError
from training.dialogue.records import Turn

IGNORED = -100
_PER_TOKEN = frozenset({"input_ids", "attention_mask", "labels", "token_type_ids", "mm_token_type_ids"})


def messages_of(turns: Sequence[Turn], *, answered: int | None = None) -> list[dict[str, Any]]:
    """Turns in the form chat templates take, the picture before the first question.

    Args:
        turns: the turns.
        answered: how many of them get their answer (default: all).
    """
    out: list[dict[str, Any]] = []
    for at, turn in enumerate(turns):
        text = {"type": "text", "text": turn.question}
        out.append({"role": "user", "content": [{"type": "image"}, text] if at == 0 else [text]})
        if answered is None or at < answered:
            out.append({"role": "assistant", "content": [{"type": "text", "text": turn.answer}]})
    return out


class Encoder:
    """Writes conversations with a processor's chat template and tokenizer.

    Args:
        processor: of the model.
        max_tokens: longer conversations lose their last turns, never image tokens.
    """

    def __init__(self, processor: Any, max_tokens: int = 2048) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.max_tokens = max_tokens
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    def _text(self, messages: list[dict[str, Any]], ask: bool = False) -> str:
        return str(self.processor.apply_chat_template(messages, add_generation_prompt=ask, tokenize=False))

    def _lengths(self, text: str, places: Sequence[int]) -> list[int]:
        """How many tokens the first ``places`` characters of a text are."""
        if self.tokenizer.is_fast:
            made = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            ends = [end for _, end in made["offset_mapping"]]
            return [bisect_right(ends, place) for place in places]
        return [len(self.tokenizer(text[:place], add_special_tokens=False)["input_ids"]) for place in places]

    def _tensors(self, text: str, image: Image.Image | Tensor) -> dict[str, Tensor]:
        if isinstance(image, Tensor):  # features of the picture, (1, tokens, hidden)
            sign = self.processor.image_token
            made = self.tokenizer(text.replace(sign, sign * image.shape[1]), add_special_tokens=False)
            ids = torch.tensor([made["input_ids"]])
            return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": image}
        # no truncation: it would cut image tokens
        made = self.processor(images=[image], text=[text], return_tensors="pt", add_special_tokens=False)
        return {name: value for name, value in made.items() if isinstance(value, Tensor)}

    def sample(self, image: Image.Image | Tensor, turns: Sequence[Turn]) -> dict[str, Tensor]:
        """Tensors of one conversation about a picture (or its features, see :mod:`training.dialogue.sight`).

        ``labels`` (1, length) are the tokens of answers, and ``IGNORED`` elsewhere.

        Raises:
            DataError: the template writes earlier turns otherwise once later ones follow, or not even one turn fits.
        """
        kept = list(turns)
        while kept:
            messages = messages_of(kept)
            whole = self._text(messages)
            made = self._tensors(whole, image)
            length = made["input_ids"].shape[1]
            if length <= self.max_tokens:
                made["labels"] = self._labels(messages, whole, made["input_ids"])
                return made
            kept = kept[: max(0, min(len(kept) - 1, len(kept) * self.max_tokens // length))]
        raise DataError("not even one turn fits into max_tokens", hint="raise max_tokens in the configuration")

    def _labels(self, messages: list[dict[str, Any]], whole: str, ids: Tensor) -> Tensor:
        labels = torch.full_like(ids, IGNORED)
        places = [len(whole)]
        for at, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before, after = self._text(messages[:at], ask=True), self._text(messages[: at + 1])
            if not (whole.startswith(before) and whole.startswith(after)):
                raise DataError(
                    "this model's chat template rewrites earlier turns, so the loss cannot be put on answers alone",
                    hint="set turns_each: 1 in the configuration",
                )
            places += [len(before), len(after)]
        length, *edges = self._lengths(whole, places)
        more = ids.shape[1] - length  # what the picture takes beyond its one sign; it comes first
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            labels[0, start + more : end + more] = ids[0, start + more : end + more]
        return labels

    def question(self, image: Image.Image, text: str) -> dict[str, Tensor]:
        """Tensors that end where the answer to one question begins."""
        return self._tensors(self._text(messages_of([Turn(text, "", "")], answered=0), ask=True), image)

    def collate(self, samples: Sequence[dict[str, Tensor]], *, left: bool = False) -> dict[str, Tensor]:
        """Samples as one batch, padded on the right (on the ``left`` for generation)."""
        longest = max(sample["input_ids"].shape[1] for sample in samples)
        fill = {"input_ids": self.tokenizer.pad_token_id, "labels": IGNORED}
        out: dict[str, Tensor] = {}
        for name in samples[0]:
            rows = [sample[name] for sample in samples]
            if name in _PER_TOKEN:
                padded = []
                for row in rows:
                    room = longest - row.shape[1]
                    sides = (room, 0) if left else (0, room)
                    padded.append(torch.nn.functional.pad(row, sides, value=fill.get(name, 0)))
                rows = padded
            out[name] = torch.cat(rows)
        return out


def answers(
    model: Any, encoder: Encoder, pairs: Sequence[tuple[Image.Image, str]], *, tokens: int = 128, batch: int = 64
) -> list[str]:
    """What the model answers to each (picture, question), greedily: the same every time."""
    model.eval()
    out: list[str] = []
    with torch.no_grad():
        for start in range(0, len(pairs), batch):
            rows = [encoder.question(*pair) for pair in pairs[start : start + batch]]
            given = {name: value.to(model.device) for name, value in encoder.collate(rows, left=True).items()}
            made = model.generate(
                **given, max_new_tokens=tokens, do_sample=False, pad_token_id=encoder.tokenizer.pad_token_id
            )
            new = made[:, given["input_ids"].shape[1] :]
            out += [text.strip() for text in encoder.tokenizer.batch_decode(new, skip_special_tokens=True)]
    return out
