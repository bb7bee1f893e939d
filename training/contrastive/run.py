"""The contrastive recipe: build or load the encoders, train with the class-aware loss, measure ranks, save.

One process or many: under ``torchrun`` the rows of all processes are contrasted together and gradients averaged, so
that several processes give the losses of one with the same total batch.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from guqin_kg.errors import DataError, MissingExtraError
from training import checkpoint
from training.contrastive import measure
from training.contrastive.config import ContrastiveTraining
from training.contrastive.data import Items
from training.contrastive.loss import ContrastiveLoss, SyncedBatchNorm
from training.contrastive.model import HubTowers, Towers, TowersConfig


def world() -> tuple[int, int]:
    """(rank, processes) of this run, joining the group that torchrun prepared."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return (torch.distributed.get_rank(), size) if size > 1 else (0, 1)


def build(config: ContrastiveTraining, items: Items, trust_remote_code: bool = False) -> nn.Module:
    """The encoders of the run, with LoRA where the configuration asks for it."""
    torch.manual_seed(config.seed)
    model: nn.Module
    if config.base:
        model = HubTowers(config.base, trust_remote_code)
    else:
        alphabet = "".join(sorted(set("".join(items.texts))))
        shape = {**config.towers.model_dump(), "initial_temperature": config.temperature}
        model = Towers(TowersConfig(characters=alphabet, modalities=config.modalities, **shape))
        if config.start:
            from training.recogniser.bundle import read

            model.towers["image"].start_from(read(Path(config.start))[0])  # type: ignore[operator]
    if config.lora is not None and (config.base or config.start):
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError:
            raise MissingExtraError("peft", "train") from None
        lora = LoraConfig(
            r=config.lora.rank,
            lora_alpha=config.lora.alpha,
            lora_dropout=config.lora.dropout,
            target_modules=config.lora.target_modules,
        )
        inject_adapter_in_model(lora, model)
        _only_adapted(model, config)
    return SyncedBatchNorm.convert(model) if world()[1] > 1 else model


def _only_adapted(model: nn.Module, config: ContrastiveTraining) -> None:
    """Train the adapters, and whatever was not pretrained (pools, towers that started from nothing)."""
    fresh = ("pool.", "towers.text.", "towers.audio.", "log_scale") if config.start else ("logit_scale",)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name or any(part in name for part in fresh))


def inputs_of(model: nn.Module, items: Items, rows: np.ndarray, config: ContrastiveTraining) -> dict[str, Any]:
    """What the encoders take for the image rows ``rows`` and their texts and sounds."""
    labels = items.labels[rows]
    texts = [items.texts[label] for label in labels]
    out: dict[str, Any] = {}
    if isinstance(model, HubTowers):
        from PIL import Image

        out["image"] = [Image.fromarray(255 - items.images[row]).convert("RGB") for row in rows]
        out["text"] = texts
        return out
    assert isinstance(model, Towers)
    out["image"] = torch.from_numpy(np.asarray(items.images[rows])).float().div_(255).unsqueeze(1)
    out["text"] = model.text_tensor(texts)
    if items.audio is not None and "audio" in config.modalities:
        out["audio"] = torch.from_numpy(items.audio[labels])
    return out


def train(
    model: nn.Module,
    items: Items,
    config: ContrastiveTraining,
    out: Path,
    *,
    quiet: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Train in place; the log goes to ``out/log.jsonl``, checkpoints to ``out/checkpoint`` and are gone on from.

    Returns:
        The rows of the log.

    Raises:
        DataError: the loss is no longer a number, or a checkpoint that belongs to another configuration.
    """
    rank, processes = world()
    torch.set_num_threads(config.threads)
    out.mkdir(parents=True, exist_ok=True)
    loss_of = ContrastiveLoss(config.class_aware)
    wanted = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(wanted, lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.95))
    per_epoch = max(1, len(items.train) // config.batch)
    steps = config.max_steps or per_epoch * config.epochs
    place = out / "checkpoint"
    saved = checkpoint.take(place, optimiser, model=_trained(model)) or {"step": 0, "spent": 0.0}
    step, spent = int(saved["step"]), float(saved["spent"])
    rows: list[dict[str, Any]] = []
    tell = say or (lambda text: print(text, file=sys.stderr))  # noqa: T201 — progress belongs on standard error
    began = time.time() - spent
    sums: list[float] = []
    while step < steps:
        progress = step / steps
        if config.max_minutes:
            progress = max(progress, (time.time() - began) / 60 / config.max_minutes)
        if progress >= 1:
            break
        rate = config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup))
        rate *= 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)) if config.warmup else 1.0
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = _step(model, items, config, loss_of, optimiser, wanted, step, per_epoch, rank, processes)
        sums.append(loss)
        step += 1
        if step % config.log_every == 0 or step == steps:
            row = {
                "step": step,
                "loss": round(float(np.mean(sums)), 5),
                "minutes": round((time.time() - began) / 60, 2),
            }
            rows.append(row)
            sums = []
            if rank == 0:
                with (out / "log.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                if not quiet:
                    left = (time.time() - began) * (1 - progress) / max(progress, 1e-6) / 60
                    tell(f"step {step}/{steps} loss {row['loss']} about {left:.0f} min left")
        if rank == 0 and (step % config.checkpoint_every == 0):
            checkpoint.keep(place, {"step": step, "spent": time.time() - began}, optimiser, model=_trained(model))
    if rank == 0:
        checkpoint.keep(place, {"step": step, "spent": time.time() - began}, optimiser, model=_trained(model))
    model.eval()
    return rows


def _step(
    model: nn.Module,
    items: Items,
    config: ContrastiveTraining,
    loss_of: ContrastiveLoss,
    optimiser: torch.optim.Optimizer,
    wanted: list[nn.Parameter],
    step: int,
    per_epoch: int,
    rank: int,
    processes: int,
) -> float:
    epoch, at = divmod(step, per_epoch)
    order = np.random.default_rng([config.seed, epoch]).permutation(items.train)
    batch = np.sort(order[at * config.batch : (at + 1) * config.batch])
    batch = batch[rank::processes][: len(batch) // processes] if processes > 1 else batch
    torch.manual_seed((config.seed << 20) + step)
    model.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
        vectors: Mapping[str, Tensor] = model(**inputs_of(model, items, batch, config))
    vectors = {name: rows.float() for name, rows in vectors.items()}
    labels = torch.from_numpy(items.labels[batch].astype(np.int64))
    scale = model.scale()  # type: ignore[operator]
    loss = loss_of(vectors, labels, scale if config.learn_temperature else scale.detach())
    if not torch.isfinite(loss):
        raise DataError(f"the loss is not a number at step {step}", hint="lower learning_rate and start again")
    loss.backward()
    if processes > 1:
        for parameter in wanted:
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= processes
    nn.utils.clip_grad_norm_(wanted, 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return float(loss.detach())


def embed(
    model: nn.Module, items: Items, rows: np.ndarray, config: ContrastiveTraining, batch: int = 256
) -> dict[str, np.ndarray]:
    """Vectors of the images ``rows``, and of all texts and sounds of the run."""
    model.eval()
    found: dict[str, list[np.ndarray]] = {"image": [], "text": [], "audio": []}
    with torch.no_grad():
        for start in range(0, len(rows), batch):
            part = inputs_of(model, items, rows[start : start + batch], config)
            found["image"].append(model(image=part["image"])["image"].float().numpy())
        for start in range(0, len(items.texts), batch):
            texts = list(items.texts[start : start + batch])
            value = model.text_tensor(texts) if isinstance(model, Towers) else texts
            found["text"].append(model(text=value)["text"].float().numpy())
            if items.audio is not None and "audio" in config.modalities:
                sounds = torch.from_numpy(items.audio[start : start + batch])
                found["audio"].append(model(audio=sounds)["audio"].float().numpy())
    return {name: np.concatenate(parts) for name, parts in found.items() if parts}


def figures(model: nn.Module, items: Items, config: ContrastiveTraining) -> dict[str, Any]:
    """In-batch and full-gallery ranks of the held-out images, in every direction the modalities allow."""
    vectors = embed(model, items, items.held, config)
    truth = items.labels[items.held]
    size = max(2, min(12, len(truth)))
    out: dict[str, Any] = {
        "image_to_text_in_batch": measure.in_batch(vectors["image"], vectors["text"], truth, size),
        "image_to_text": measure.gallery(vectors["image"], vectors["text"], truth),
    }
    if "audio" in vectors:
        out["image_to_audio"] = measure.gallery(vectors["image"], vectors["audio"], truth)
        every = np.arange(len(items.texts))
        out["text_to_audio"] = measure.gallery(vectors["text"], vectors["audio"], every)
        out["audio_to_text"] = measure.gallery(vectors["audio"], vectors["text"], every)
    return out


def save(model: nn.Module, out: Path, config: ContrastiveTraining, report: Mapping[str, Any]) -> None:
    """Write the model folder: safetensors, config and ``training.json`` with the figures."""
    out.mkdir(parents=True, exist_ok=True)
    if isinstance(model, Towers):
        model.save_pretrained(out)
    else:
        from safetensors.torch import save_file

        changed = {n: p.detach().contiguous() for n, p in model.named_parameters() if p.requires_grad}
        save_file(changed, out / "adapter.safetensors")
    about = {"config": config.model_dump(mode="json"), "figures": dict(report)}
    (out / "training.json").write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _trained(model: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint keeps: trained weights and buffers."""
    kept = {n: p for n, p in model.named_parameters() if p.requires_grad}
    return kept | {f"buffer.{n}": b for n, b in model.named_buffers()}
