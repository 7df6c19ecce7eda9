"""The model of `serve.py` behind BentoML, with its adaptive batching: PYTHON _bentoml.py FOLDER PORT.

A request is a form with the picture file as `request`, the answer JSON with the five best classes, as digits gives them. BentoML
reads the annotations of an API, so they are not put off.
"""

import os
import sys
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
from _inference import BareModel, Server
from PIL import Image

FOLDER = "BENCHMARK_FOLDER"
MOST_TOGETHER = 64
MOST_MILLISECONDS = 60_000  # beyond what it expects, BentoML answers 503
TOP = 5


@bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Classifier:
    """Decodes pictures and predicts those together that wait."""

    def __init__(self) -> None:
        self.model = BareModel(Server("", "", Path(os.environ[FOLDER])))

    @bentoml.api(batchable=True, max_batch_size=MOST_TOGETHER, max_latency_ms=MOST_MILLISECONDS)
    def predict(self, request: list[Path]) -> list[dict[str, Any]]:
        scores = self.model.predict(np.stack([np.asarray(Image.open(path))[None] for path in request]))
        best = np.argsort(-scores, axis=1)[:, :TOP]
        return [
            {"predictions": [[int(k), round(100 * float(row[k]), 2)] for k in places]}
            for row, places in zip(scores, best, strict=True)
        ]


if __name__ == "__main__":
    os.environ[FOLDER] = sys.argv[1]
    os.environ["BENTOML_DO_NOT_TRACK"] = "true"
    command = ["-m", "bentoml", "serve", "_bentoml:Classifier", "--host", "127.0.0.1", "--port", sys.argv[2]]
    os.chdir(Path(__file__).resolve().parent)
    os.execv(sys.executable, [sys.executable, *command])
