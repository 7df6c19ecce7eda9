"""How far the ONNX file of a network is from the network, on every standard network and on library ones of different families.

python benchmarks/onnx_parity.py [--only NAME ...] [--seconds 600] [--keep FILE]

Promised: at most 1e-4 on the largest output (relative to it where it is above 1), for both files, `model.onnx` and
`model_plain.onnx`. Random weights, small pictures, one network after the other. What was measured is kept in FILE (JSON lines),
so that a run that was ended goes on; at the end stands the table of docs/export.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

Row = dict[str, Any]
PROMISE = 1e-4
PICTURES = 5
LIBRARY = {  # name → side of its pictures; the families are all different
    "torchvision/alexnet": 67,
    "torchvision/convnext_tiny": 64,
    "torchvision/densenet121": 64,
    "torchvision/efficientnet_b0": 64,
    "torchvision/inception_v3": 96,
    "torchvision/mnasnet0_5": 64,
    "torchvision/mobilenet_v2": 64,
    "torchvision/mobilenet_v3_small": 64,
    "torchvision/regnet_y_400mf": 64,
    "torchvision/resnet18": 64,
    "torchvision/shufflenet_v2_x0_5": 64,
    "torchvision/squeezenet1_1": 64,
    "torchvision/swin_t": 64,
    "torchvision/vgg11_bn": 32,
    "timm/convnextv2_atto": 64,
    "timm/cspdarknet53": 64,
    "timm/dla46_c": 64,
    "timm/edgenext_xx_small": 64,
    "timm/ghostnet_050": 64,
    "timm/hardcorenas_a": 64,
    "timm/lcnet_050": 64,
    "timm/mixnet_s": 64,
    "timm/repvgg_a0": 64,
    "timm/res2net50_26w_4s": 64,
    "timm/skresnet18": 64,
    "timm/test_vit": 160,
    "timm/tinynet_e": 64,
    "timm/vovnet39a": 64,
    "timm/xception41": 64,
    "smp/unet/resnet18": 64,
    "smp/fpn/mobilenet_v2": 64,
    "torchvision/lraspp_mobilenet_v3_large": 64,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="networks of the catalogue")
    parser.add_argument("--seconds", type=float, default=1800, help="no further network begins after so long")
    parser.add_argument("--keep", type=Path, help="file that what was measured is added to")
    options = parser.parse_args()
    names = options.only or [*standard(), *LIBRARY]
    found = _kept(options.keep)
    limit = time.monotonic() + options.seconds
    for name in names:
        if name not in found and time.monotonic() < limit:
            found[name] = _tried(name)
            print(json.dumps(found[name]), flush=True)
            if options.keep:
                with open(options.keep, "a", encoding="utf-8") as file:
                    file.write(json.dumps(found[name]) + "\n")
    rows = [found[name] for name in names if name in found]
    print("\n| network | task | `model.onnx` | `model_plain.onnx` |\n|---|---|---|---|")
    for row in rows:
        print(f"| `{row['name']}` | {row.get('task', '')} | {_cell(row, 'prepared')} | {_cell(row, 'plain')} |")
    broken = [row["name"] for row in rows if not max(row.get("prepared", 1.0), row.get("plain", 1.0)) <= PROMISE]
    left = [name for name in names if name not in found]
    said = f"BROKEN by {broken}" if broken else "kept"
    print(f"\n{len(rows)} networks, promised at most {PROMISE:g}: {said}; not measured: {left}")


def standard() -> list[str]:
    from digits.networks import catalog

    return [card.name for card in catalog.standard_networks()]


def measured(name: str) -> Row:
    """One network: the largest differences of both files."""
    from digits.engines.onnx_files import RUNTIME, RUNTIME_PLAIN
    from digits.engines.parity import noise_features, parity
    from digits.engines.pytorch.export_onnx import OnnxExporter
    from digits.testing.predictors import random_predictor

    started = time.monotonic()
    predictor, exporter = random_predictor(name, side=LIBRARY.get(name, 0)), OnnxExporter()
    if reasons := exporter.check(predictor):
        return {"name": name, "error": " ".join(reasons)}
    with tempfile.TemporaryDirectory() as folder:
        exporter.write(predictor, Path(folder), {})
        features = noise_features(predictor.meta, PICTURES)
        found = {kind: parity(predictor, program, features) for kind, program in exporter.runs(Path(folder)).items()}
    seconds = round(time.monotonic() - started, 1)
    return {
        "name": name,
        "task": predictor.meta["task"],
        "prepared": found[RUNTIME],
        "plain": found[RUNTIME_PLAIN],
        "seconds": seconds,
    }


def _tried(name: str) -> Row:
    try:
        return measured(name)
    except Exception as error:  # whatever a network or a library throws: it is a row of the table
        return {"name": name, "error": " ".join(str(error).split())[:300]}


def _kept(file: Path | None) -> dict[str, Row]:
    if file is None or not file.is_file():
        return {}
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {row["name"]: row for row in rows}


def _cell(row: Row, key: str) -> str:
    return f"{row[key]:.1e}" if key in row else str(row.get("error", ""))


if __name__ == "__main__":
    main()
