"""Muon: orthogonal steps inside the network, plain AdamW elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")

from safetensors.torch import load_file  # noqa: E402

import training  # noqa: E402
from training.config import load  # noqa: E402
from training.muon import Muon, orthogonal  # noqa: E402
from training.recogniser import loop  # noqa: E402
from training.recogniser.model import Recogniser, RecogniserConfig  # noqa: E402


@pytest.mark.parametrize("shape", [(3, 24, 24), (2, 48, 16), (1, 16, 72)])
def test_singular_values_are_near_one(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape) * 1e-3))
    assert 0.7 < values.median() < 1.2
    assert values.max() < 1.3


def test_in_half_precision_they_are_near_one_too() -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal((torch.randn(3, 24, 24) * 1e-3).bfloat16()).float())
    assert 0.7 < values.median() < 1.2
    assert values.max() < 1.4
    start = torch.randn(8, 6)
    whole, half = (torch.nn.Parameter(start.clone()) for _ in range(2))
    for weight, wanted in ((whole, False), (half, True)):
        weight.grad = start.flip(0).clone()
        Muon([{"params": [weight], "orthogonal": True}], half=wanted, lr=0.1, weight_decay=0.0).step()
        assert weight.dtype == torch.float32
    assert not torch.equal(whole, half)
    assert torch.allclose(whole, half, atol=0.01)


_TWO = """
import sys
import torch
from safetensors.torch import save_file
from training import processes
from training.muon import Muon

rank, count = processes.world()
torch.manual_seed(0)
weights = [torch.nn.Parameter(torch.randn(shape)) for shape in [(4, 4)] * 3 + [(8, 4), (5,)]]
inside, rest = weights[:4], weights[4:]
optimiser = Muon([{"params": rest}, {"params": inside, "orthogonal": True}], lr=0.1, weight_decay=0.1)
for _ in range(3):
    for at, weight in enumerate(weights):
        whole = torch.randn_like(weight)
        weight.grad = whole * (0.25 if rank else 1 - 0.25 * (count - 1))  # shares that add up to it
        if at == 4 and rank:
            weight.grad = None  # AdamW steps as far by the other's share alone
    processes.add_gradients(weights)
    optimiser.step()
save_file({str(at): weight.detach() for at, weight in enumerate(weights)}, f"{sys.argv[1]}-{rank}.safetensors")
"""


def test_processes_that_share_the_matrices_get_what_one_gets(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(_TWO, "utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(training.__file__).parents[1])}
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_addr", "127.0.0.1",
              "--master_port", "29541"]  # fmt: skip
    for name, how in (("one", []), ("two", launch)):
        command = [sys.executable, *how, str(script), str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
    one, first, second = (load_file(tmp_path / f"{name}.safetensors") for name in ("one-0", "two-0", "two-1"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.allclose(first[name], one[name], atol=1e-5) for name in first)


def test_other_groups_are_stepped_by_adamw_to_the_bit() -> None:
    torch.manual_seed(0)
    ours, theirs = torch.nn.Linear(5, 3), torch.nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    inside = torch.nn.Parameter(torch.randn(4, 4))
    groups = [{"params": list(ours.parameters())}, {"params": [inside], "orthogonal": True}]
    mine = Muon(groups, lr=0.01, weight_decay=0.1)
    plain = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1)
    x = torch.randn(7, 5)
    for _ in range(3):
        for layer, optimiser in ((ours, mine), (theirs, plain)):
            optimiser.zero_grad()
            (layer(x).pow(2).sum() + inside.pow(2).sum()).backward()
            optimiser.step()
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)
    assert "exp_avg" not in mine.state[inside]


def test_a_step_follows_the_gradient_whatever_its_size() -> None:
    torch.manual_seed(0)
    start = torch.randn(6, 2, 3, 3)
    moved = []
    for scale in (1.0, 1e-4):
        kernel = torch.nn.Parameter(start.clone())
        optimiser = Muon([{"params": [kernel], "orthogonal": True}], lr=0.1, weight_decay=0.0)
        kernel.grad = torch.ones_like(kernel) * scale + torch.linspace(0, scale, kernel.numel()).view_as(kernel)
        optimiser.step()
        moved.append(kernel.detach() - start)
    assert torch.allclose(moved[0], moved[1], atol=1e-4)
    assert moved[0].sum() < 0
    assert 0.05 < moved[0].flatten(1).norm() < 0.4


def test_its_state_is_loaded_again() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(4, 4), torch.randn(3, 4, 4)

    def stepped(weight: torch.nn.Parameter, optimiser: Muon, rows: torch.Tensor) -> torch.Tensor:
        for gradient in rows:
            weight.grad = gradient.clone()
            optimiser.step()
        return weight.detach().clone()

    def made(values: torch.Tensor) -> tuple[torch.nn.Parameter, Muon]:
        weight = torch.nn.Parameter(values.clone())
        return weight, Muon([{"params": [weight], "orthogonal": True}], lr=0.1, weight_decay=0.1)

    whole = stepped(*made(start), gradients)
    first, before = made(start)
    halfway = stepped(first, before, gradients[:1])
    second, after = made(halfway)
    after.load_state_dict(before.state_dict())
    assert torch.equal(stepped(second, after, gradients[1:]), whole)


def test_only_matrices_inside_the_network_are_taken() -> None:
    model = Recogniser(RecogniserConfig(tokens=9, hidden=16, heads=2, channels=(4, 8, 8), feed_forward=16))
    named = dict(model.named_parameters())
    optimiser = loop.optimiser_of(named, load("tiny", matrix_rate=0.02))
    taken = {id(p) for g in optimiser.param_groups if g["orthogonal"] for p in g["params"]}
    names = {name for name, p in named.items() if id(p) in taken}
    assert "encoder.0.attention.query.weight" in names
    assert "stem.stages.0.0.conv1.weight" in names
    assert not [n for n in names if "head" in n or "embedding" in n or "position" in n or named[n].ndim < 2]
    assert sum(len(g["params"]) for g in optimiser.param_groups) == len(named)
    assert isinstance(loop.optimiser_of(named, load("tiny", matrix_rate=None)), torch.optim.AdamW)
