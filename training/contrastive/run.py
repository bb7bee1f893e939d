"""The contrastive recipe: build or load the encoders, train with the class-aware loss, measure ranks, save.

One process or many: under ``torchrun`` the rows of all processes are contrasted together and gradients averaged, so
that several processes give the losses of one with the same total batch.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from guqin_kg import resources
from guqin_kg.errors import DataError, LimitError, MissingExtraError, NotFoundError, UsageError
from guqin_kg.recognise.weights import file_hash, read_safetensors
from training import checkpoint, lora, processes
from training.contrastive.config import ContrastiveTraining
from training.contrastive.data import Items, origin_of
from training.contrastive.loss import ContrastiveLoss, SyncedBatchNorm
from training.contrastive.model import HubTowers, Towers, TowersConfig, pictures
from training.quiet import no_bars
from training.recogniser.augment import augment
from training.recogniser.loop import refuse_other


def inner(model: nn.Module) -> nn.Module:
    """The encoders themselves, without the wrapping of peft."""
    found = getattr(model, "get_base_model", None)
    return found() if found else model


def is_ours(folder: Path) -> bool:
    """Whether this is the folder of towers trained here (else it is a base of other people's)."""
    try:
        about = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("model_type") == TowersConfig.model_type


def read(folder: Path) -> Towers:
    """Towers trained here, in single precision.

    Raises:
        NotFoundError: no such model.
        DataError: damaged, or files that do not belong together.
    """
    if not (folder / "model.safetensors").is_file() or not is_ours(folder):
        raise NotFoundError(f"no contrastive model in {folder}", hint="guqin train contrastive --config ours --out DIR")
    read_safetensors(folder / "model.safetensors")  # damaged files are refused in one line
    no_bars()
    try:
        return Towers.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise DataError(
            f"config.json and the weights do not belong together: {(str(error).splitlines() or [''])[0]}",
            code="bad-model",
            file=folder,
            hint="copy the folder again, or train it anew: guqin train contrastive --config ours --out DIR",
        ) from None


def build(config: ContrastiveTraining, items: Items, trust_remote_code: bool = False) -> nn.Module:
    """The encoders of the run, with LoRA where the configuration asks for it."""
    torch.manual_seed(config.seed)
    model: nn.Module
    base = bundled_or(config.base, "contrastive")
    if base and is_ours(Path(base)):
        model = read(Path(base)).with_modalities(config.modalities)
    elif base:
        _refuse_beyond(config)
        model = HubTowers(base, trust_remote_code)
    else:
        alphabet = "".join(sorted(set("".join(items.texts))))
        shape = {**config.towers.model_dump(), "initial_temperature": config.temperature}
        model = Towers(TowersConfig(characters=alphabet, modalities=config.modalities, **shape))
        start = bundled_or(config.start, "recogniser")
        if start:
            from training.recogniser import bundle

            model.towers["image"].start_from(bundle.read(Path(start))[0])  # type: ignore[operator]
    for part in config.frozen:
        part_of(model, part).requires_grad_(False)
    if isinstance(model, Towers):
        # the memory order that is quickest for convolutions on a CPU
        nn.Module.to(model.towers["image"], memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.lora is not None and (base or config.start):
        model = adapted(model, config)
    model = SyncedBatchNorm.convert(model) if processes.world()[1] > 1 else model
    return model.to(processes.device())


def _refuse_beyond(config: ContrastiveTraining) -> None:
    """Refuse what only towers trained here can do, before a base of other people is loaded.

    Raises:
        UsageError: names the keys.
    """
    asked = [key for key in ("head_steps", "hard_negatives", "frozen") if getattr(config, key)]
    if asked or "audio" in config.modalities:
        what = ", ".join([*asked, *(["modalities: audio"] if "audio" in config.modalities else [])])
        raise UsageError(
            f"a base of other people has image and text encoders alone, which are trained together: not {what}",
            hint="leave it out of the configuration, or take a --base trained here",
        )


def bundled_or(name: str | None, kind: str) -> str | None:
    """``bundled`` as the folder of the bundled model of this kind; other names as they are."""
    return str(resources.folder("models") / kind) if name == "bundled" else name


def origin_weights(config: ContrastiveTraining) -> dict[str, str]:
    """Hashes of the weights that a run starts from, where they are one file of a folder here."""
    found = {}
    for key, kind in (("base", "contrastive"), ("start", "recogniser")):
        weights = Path(bundled_or(getattr(config, key), kind) or "") / "model.safetensors"
        if weights.is_file():
            found[key] = file_hash(weights)
    return found


def part_of(model: nn.Module, part: str) -> nn.Module:
    """A tower, or the convolutions of the image tower.

    Raises:
        UsageError: this base has no such part.
    """
    towers = getattr(model, "towers", {})
    if part == "stem" and "image" in towers:
        return towers["image"].stem
    if part not in towers:
        raise UsageError(f"this base has no part {part!r} that could be frozen", hint="leave `frozen` empty")
    return towers[part]


def adapted(model: nn.Module, config: ContrastiveTraining) -> nn.Module:
    """The model wrapped with LoRA: only adapters are trained, and what was not pretrained."""
    try:
        from peft import LoraConfig
    except ImportError:
        raise MissingExtraError("peft", "train") from None
    assert config.lora is not None
    settings = LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=lora.targets_of(model, config.lora.target_modules),
    )
    fresh: tuple[str, ...] = ("log_scale", "logit_scale")
    known = getattr(model, "pretrained_modalities", None)
    if config.start and not config.base:
        fresh += (".pool.", "towers.text.", "towers.audio.")
    elif known is not None:
        fresh += tuple(f"towers.{name}." for name in model.config.modalities if name not in known)  # type: ignore
    wrapped = lora.wrapped(model, settings)
    for name, parameter in wrapped.named_parameters():
        if any(part in name for part in fresh) and ".base_layer." not in name:
            parameter.requires_grad_(True)
    return wrapped


def inputs_of(
    model: nn.Module, items: Items, rows: np.ndarray, config: ContrastiveTraining, images: bool = True
) -> dict[str, Any]:
    """What the encoders take for the image rows ``rows`` (unless ``images`` is False), their texts and sounds."""
    model = inner(model)
    labels = items.labels[rows]
    texts = [items.texts[label] for label in labels]
    out: dict[str, Any] = {}
    if isinstance(model, HubTowers):
        out["image"] = pictures(items.images[rows])
        out["text"] = texts
        return out
    assert isinstance(model, Towers)
    if images:
        pixels = torch.from_numpy(np.asarray(items.images[rows])).float().div_(255).unsqueeze(1)
        out["image"] = pixels.contiguous(memory_format=torch.channels_last)
    out["text"] = model.text_tensor(texts)
    if items.audio is not None and "audio" in config.modalities:
        out["audio"] = torch.from_numpy(items.audio[labels])
    return out


def negatives(items: Items, batch: np.ndarray, config: ContrastiveTraining, step: int) -> np.ndarray:
    """Classes of ``hard_negatives`` further texts for each row of ``batch``: readings near its own, else any."""
    assert items.near is not None
    rng = np.random.default_rng([config.seed, step, 9])
    near = items.near[items.labels[batch]]
    order = rng.permuted(np.tile(np.arange(near.shape[1]), (len(batch), 1)), axis=1)[:, : config.hard_negatives]
    chosen = np.take_along_axis(near, order, 1)
    anyone = rng.integers(0, len(items.texts), chosen.shape)
    return np.where(chosen < 0, anyone, chosen).astype(np.int64)


@dataclass(frozen=True)
class Trained:
    """How far a run is, over all its calls.

    Attributes:
        step: steps taken.
        minutes: spent on them.
        rows: of the log; empty where no step was taken.
    """

    step: int
    minutes: float
    rows: list[dict[str, Any]]

    @property
    def loss(self) -> float | None:
        """Mean of the last row."""
        return float(self.rows[-1]["loss"]) if self.rows else None

    def figures(self) -> dict[str, Any]:
        """For the model folder: steps, loss, minutes."""
        return {"steps": self.step, "loss": self.loss, "minutes": self.minutes}


def train(
    model: nn.Module,
    items: Items,
    config: ContrastiveTraining,
    out: Path,
    *,
    quiet: bool = False,
    say: Callable[[str], None] | None = None,
    batches: Any = None,
) -> Trained:
    """Train in place; the log goes to ``out/log.jsonl``, checkpoints to ``out/checkpoint`` and are gone on from.

    The model ends with the averaged weights where ``config.average`` asks for an average. ``batches`` (as
    :class:`Batches`) replaces those of ``items``.

    Returns:
        How far the run is; what earlier calls did counts.

    Raises:
        DataError: the loss is no longer a number, or a damaged checkpoint.
        UsageError: a checkpoint of another configuration, graph, list of readings, alphabet or base.
    """
    rank, count = processes.world()
    torch.set_num_threads(config.threads)
    out.mkdir(parents=True, exist_ok=True)
    batches = batches or Batches(model, items, config)
    optimiser = torch.optim.AdamW(_groups(model, config), betas=(0.9, 0.95))
    wanted = {n: p for n, p in model.named_parameters() if p.requires_grad}
    average = {n: p.detach().clone() for n, p in wanted.items()} if config.average else {}
    steps = config.max_steps or batches.per_epoch * config.epochs
    place = out / "checkpoint"
    states = {"model": _trained(model)} | ({"average": average} if average else {})
    towers = inner(model)
    alphabet = towers.config.characters if isinstance(towers, Towers) else None  # others have their own tokenizer
    weights = {f"weights of {key}": found for key, found in origin_weights(config).items()}
    settings = config.model_dump(mode="json") | origin_of(items, alphabet) | weights
    refuse_other(place, settings)
    saved = checkpoint.take(place, optimiser, settings, **states) or {"step": 0, "spent": 0.0}
    step, spent = int(saved["step"]), float(saved["spent"])
    rows = _log_until(step, out, rank)
    tell = say or (lambda text: print(text, file=sys.stderr))  # noqa: T201 — progress belongs on standard error
    began, began_at = time.time() - spent, step
    sums: list[float] = []

    def told() -> None:
        rows.append({"step": step, "loss": round(float(np.mean(sums)), 5), "minutes": _minutes(time.time() - began)})
        sums.clear()
        if rank == 0:
            with (out / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1]) + "\n")

    while step < steps:
        progress = step / steps
        if config.max_minutes:
            gone = (time.time() - began) / 60
            if count > 1:  # every process must take the same decision
                gone = processes.total(gone) / count
            progress = max(progress, gone / config.max_minutes)
        if progress >= 1:
            break
        rate = min(1.0, (step + 1) / max(1, config.warmup))
        rate *= 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)) if config.warmup else 1.0
        for group in optimiser.param_groups:
            group["lr"] = rate * group["full_rate"]
        sums.append(_step(model, batches, config, optimiser, list(wanted.values()), step))
        if average:
            decay = min(config.average, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(list(average.values()), list(wanted.values()), 1 - decay)
        step += 1
        if step % config.log_every == 0 or step == steps:
            told()
            if rank == 0 and not quiet:
                done = max(progress, step / steps)
                left = (time.time() - began) * (1 - done) / done / 60
                tell(f"step {step}/{steps} loss {rows[-1]['loss']} about {left:.0f} min left")
        if rank == 0 and step % config.checkpoint_every == 0:
            checkpoint.keep(place, {"step": step, "spent": time.time() - began}, optimiser, settings, **states)
    if sums:  # ended by the clock between two rows
        told()
    if step > began_at:
        spent = time.time() - began
        if rank == 0:
            checkpoint.keep(place, {"step": step, "spent": spent}, optimiser, settings, **states)
    with torch.no_grad():
        for name, value in average.items():
            wanted[name].copy_(value)
    model.eval()
    return Trained(step, _minutes(spent), rows)


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 2)


def _log_until(step: int, out: Path, rank: int) -> list[dict[str, Any]]:
    """The rows of this run up to ``step``; the first process leaves no others in the log.

    Others are of a run that was here before, or of steps after the last checkpoint, which are taken again.
    """
    path = out / "log.jsonl"
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            if 0 < row["step"] <= step and math.isfinite(row["loss"]):
                rows.append(row)
        except (ValueError, KeyError, TypeError):  # a line cut off when the run was killed
            continue
    if rank == 0:
        part = path.with_suffix(".part")
        part.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        part.replace(path)
    return rows


def _groups(model: nn.Module, config: ContrastiveTraining) -> list[dict[str, Any]]:
    """Trained weights for the optimiser: matrices decay, vectors do not; what was taken over learns more slowly."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            taken = bool(config.start) and "towers.image." in name and ".pool." not in name and "lora_" not in name
            groups.setdefault((taken, parameter.ndim >= 2), []).append(parameter)
    return [
        {
            "params": rows,
            "weight_decay": config.weight_decay if decays else 0.0,
            "full_rate": config.learning_rate * (config.encoder_rate if taken else 1.0),
        }
        for (taken, decays), rows in groups.items()
    ]


class Batches:
    """From a step to what the encoders take, the same for every number of processes.

    Args:
        model: whose encoder the cached features are of, where ``head_steps`` asks for them.
        items: data of the run.
        config: the run.
    """

    def __init__(self, model: nn.Module, items: Items, config: ContrastiveTraining) -> None:
        self.model, self.items, self.config = model, items, config
        self.per_epoch = max(1, len(items.train) // config.batch)
        self.rank, self.processes = processes.world()
        self._order: tuple[int, np.ndarray] = (-1, items.train)
        self.features = self._features() if config.head_steps else None

    def __call__(self, step: int) -> tuple[dict[str, Any], Tensor, Tensor | None]:
        """Inputs of this process, classes of their rows, classes of the further texts."""
        config, items = self.config, self.items
        epoch, at = divmod(step, self.per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, np.random.default_rng([config.seed, epoch]).permutation(items.train))
        batch = np.sort(self._order[1][at * config.batch : (at + 1) * config.batch])
        more = negatives(items, batch, config, step) if items.near is not None and config.hard_negatives else None
        if self.processes > 1:
            mine = slice(self.rank, len(batch) // self.processes * self.processes, self.processes)
            batch, more = batch[mine], None if more is None else more[mine]
        head = step < config.head_steps
        inputs = inputs_of(self.model, items, batch, config, images=not head)
        if head:
            assert self.features is not None
            inputs["features"] = torch.from_numpy(self.features[batch]).float()
        elif config.augment and isinstance(inputs["image"], Tensor):
            generator = torch.Generator().manual_seed((config.seed << 32) + step * self.processes + self.rank)
            empty = torch.zeros(len(batch), 0, 4)
            inputs["image"] = augment(inputs["image"], empty, generator)[0]
        labels = torch.from_numpy(items.labels[batch].astype(np.int64))
        if more is None:
            return inputs, labels, None
        towers = inner(self.model)
        assert isinstance(towers, Towers)
        inputs["negative"] = towers.text_tensor([items.texts[c] for c in more.ravel()])
        return inputs, labels, torch.from_numpy(more.ravel())

    def _features(self) -> np.ndarray:
        """What the image encoder, as it is now, makes of all images: float16 ``(n, cells, hidden)``, kept on disk."""
        towers = inner(self.model)
        assert isinstance(towers, Towers)
        tower: Any = towers.towers["image"]
        state = b"".join(v.cpu().numpy().tobytes() for k, v in sorted(tower.state_dict().items()) if "pool" not in k)
        name = f"features-{hashlib.blake2b(state, digest_size=8).hexdigest()}-{len(self.items.images)}.npy"
        path = (self.items.cache or Path()) / name
        if self.items.cache is None or not path.is_file():
            tower.eval()
            parts = []
            with torch.no_grad():
                for at in range(0, len(self.items.images), 256):
                    rows = np.arange(at, min(at + 256, len(self.items.images)))
                    pixels = inputs_of(towers, self.items, rows, self.config)["image"]
                    parts.append(tower.features(pixels.to(processes.device())).half().cpu().numpy())
            found = np.concatenate(parts)
            if self.items.cache is None:
                return found
            part = path.with_suffix(f".{os.getpid()}.tmp")
            try:
                with part.open("wb") as file:
                    np.save(file, found, allow_pickle=False)
                part.rename(path)
            except OSError as error:
                part.unlink(missing_ok=True)
                raise LimitError(
                    f"cannot write the encoder's features: {error.strerror or error}",
                    code="no-space",
                    file=path,
                    hint="free some space, or set head_steps to 0",
                ) from None
        features: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        return features


def _step(
    model: nn.Module,
    batches: Any,
    config: ContrastiveTraining,
    optimiser: torch.optim.Optimizer,
    wanted: list[nn.Parameter],
    step: int,
) -> float:
    inputs, labels, more = batches(step)
    where = processes.device()
    labels, more = labels.to(where), None if more is None else more.to(where)
    torch.manual_seed((config.seed << 20) + step)
    model.train()
    _rest(model, config)
    with torch.autocast(where.type, torch.bfloat16, enabled=config.bf16):
        vectors: Mapping[str, Tensor] = model(**inputs)
    vectors = {name: rows.float() for name, rows in vectors.items()}
    scale = inner(model).scale()  # type: ignore[operator]
    scale = scale if config.learn_temperature else scale.detach()
    loss = ContrastiveLoss(config.class_aware)(vectors, labels, scale, more)
    if not torch.isfinite(loss):
        raise DataError(f"the loss is not a number at step {step}", hint="lower learning_rate and start again")
    loss.backward()
    if batches.processes > 1:
        for parameter in wanted:
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= batches.processes
    nn.utils.clip_grad_norm_(wanted, 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return float(loss.detach())


def _rest(model: nn.Module, config: ContrastiveTraining) -> None:
    """Batch norm of pretrained convolutions keeps its statistics; frozen towers stay in evaluation mode."""
    if config.base or config.start:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    for part in config.frozen:
        part_of(inner(model), part).eval()


def _trained(model: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint keeps: trained weights and buffers."""
    kept = {n: p for n, p in model.named_parameters() if p.requires_grad}
    return kept | {f"buffer.{n}": b for n, b in model.named_buffers()}
