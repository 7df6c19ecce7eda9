"""Writes `library.json`: every classification network of torchvision and timm with parameter count and input size.

Run it again when those packages are updated: `python -m digits.networks.generate_library`. Networks are built on the `meta`
device, which costs no memory and no download. What cannot be built that way is listed with 0 parameters.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).with_name("library.json")


def main() -> None:
    warnings.simplefilter("ignore")
    rows = [*torchvision_rows(), *timm_rows()]
    lines = ",\n".join(json.dumps(row) for row in rows)
    OUTPUT.write_text(f"[\n{lines}\n]\n")
    print(f"{len(rows)} networks, {sum(not row['parameters'] for row in rows)} without a parameter count -> {OUTPUT}")


def torchvision_rows() -> list[dict[str, Any]]:
    import torchvision

    rows = []
    for name in torchvision.models.list_models(module=torchvision.models):
        weights = torchvision.models.get_model_weights(name).DEFAULT
        size = int(weights.transforms().crop_size[0])
        rows.append(_row(f"torchvision/{name}", int(weights.meta["num_params"]), (3, size, size), True))
    return rows


def timm_rows() -> list[dict[str, Any]]:
    import timm
    import torch

    trained = {full.split(".")[0] for full in timm.list_pretrained()}
    rows = []
    for name in timm.list_models():
        size = tuple(timm.get_pretrained_cfg(name).input_size) if timm.is_model_pretrained(name) else (3, 224, 224)
        try:
            with torch.device("meta"):
                count = sum(p.numel() for p in timm.create_model(name, pretrained=False).parameters())
        except Exception as error:  # a network that needs real tensors to be built
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            count = 0
        rows.append(_row(f"timm/{name}", count, size, name in trained))
    return rows


def _row(name: str, count: int, size: tuple[int, ...], pretrained: bool) -> dict[str, Any]:
    return {"name": name, "parameters": count, "input_shape": list(size), "pretrained": pretrained}


if __name__ == "__main__":
    main()
