"""Writes `dense_library.json`: networks of torchvision and segmentation-models-pytorch for boxes and maps.

Run it again when those packages are updated: `python -m digits.networks.generate_dense`. Each network is built once, with random
weights; what cannot be built is left out and reported.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).with_name("dense_library.json")
BOXES, MAPS = ["detection"], ["segmentation", "processing"]
DETECTORS = {
    # name: (kind of text, backbone)
    "ssdlite320_mobilenet_v3_large": ("ssdlite", ""),
    "fasterrcnn_resnet18_fpn": ("faster_rcnn", "resnet18"),
    "fasterrcnn_resnet50_fpn": ("faster_rcnn", "resnet50"),
    "retinanet_resnet18_fpn": ("retinanet", "resnet18"),
    "retinanet_resnet50_fpn": ("retinanet", "resnet50"),
    "fcos_resnet18_fpn": ("fcos", "resnet18"),
    "fcos_resnet50_fpn": ("fcos", "resnet50"),
}
TORCHVISION_MAPS = (
    "lraspp_mobilenet_v3_large",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "fcn_resnet50",
    "fcn_resnet101",
)
DECODERS = (
    "unet",
    "unetplusplus",
    "manet",
    "linknet",
    "fpn",
    "pspnet",
    "pan",
    "deeplabv3",
    "deeplabv3plus",
    "upernet",
    "segformer",
)
ENCODERS = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext50_32x4d",
    "mobilenet_v2",
    "efficientnet-b0",
    "efficientnet-b3",
    "mit_b0",
    "mit_b2",
    "tu-convnext_tiny",
)


def main() -> None:
    from digits.networks import catalog

    warnings.simplefilter("ignore")
    rows = [*wanted_rows()]
    write(rows)
    catalog.library_networks.cache_clear()
    catalog.library_rows.cache_clear()
    write([row for row in map(counted, rows) if row])
    print(f"{sum(1 for _ in json.loads(OUTPUT.read_text()))} networks -> {OUTPUT}")


def wanted_rows() -> list[dict[str, Any]]:
    rows = [_row(f"torchvision/{name}", kind, name, bone, BOXES, bool(bone)) for name, (kind, bone) in DETECTORS.items()]
    rows += [_row(f"torchvision/{name}", "torchvision_maps", name, "", MAPS, True) for name in TORCHVISION_MAPS]
    return rows + [_row(f"smp/{d}/{e}", "smp", d, e, MAPS, True) for d in DECODERS for e in ENCODERS]


def counted(row: dict[str, Any]) -> dict[str, Any] | None:
    """The row with its number of parameters; None for a network that cannot be built."""
    from digits.engines.base import NetworkContext
    from digits.engines.pytorch.build import build
    from digits.errors import NetworkError
    from digits.networks.catalog import network_text

    task = row["tasks"][0]
    kind = "boxes" if task == "detection" else "map"
    context = NetworkContext(task, (3, 128, 128), 10, (1, 128, 128), label_kind=kind)
    try:
        module = build(network_text(row["name"]), context).module
    except NetworkError as error:
        print(f"{row['name']}: {error}", file=sys.stderr)
        return None
    return {**row, "parameters": sum(p.numel() for p in module.parameters())}


def write(rows: list[dict[str, Any]]) -> None:
    lines = ",\n".join(json.dumps(row) for row in rows)
    OUTPUT.write_text(f"[\n{lines}\n]\n")


def _row(name: str, text: str, model: str, backbone: str, tasks: list[str], pretrained: bool) -> dict[str, Any]:
    row = {"name": name, "parameters": 0, "input_shape": [3, 0, 0], "pretrained": pretrained}
    return {**row, "tasks": tasks, "text": text, "model": model, "backbone": backbone}


if __name__ == "__main__":
    main()
