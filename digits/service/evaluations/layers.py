"""A look inside a network: the weights of each layer, and what it makes of one picture, for pages and JSON (R 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from digits.images.addresses import png_address


@dataclass(frozen=True)
class LayerView:
    """One row: the weights of a layer, or what it gave for the picture.

    `data_stats` has `shape`, `mean`, `stddev`, `min`, `max` and `histogram` (see `engines.base.ArrayReport.to_json`);
    `param_count` are all numbers that the layer has of its own, biases too; `image` is a PNG, empty where nothing is drawn.
    """

    name: str
    vis_type: str  # Weights | Activation
    layer_type: str
    param_count: int
    data_stats: dict[str, Any]
    image: bytes = b""

    @property
    def address(self) -> str:
        """The picture as a `data:` address, empty where nothing is drawn."""
        return png_address(self.image) if self.image else ""


def learned_parameters(layers: Iterable[LayerView]) -> int:
    """Those of all layers together; each counts once, though it may have two rows."""
    return sum({layer.name: layer.param_count for layer in layers}.values())


def layers_json(layers: Iterable[LayerView]) -> dict[str, Any]:
    """What answers have where `show_visualizations` is set: `visualizations`, in the order of the network's definition, the
    picture first, and `total_parameters`."""
    found = list(layers)
    rows = [{**asdict(layer), "image": layer.address} for layer in found]
    return {"visualizations": rows, "total_parameters": learned_parameters(found)}
