"""Muon against its slow twin in torch; which parameters are whose; and what a bad number leaves as it was."""

import math

import pytest
import torch
from torch import nn

from charrnn.model import CharacterModel
from charrnn.settings.model import ModelConfig
from charrnn.settings.training import TrainingConfig
from charrnn.training import optimizer as optimizer_module
from charrnn.training.optimizer import POLYNOMIALS, Muon, Optimizer


def model_of(encoder: str = "embedding", cell: str = "lstm") -> CharacterModel:
    torch.manual_seed(1)
    size = 3 if encoder == "embedding" else None
    return CharacterModel(ModelConfig(cell, 2, 8, encoder, size, 0.0), 6, 5)


@pytest.mark.parametrize("shape", [(12, 5), (5, 12), (7, 7), (1, 4)])
@pytest.mark.parametrize("every", [1, 3])
def test_muon_is_that_of_torch(shape: tuple[int, int], every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its second matrix has its turn a step before the first has its next; a turn is as long as the steps since.

    Torch's iterations are in bfloat16 and one by one, and with other polynomials, which ours are given here, so what
    both have moved by is equal but for rounding.
    """
    monkeypatch.setattr(optimizer_module, "POLYNOMIALS", [(3.4445, -4.7750, 2.0315)] * 4)
    monkeypatch.setattr(optimizer_module, "_MARGIN", 1.0)
    torch.manual_seed(1)
    ours = [nn.Parameter(torch.randn(shape)) for _ in range(2)]
    muon = Muon(ours, weight_decay=0.2, dtype=torch.bfloat16, every=every)
    muon.param_groups[0]["lr"] = 0.03 / every
    begun = [p.detach().clone() for p in ours]
    its = [nn.Parameter(p.clone()) for p in begun]
    reference = torch.optim.Muon(
        [{"params": [p]} for p in its], weight_decay=0.2, momentum=0.95, ns_steps=4, adjust_lr_fn="match_rms_adamw"
    )
    for step in range(7):
        for index, (own, other) in enumerate(zip(ours, its, strict=True)):
            own.grad = torch.randn(shape)
            other.grad = own.grad.clone()
            reference.param_groups[index]["lr"] = 0.03 if (step + index) % every == 0 else 0.0
        muon.turn = step
        muon.step()
        reference.step()
        for own, other, first in zip(ours, its, begun, strict=True):
            assert torch.dist(own, other) <= 0.06 * torch.dist(own, first)


@pytest.mark.parametrize("shape", [(12, 5), (5, 12), (7, 7), (1, 4)])
def test_muon_takes_its_iterations_to_the_letter(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    parameter = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
    parameter.grad = torch.randn(shape, dtype=torch.float64)
    x = parameter.grad / parameter.grad.norm() / 1.01
    for a, b, c in POLYNOMIALS:
        x = a * x + (b * x @ x.T + c * x @ x.T @ x @ x.T) @ x
    muon = Muon([parameter], weight_decay=0.0, dtype=torch.float64, every=1)
    muon.param_groups[0]["lr"] = 1.0
    muon.step()
    assert torch.allclose(parameter, -0.2 * math.sqrt(max(shape)) * x, rtol=1e-6, atol=1e-6)


def test_the_polynomials_are_the_best_of_their_kind() -> None:
    """By Chebyshev's theorem: where one of three coefficients is furthest from 1 it is so four times, in turn."""
    low, high = 0.01, 1.0
    for a, b, c in POLYNOMIALS:
        x = torch.linspace(low, high, 100_001, dtype=torch.float64)
        error = a * x + b * x**3 + c * x**5 - 1
        most = error.abs().max()
        extremes = error[error.abs() > (1 - 1e-4) * most].sign()
        assert (extremes.diff() != 0).sum() == 3
        low, high = float(1 - most), float(1 + most)
    assert 0.7 < low < high < 1.3


@pytest.mark.parametrize("shape", [(1024, 256), (256, 64), (12, 5), (1, 4)])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_matrix_of_few_directions_gives_no_larger_step_in_bfloat16(shape: tuple[int, int], rank: int) -> None:
    """Its largest singular value is next to its norm, above which the polynomials grow beyond all bounds."""
    for seed in range(20):
        torch.manual_seed(seed)
        parameter = nn.Parameter(torch.zeros(shape))
        parameter.grad = (
            torch.randn(shape[0], rank) @ torch.diag(torch.logspace(0, -2, rank)) @ torch.randn(rank, shape[1])
        )
        muon = Muon([parameter], weight_decay=0.0, dtype=torch.bfloat16, every=1)
        muon.param_groups[0]["lr"] = 1.0
        muon.step()
        assert torch.linalg.matrix_norm(parameter.detach(), 2) < 1.4 * 0.2 * math.sqrt(max(shape))


def test_all_directions_count_alike() -> None:
    """Of a gradient with singular values from 1 to 30 the update has ones near 0.2 √max(shape)."""
    torch.manual_seed(1)
    left, _ = torch.linalg.qr(torch.randn(24, 24))
    right, _ = torch.linalg.qr(torch.randn(16, 16))
    parameter = nn.Parameter(torch.zeros(24, 16))
    parameter.grad = left[:, :16] @ torch.diag(torch.logspace(0, 1.5, 16)) @ right.T
    muon = Muon([parameter], weight_decay=0.0, dtype=torch.float32, every=1)
    muon.param_groups[0]["lr"] = 1.0
    muon.step()
    values = torch.linalg.svdvals(parameter.detach()) / (0.2 * math.sqrt(24))
    assert 0.7 < values.min() <= values.max() < 1.3


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_bad_number_leaves_everything_as_it_was(optimizer: str) -> None:
    model = model_of()
    ours = Optimizer(model, TrainingConfig(optimizer=optimizer))
    good, bad = torch.tensor(0.0), torch.tensor(1.0)

    def step(number: float, verdict: torch.Tensor) -> list[torch.Tensor]:
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, number)
        for turn in range(6):  # so that every matrix has had its own
            ours.step(turn, 0.01, verdict)
        moments = [moment for moments in ours.moments.values() for moment in moments.values()]
        return [tensor.detach().clone() for tensor in (*model.parameters(), *moments)]

    before = step(0.5, good)
    assert all(map(torch.equal, before, step(math.nan, bad)))
    after = step(0.5, good)
    assert not any(map(torch.equal, before, after))


@pytest.mark.parametrize("cell", ["lstm", "min-gru"])
@pytest.mark.parametrize("encoder", ["embedding", "one-hot"])
def test_muon_is_for_recurrent_matrices_that_are_not_looked_up(cell: str, encoder: str) -> None:
    model = model_of(encoder, cell)
    moments = Optimizer(model, TrainingConfig(optimizer="muon")).moments
    parameters = dict(model.named_parameters())
    assert moments.keys() == parameters.keys()
    for name, moment in moments.items():
        by_muon = moment.keys() == {"momentum"}
        looked_up = encoder == "one-hot" and parameters[name].shape[-1] == 6
        assert by_muon == (name.startswith("stack.") and parameters[name].ndim == 2 and not looked_up), name
    assert all(m.keys() == {"step", "exp_avg", "exp_avg_sq"} for m in (moments["head.weight"], moments["head.bias"]))
    plain = Optimizer(model, TrainingConfig(optimizer="adamw")).moments
    assert all("momentum" not in moment for moment in plain.values())
