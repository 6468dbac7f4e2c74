"""Cores whose parameters follow from their equations alone."""

import torch
from torch import nn

from charrnn.recurrent.contract import Core

__all__ = ["EquationCore"]


class EquationCore(Core):
    """A core that makes its parameters by the shapes of its cell's equations."""

    def __init__(self, input_size: int | None, hidden_size: int, **regularisation: float) -> None:
        super().__init__(input_size, hidden_size, **regularisation)
        for name, shape in self.cell.layer_shapes(input_size, hidden_size).items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Make U orthogonal, biases zero, gains one; draw other matrices as torch.nn does, U(-1/√H, 1/√H).

        Only the gain of U h by itself is 0.1 (as in Cooijmans et al. 2017, arXiv 1603.09025): once normalised, a state
        that knows little yet would weigh as much as the input.
        """
        for name, weight in self.weights().items():
            if name == "U":
                self.orthogonal_(weight)
            elif weight.ndim == 2:
                nn.init.uniform_(weight, -(self.hidden_size**-0.5), self.hidden_size**-0.5)
            else:
                nn.init.constant_(weight, 0.1 if name == "gain_U" else float(name.startswith("gain")))
