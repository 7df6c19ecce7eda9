"""The small U-Net on cardiac MR pictures of five hearts, through a running server, as a person would do it in the page.

    python benchmarks/sunnybrook.py DATA [--epochs 30] [--seeds 5] [--cases 5] [--size 96] [--set aug_rot=45] [--results FILE]

DATA holds `challenge_training` and `…/TrainingDataContours`. The plugin of `plugins/sunnybrook` is installed into a temporary
folder, a server is started on a free port with a temporary jobs directory, and per run a data set is made and a model
trained with the standard network `unet`. First one run per seed with 10 % of the slices held out, then one per case with that
heart held out. A line of JSON per run is printed and appended to the results file, a summary at the end; runs that the
file has already, made in the same way, are not repeated.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _server import install, post, serving, wait

PLUGIN = Path(__file__).resolve().parents[1] / "plugins" / "sunnybrook"
CASES = ("SC-HF-I-1", "SC-HF-I-2", "SC-HF-I-4", "SC-HF-I-5", "SC-HF-I-6")
CLASS = "left ventricle"
RECIPE = {
    "framework": "pytorch",
    "method": "standard",
    "standard_networks": "unet",
    "batch_size": 4,
    "solver_type": "ADAM",
    "learning_rate": 0.003,
    "lr_policy": "poly",
    "lr_poly_power": 1.0,
    "use_mean": "none",
    "aug_whitening": "y",
    "aug_rot": 20,
    "aug_scale": 0.1,
    "snapshot_interval": 0,
    "select_gpu": "cpu",
}


def main() -> None:
    chosen = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # so that the server ends as well
    runs = [(f"seed {seed}", {"split_by": "slice", "folder_pct_val": 10, "seed": seed}, seed) for seed in range(chosen.seeds)]
    runs += [(f"without {case}", {"validation_cases": case}, 0) for case in CASES[: chosen.cases]]
    known = _known(chosen)
    with served(chosen) as url:
        found = [known.get(name) or run(url, chosen, name, split, seed) for name, split, seed in runs]
    summary("split by slice", found[: chosen.seeds])
    summary("leave one case out", found[chosen.seeds :])


@contextmanager
def served(chosen: argparse.Namespace) -> Iterator[str]:
    """A server with the plugin."""
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        folder = Path(temporary)
        install(folder / "site", shutil.copytree(PLUGIN, folder / "plugin"))
        with serving(folder, folder / "site", data_dirs=chosen.data, cpu_slots=chosen.threads) as url:
            yield url


def run(url: str, chosen: argparse.Namespace, name: str, split: dict[str, Any], seed: int) -> dict[str, Any]:
    """Make the data set, train, and read what the page shows."""
    folders = {"image_folder": chosen.data / "challenge_training", "contour_folder": _contours(chosen.data)}
    options = {"dataset_name": name, "channel_conversion": "L", "picture_size": chosen.size, **folders, **split}
    dataset = post(url, "/datasets/generic/create/image-sunnybrook.json", **options)
    wait(url, dataset["id"])
    training = {"model_name": name, "dataset": dataset["id"], "train_epochs": chosen.epochs, "random_seed": seed}
    began = time.monotonic()
    model = post(url, "/models/images/generic.json", **{**RECIPE, **dict(chosen.set)}, **training, cpu_count=chosen.threads)
    wait(url, model["id"])
    last = _last_values(url, model["id"])
    result = {
        "run": name,
        "pictures": round(last[f"dice_pictures/{CLASS}"], 4),
        "pooled": round(last[f"dice/{CLASS}"], 4),
        "pixel_accuracy": round(last["pixel_accuracy"], 4),
        "baseline": _baseline(url, model["id"]),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "epochs": chosen.epochs,
        "size": chosen.size,
        "set": dict(chosen.set),
    }
    _keep(chosen.results, json.dumps(result))
    return result


def summary(name: str, found: list[dict[str, Any]]) -> None:
    for key in ("pictures", "pooled"):
        values = [result[key] for result in found]
        if values:
            print(f"{name}, Dice {key}: mean {statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})", flush=True)


def _last_values(url: str, model_id: str) -> dict[str, float]:
    """The metrics of the last validation (not of the best one, which would flatter)."""
    with urllib.request.urlopen(f"{url}/models/{model_id}/metrics.csv", timeout=120) as answer:
        rows = [row for row in csv.DictReader(io.StringIO(answer.read().decode())) if row["phase"] == "val"]
    last = max(float(row["epoch"]) for row in rows)
    return {row["name"]: float(row["value"]) for row in rows if float(row["epoch"]) == last}


def _baseline(url: str, model_id: str) -> dict[str, Any]:
    """What guessing the most frequent class for every pixel scores, as the training measured it."""
    with urllib.request.urlopen(f"{url}/models/{model_id}/curves.json", timeout=120) as answer:
        found = json.load(answer)["baseline"]
    shown = ("dice_pictures/" + CLASS, "pixel_accuracy")
    return {"guess": found["description"], **{name: round(found["values"][name] or 0.0, 4) for name in shown}}


def _known(chosen: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Earlier runs of the results file that were made in the same way, by name."""
    if chosen.results is None or not chosen.results.is_file():
        return {}
    same = (chosen.epochs, chosen.size, dict(chosen.set))
    rows = [json.loads(line) for line in chosen.results.read_text().splitlines()]
    return {row["run"]: row for row in rows if (row["epochs"], row["size"], row["set"]) == same}


def _keep(file: Path | None, line: str) -> None:
    print(line, flush=True)
    if file is not None:
        with file.open("a") as handle:
            handle.write(line + "\n")


def _contours(data: Path) -> Path:
    found = [path for path in data.rglob("TrainingDataContours") if path.is_dir()]
    if not found:
        raise SystemExit(f"{data} holds no folder TrainingDataContours.")
    return found[0]


def _field(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cases", type=int, default=5)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--set", type=_field, action="append", default=[], help="a field of the model's form: NAME=VALUE")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None, help="where to put temporary files")
    parser.add_argument("--results", type=Path, default=None, help="a file to which each run's line is appended")
    chosen = parser.parse_args()
    chosen.data = chosen.data.resolve()
    return chosen


if __name__ == "__main__":
    main()
