"""A character tokenizer: one token a character, one each for the speakers, the picture and the end of a turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from guqin_kg.inventory import Inventory

PAD, UNKNOWN, IMAGE, USER, ASSISTANT, END = "<pad>", "<unk>", "<image>", "<|user|>", "<|assistant|>", "<|end|>"
SPECIAL = (PAD, UNKNOWN, IMAGE, USER, ASSISTANT, END)

CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for c in m.content %}{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}"
    "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""How a conversation is written out; the part of a chat template that every trainer reads."""


def alphabet(texts: Iterable[str], inventory: Inventory) -> list[str]:
    """Every character of ``texts`` and of the words of the graph, sorted."""
    found = set("".join(texts))
    for base in inventory.bases:
        found.update(base.name, base.full_name or "", base.traditional or "")
    found.update(map(chr, range(0x20, 0x7F)))
    return sorted(c for c in found if c.isprintable())


def build(characters: Iterable[str]) -> Any:
    """A ``PreTrainedTokenizerFast`` over ``characters``; it is saved and loaded as any other."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [*SPECIAL, *(c for c in characters if c not in SPECIAL)]
    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token=UNKNOWN))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token=UNKNOWN,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[IMAGE, USER, ASSISTANT],
    )
    tokenizer.image_token = IMAGE
    return tokenizer
