"""The model of `serve.py` behind LitServe, with dynamic batching: PYTHON _litserve.py FOLDER PORT.

A request is a form with the picture file as `request`, the answer JSON with the five best classes, as digits gives them. LitServe
reads the annotations of `decode_request`, so they are not put off.
"""

import io
import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np
from _inference import BareModel, Server
from fastapi import UploadFile
from PIL import Image

MOST_TOGETHER = 64
TOP = 5


class Classifier(litserve.LitAPI):
    """Decodes each picture, stacks those that wait, predicts them together."""

    def __init__(self, folder: Path) -> None:
        super().__init__(max_batch_size=MOST_TOGETHER, batch_timeout=0.001)
        self.folder = folder

    def setup(self, device: str) -> None:
        self.model = BareModel(Server("", "", self.folder))

    def decode_request(self, request: UploadFile) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(request.file.read())))[None]

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.stack(inputs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict(x if x.ndim == 4 else x[None])

    def unbatch(self, output: np.ndarray) -> Any:
        return list(output)

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        best = np.argsort(-output)[:TOP]
        return {"predictions": [[int(k), round(100 * float(output[k]), 2)] for k in best]}


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(Path(sys.argv[1])), accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), num_api_servers=1, generate_client_file=False, log_level="warning")
