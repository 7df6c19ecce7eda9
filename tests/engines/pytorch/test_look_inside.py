"""Looking inside networks of PyTorch whose layers are not all one weight and one tensor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from digits.engines.base import LayerReport
from digits.engines.pytorch.predictor import look_inside


class Odd(nn.Module):
    """Parameters of its own beside layers, attention, a recurrent layer, nothing, a number, and a layer that is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(1, 4, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.memory = nn.LSTM(8, 6, batch_first=True)
        self.nothing, self.unused, self.mean = Nothing(), nn.Linear(3, 3), Mean()
        self.frozen = nn.Linear(6, 2).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        sequence = x.reshape(1, 4, 8) + self.place
        sequence, _ = self.attention(sequence, sequence, sequence)
        sequence, _ = self.memory(sequence)
        self.nothing(sequence)
        return self.frozen(sequence[:, -1]) * self.mean(sequence)


class Nothing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:0]


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean()


def shapes(rows: list[LayerReport]) -> dict[str, tuple[tuple[int, ...] | None, tuple[int, ...] | None]]:
    return {row.name: (row.weights and row.weights.shape, row.activations and row.activations.shape) for row in rows}


def test_every_parameter_and_every_first_output_has_its_row() -> None:
    module = Odd().eval()
    with torch.inference_mode():
        rows = look_inside(module, torch.ones(1, 1, 4, 8))
    assert shapes(rows) == {
        "data": (None, (1, 4, 8)),
        "network": ((1, 4, 8), (2,)),
        "attention": ((24, 8), (4, 8)),
        "attention.out_proj": ((8, 8), None),
        "memory": ((24, 8), (4, 6)),
        "nothing": (None, (0, 4, 6)),
        "unused": ((3, 3), None),
        "mean": (None, ()),
        "frozen": ((2, 6), (2,)),
    }
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in module.parameters())
