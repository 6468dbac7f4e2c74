"""Optimisers of the weights: AdamW, and Muon for the matrices of the recurrent layers.

Both skip steps with numbers that are not finite, without waiting for the device to know it.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from charrnn.encoders import OneHot
from charrnn.model import CharacterModel
from charrnn.runtime import low_type
from charrnn.settings.training import TrainingConfig

__all__ = ["POLYNOMIALS", "SKIPPING_DEVICES", "Muon", "Optimizer"]

# a, b and c of a x + b x³ + c x⁵. Each polynomial in turn comes as close to 1 as one can on the range to which those
# before it have brought numbers from 0.01 to 1. Just above 1 they grow beyond all bounds: rounding must not lead there.
POLYNOMIALS = [(8.093369, -23.620431, 17.446153), (3.636586, -2.721927, 0.536546), (2.661300, -1.977155, 0.452616)]
_MARGIN = 1.01

# Devices where AdamW's kernel skips a step that it is told to skip; on others the step is undone.
SKIPPING_DEVICES = ("cpu", "cuda")

_LARGE = 64  # rows and columns from which on the rounding of xᵀx in half precision does no harm


class Optimizer:
    """The optimiser of a network. Weight decay is for matrices only, and not for embeddings.

    AdamW (Loshchilov & Hutter 2019) has a memory of squares short enough for varied text. With `muon`, the matrices of
    the recurrent layers are Muon's; columns that are looked up by token, and all else, remain AdamW's.
    """

    def __init__(self, model: CharacterModel, config: TrainingConfig) -> None:
        parameters = dict(model.named_parameters())
        by_muon = _recurrent_matrices(model) if config.optimizer == "muon" else {}
        rest = {name: p for name, p in parameters.items() if name not in by_muon}
        decayed = [p for name, p in rest.items() if p.ndim > 1 and not name.startswith("encoder.")]
        others = [p for name, p in rest.items() if p.ndim == 1 or name.startswith("encoder.")]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
        adamw = torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=True)
        for p in rest.values():  # made here and not at the first step, as a run may be saved before it
            moments = {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
            adamw.state[p] = {"step": torch.zeros((), device=p.device), **moments}
        self._optimizers: list[torch.optim.Optimizer] = [adamw]
        if by_muon:
            low = low_type(config.precision) or torch.float32
            self._optimizers.append(Muon(by_muon.values(), config.weight_decay, low))
        self._owner = {name: self._optimizers[name in by_muon] for name in parameters}
        self._parameters = parameters

    @property
    def moments(self) -> dict[str, dict[str, Tensor]]:
        """The optimiser's tensors, by the parameter's name and their own name."""
        return {name: self._owner[name].state[p] for name, p in self._parameters.items()}

    def remember(self, moments: dict[str, dict[str, Tensor]]) -> None:
        """Put the optimiser's tensors back."""
        for name, p in self._parameters.items():
            self._owner[name].state[p] = moments[name]

    def step(self, step: int, rate: float, bad: Tensor) -> None:
        """Take a step, counted from 0, at a learning rate; skip it if `bad`, a number on the device, is 1 and not 0."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.turn = step  # type: ignore[attr-defined]
            if isinstance(optimizer, Muon) or bad.device.type in SKIPPING_DEVICES:
                optimizer.found_inf = bad  # type: ignore[attr-defined]  # as a GradScaler tells AdamW to skip a step
                optimizer.step()
            else:
                with _unchanged_if(bad, optimizer):
                    optimizer.step()


@contextmanager
def _unchanged_if(bad: Tensor, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Put the parameters and the optimiser's tensors back if `bad` is 1, without waiting for its value."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    changing = [tensor for p in parameters for tensor in (p.data, *optimizer.state[p].values())]
    before = [tensor.clone() for tensor in changing]
    yield
    for tensor, old in zip(changing, before, strict=True):
        tensor.copy_(torch.where(bad.bool(), old, tensor))


class Muon(torch.optim.Optimizer):
    """Steps in which all directions of a matrix count alike (Jordan et al. 2024), as long as AdamW's.

    The momentum's singular values are made nearly one, by three iterations with the best polynomials for that number
    (Amsel et al. 2025, The Polar Express). The factor 0.2 √max(rows, columns) gives a step the usual root mean square
    of AdamW's, so that both can have one learning rate and weight decay (Liu et al. 2025, Muon is Scalable for LLM
    Training).

    The iterations take longer than the rest of a step, and the momentum changes slowly. So matrices take turns: each
    has its gradient added to its momentum at every step, and moves at one in `every`, by `every` times as much.

    Args:
        matrices: the parameters, of two dimensions each.
        dtype: of the iterations' products, in large matrices.
    """

    _MOMENTUM = 0.95

    def __init__(
        self, matrices: Iterable[nn.Parameter], weight_decay: float, dtype: torch.dtype, every: int = 6
    ) -> None:
        super().__init__(list(matrices), {"lr": 0.0, "weight_decay": weight_decay})
        self.turn = 0  # the number of the step
        self.found_inf = torch.zeros(())  # 1 for a step that is not to be taken
        self._dtype, self._every = dtype, every
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = {"momentum": torch.zeros_like(p)}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Take a step, or none if `found_inf` is 1."""
        is_good = 1 - self.found_inf
        for group in self.param_groups:
            for index, p in enumerate(group["params"]):
                if p.grad is None:
                    continue
                gradient, momentum = p.grad.nan_to_num_(0.0, 0.0, 0.0), self.state[p]["momentum"]
                momentum.lerp_(gradient, is_good * (1 - self._MOMENTUM))
                if (self.turn + index) % self._every == 0:
                    ahead = gradient.lerp(momentum, self._MOMENTUM)  # Nesterov's
                    update = _orthogonal(ahead, self._dtype).to(p.dtype)
                    rate = is_good * (group["lr"] * self._every)
                    p.mul_(1 - rate * group["weight_decay"]).sub_(update.mul_(rate * 0.2 * math.sqrt(max(p.shape))))


def _orthogonal(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """A matrix with the same singular vectors and singular values between 0.7 and 1.3.

    That holds for singular values from a hundredth of its norm on; smaller ones stay smaller. Each iteration makes x P
    from x, where P is a polynomial of xᵀx. The next iteration has P xᵀx P in place of xᵀx, so all products but the
    first and the last have small sides only. (Small matrices stay in full precision, where rounding would show.)
    """
    is_wide = matrix.shape[0] < matrix.shape[1]
    x = matrix.T if is_wide else matrix
    x = x / (x.norm() * _MARGIN).clamp(min=1e-7)
    if x.shape[1] >= _LARGE:
        x = x.to(dtype)
    gram = x.T @ x
    whole = latest = _polynomial(gram, *POLYNOMIALS[0])
    for coefficients in POLYNOMIALS[1:]:
        gram = latest @ gram @ latest
        latest = _polynomial(gram, *coefficients)
        whole = whole @ latest
    x = x @ whole
    update: Tensor = x.T if is_wide else x
    return update


def _polynomial(gram: Tensor, a: float, b: float, c: float) -> Tensor:
    """a + b gram + c gram²."""
    found = torch.addmm(gram, gram, gram, beta=b, alpha=c)
    found.diagonal().add_(a)
    return found


def _recurrent_matrices(model: CharacterModel) -> dict[str, nn.Parameter]:
    """The matrices of the recurrent layers by name, without those whose columns are looked up by token."""
    looked_up: set[int] = set()
    if isinstance(model.encoder, OneHot):
        first = model.stack.layers[0]
        looked_up = {id(first.weights()[name]) for name in first.cell.reads}  # type: ignore[operator, union-attr]
    found = model.stack.named_parameters(prefix="stack")
    return {name: p for name, p in found if p.ndim == 2 and id(p) not in looked_up}
