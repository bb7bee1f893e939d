"""Laying LoRA over a model and writing it, without what peft does besides: look-ups on the network and warnings."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from guqin_kg.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from training.recogniser.crops import Crops

FILES = ("adapter_config.json", "adapter_model.safetensors")


def targets_of(model: nn.Module, pattern: str) -> str | list[str]:
    """The pattern, or the layers it means where it fits more: bases of other people have blocks of the same names.

    Raises:
        UsageError: it fits no layer.
    """
    found = [(name, module) for name, module in model.named_modules() if re.fullmatch(pattern, name)]
    layers = [name for name, module in found if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)]
    if not layers:
        raise UsageError(
            f"lora.target_modules: no layer of this base matches {pattern!r}",
            code="bad-config",
            hint=r"a regular expression over whole names, such as '.*\.(query|key|value|output)'",
        )
    return pattern if len(layers) == len(found) else layers


def wrapped(model: nn.Module, settings: Any, name: str = "default") -> Any:
    """``model`` with the adapter ``name`` of ``settings`` (a peft ``LoraConfig``); only it is trained."""
    from peft import get_peft_model

    with _hushed():
        return get_peft_model(model, settings, adapter_name=name)


def laid_beside(adapted: Any, name: str, settings: Any) -> None:
    """Give ``adapted`` one more adapter of ``settings``, the only one that is then in use and trained."""
    with _hushed():
        adapted.add_adapter(name, settings)
    adapted.set_adapter(name)


def mean(adapted: Any, members: Sequence[str]) -> None:
    """Put the mean of the adapters ``members`` in their place, as one adapter of the sum of their ranks.

    Their products are averaged, not their factors: the model moves by the mean of what each moves it by (Wortsman et
    al., Model soups, 2022).
    """
    shares = [1 / len(members)] * len(members)
    with _hushed():
        adapted.add_weighted_adapter(list(members), shares, "default", combination_type="cat")
    adapted.set_adapter("default")
    # peft joins the patterns of all; they are one and the same
    adapted.peft_config["default"].target_modules = adapted.peft_config[members[0]].target_modules
    for name in members:
        adapted.delete_adapter(name)


def loaded(model: nn.Module, folder: str) -> Any:
    """``model`` with the adapter in ``folder``, which can be trained on."""
    from peft import PeftModel

    with _hushed():
        return PeftModel.from_pretrained(model, folder, is_trainable=True, local_files_only=True)


@contextmanager
def _hushed() -> Iterator[None]:
    """peft asks transformers by a name that is being replaced; nothing a user could do about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def facts(name: str, graph: str, crops: Crops, credit: str, command: str, config: BaseModel) -> dict[str, Any]:
    """What ``adapter.json`` says of every adapter for a book: its crops, where they are from, how it was made."""
    return {
        "name": name,
        "graph": graph,
        "crops": len(crops.rows),
        "readings": len({row.reading for row in crops.rows}),
        "left_out": len(crops.skipped),
        "credit": credit,
        "command": command,
        "config": config.model_dump(mode="json"),
    }


def save(adapted: Any, out: Path, base: str) -> None:
    """Write peft's two files to the folder ``out``, each whole; the card is for the recipe to write.

    Args:
        adapted: the wrapped model.
        out: the folder.
        base: what the adapter says it lies over. Not looked up: left to itself, peft asks the hub whether the
            vocabulary of a model of this name has changed.
    """
    adapted.peft_config["default"].base_model_name_or_path = base
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".adapter-") as part:
        adapted.save_pretrained(part, safe_serialization=True, save_embedding_layers=False)
        for name in FILES:
            (Path(part) / name).replace(out / name)
