"""The forms that trainers take, as mirrors of their published schemas: what they do not accept is an error here.

Sources: MiniCPM-V ``finetune/readme.md`` (``id``, ``image``, ``conversations`` of ``role``/``content``, ``<image>`` in
the first question, 2,048 tokens unless ``--model_max_length`` says otherwise); LLaMA-Factory ``data/README.md``
(``sharegpt`` with ``conversations`` of ``from``/``value``, ``images``, entries of ``dataset_info.json``); ms-swift's
custom-dataset guide (``messages`` of ``role``/``content``, ``images``).
"""

from __future__ import annotations

from itertools import cycle
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

IMAGE = "<image>"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Message(_Strict):
    """One message with OpenAI's keys."""

    role: Literal["user", "assistant"]
    content: str = Field(min_length=1)


def _alternate(roles: list[str], first: str, second: str) -> None:
    expected = cycle((first, second))
    for number, (role, wanted) in enumerate(zip(roles, expected, strict=False), 1):
        if role != wanted:
            raise ValueError(f"message {number} is from {role}, expected {wanted}")
    if len(roles) % 2:
        raise ValueError("the conversation does not end with an answer")


def _marks(texts: list[str], images: int) -> None:
    found = sum(t.count(IMAGE) for t in texts)
    if found != images:
        raise ValueError(f"{found} image marks for {images} images")


class Messages(_Strict):
    """Plain messages: the contract's record without its provenance."""

    id: str
    images: list[str]
    messages: list[Message] = Field(min_length=2)

    @model_validator(mode="after")
    def _check(self) -> Messages:
        _alternate([m.role for m in self.messages], "user", "assistant")
        return self


class MiniCPM(_Strict):
    """One sample of MiniCPM-V's supervised fine-tuning file; its loader opens a picture for every sample."""

    id: str
    image: str
    conversations: list[Message] = Field(min_length=2)

    @model_validator(mode="after")
    def _check(self) -> MiniCPM:
        _alternate([m.role for m in self.conversations], "user", "assistant")
        _marks([m.content for m in self.conversations], 1)
        if IMAGE not in self.conversations[0].content:
            raise ValueError("the image mark must stand in the first question")
        return self


class ShareGPTMessage(_Strict):
    """One message with ShareGPT's keys; aliased because ``from`` is a word of Python."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    sender: Literal["human", "gpt"] = Field(alias="from")
    value: str = Field(min_length=1)


class ShareGPT(_Strict):
    """One sample of LLaMA-Factory's ``sharegpt`` formatting."""

    conversations: list[ShareGPTMessage] = Field(min_length=2)
    images: list[str] = []

    @model_validator(mode="after")
    def _check(self) -> ShareGPT:
        _alternate([m.sender for m in self.conversations], "human", "gpt")
        _marks([m.value for m in self.conversations], len(self.images))
        return self


class DatasetInfo(_Strict):
    """An entry of LLaMA-Factory's ``dataset_info.json``."""

    file_name: str
    formatting: Literal["alpaca", "sharegpt"]
    columns: dict[str, str]


class Swift(_Strict):
    """One line of an ms-swift data set."""

    messages: list[Message] = Field(min_length=2)
    images: list[str] = []

    @model_validator(mode="after")
    def _check(self) -> Swift:
        _alternate([m.role for m in self.messages], "user", "assistant")
        _marks([m.content for m in self.messages], len(self.images))
        return self


def with_mark(turns: list[dict[str, str]], images: list[str]) -> list[dict[str, str]]:
    """The turns with one image mark for each image before the first question."""
    if not images:
        return turns
    first = {**turns[0], "content": f"{IMAGE}\n" * len(images) + turns[0]["content"]}
    return [first, *turns[1:]]


def plain(record: dict[str, Any]) -> list[dict[str, str]]:
    """Role and content of the messages of a record."""
    return [{"role": m["role"], "content": m["content"]} for m in record["messages"]]


#: Room for role marks of one message, and for the image (64 tokens and its marks, unsliced).
MESSAGE_TOKENS = 8
IMAGE_TOKENS = 128


def token_bound(text: str) -> int:
    """An upper bound of the tokens of ``text``: a byte-level tokenizer never makes more tokens than there are bytes."""
    return len(text.encode())


def cut(turns: list[dict[str, str]], images: list[str], limit: int) -> list[list[dict[str, str]]]:
    """Conversations of at most ``limit`` tokens (by ``token_bound``), cut between turns, never inside an answer.

    Raises:
        ValueError: one turn alone is longer than the limit.
    """
    pieces: list[list[dict[str, str]]] = []
    current: list[dict[str, str]] = []
    base = IMAGE_TOKENS if images else 0
    used = base
    for question, answer in zip(turns[::2], turns[1::2], strict=True):
        size = sum(token_bound(m["content"]) + MESSAGE_TOKENS for m in (question, answer))
        if base + size > limit:
            raise ValueError(f"one turn may have {base + size} tokens; the limit is {limit}")
        if current and used + size > limit:
            pieces.append(current)
            current, used = [], base
        current += [question, answer]
        used += size
    return [*pieces, current] if current else pieces
