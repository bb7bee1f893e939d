"""Muon: orthogonal steps inside the network, plain AdamW elsewhere."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the [train] extra")

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
