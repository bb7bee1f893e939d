"""Checkpoints: whole at every moment, refused where they do not fit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")

from guqin_kg.errors import DataError, LimitError, UsageError  # noqa: E402
from training import checkpoint  # noqa: E402

pytestmark = pytest.mark.train


def trained(steps: int, width: int = 3) -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = torch.nn.Linear(width, 2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
    for step in range(steps):
        _step(model, optimiser, step)
    return model, optimiser


def _step(model: torch.nn.Linear, optimiser: torch.optim.Optimizer, step: int) -> None:
    torch.manual_seed(step)
    model(torch.randn(4, model.in_features)).square().sum().backward()
    optimiser.step()
    optimiser.zero_grad()


def test_what_was_kept_goes_on_as_if_never_stopped(tmp_path: Path) -> None:
    place = tmp_path / "checkpoint"
    model, optimiser = trained(3)
    checkpoint.keep(place, {"step": 3}, optimiser, model=dict(model.named_parameters()))
    _step(model, optimiser, 3)
    again, fresh = trained(0)
    assert checkpoint.take(place, fresh, model=dict(again.named_parameters())) == {"step": 3}
    _step(again, fresh, 3)
    assert torch.equal(model.weight, again.weight)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint"]


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    model, optimiser = trained(0)
    assert checkpoint.take(tmp_path / "checkpoint", optimiser, model=dict(model.named_parameters())) is None


def test_killed_between_the_two_renames_the_one_before_is_taken(tmp_path: Path) -> None:
    place = tmp_path / "checkpoint"
    model, optimiser = trained(2)
    checkpoint.keep(place, {"step": 2}, optimiser, model=dict(model.named_parameters()))
    place.rename(tmp_path / "checkpoint.old")
    assert checkpoint.take(place, optimiser, model=dict(model.named_parameters())) == {"step": 2}
    checkpoint.keep(place, {"step": 3}, optimiser, model=dict(model.named_parameters()))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


def test_a_checkpoint_of_other_weights_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "checkpoint"
    model, optimiser = trained(1)
    checkpoint.keep(place, {"step": 1}, optimiser, model=dict(model.named_parameters()))
    wider, other = trained(0, width=5)
    with pytest.raises(DataError, match="cannot go on"):
        checkpoint.take(place, other, model=dict(wider.named_parameters()))
    with pytest.raises(DataError, match="other weights"):
        checkpoint.take(place, optimiser, model={"weight": model.weight})
    (place / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(DataError, match="cannot go on"):
        checkpoint.take(place, optimiser, model=dict(model.named_parameters()))


def test_where_nothing_can_be_written_the_one_before_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "checkpoint"
    model, optimiser = trained(1)
    checkpoint.keep(place, {"step": 1}, optimiser, model=dict(model.named_parameters()))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(LimitError, match="No space left"):
        checkpoint.keep(place, {"step": 2}, optimiser, model=dict(model.named_parameters()))
    assert checkpoint.take(place, optimiser, model=dict(model.named_parameters())) == {"step": 1}
    assert not (tmp_path / "checkpoint.new").exists()
    shutil.rmtree(place)


def test_a_run_of_another_configuration_is_refused_with_what_differs(tmp_path: Path) -> None:
    place = tmp_path / "checkpoint"
    model, optimiser = trained(2)
    weights = dict(model.named_parameters())
    settings = {"seed": 1, "learning_rate": 0.1, "steps": 10, "presets": ("clean",)}
    checkpoint.keep(place, {"step": 2}, optimiser, settings, model=weights)
    assert checkpoint.take(place, optimiser, {**settings, "steps": 20}, model=weights) == {"step": 2}
    before = model.weight.detach().clone()
    with pytest.raises(UsageError) as caught:
        checkpoint.take(place, optimiser, {**settings, "seed": 2, "learning_rate": 0.2}, model=weights)
    assert caught.value.code == "other-run"
    assert "seed 1 there, 2 here" in str(caught.value)
    assert "learning_rate 0.1 there, 0.2 here" in str(caught.value)
    assert torch.equal(model.weight, before)
    assert checkpoint.take(place, optimiser, model=weights) == {"step": 2}
