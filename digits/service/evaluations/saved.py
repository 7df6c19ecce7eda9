"""Predictions as files: every output as `.npy`, and what lies in a picture's own pixels as it lies there."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path

from digits.service.files.names import not_taken, safe_name
from digits.service.plugins.views import ViewSample

PNG = "data:image/png;base64,"


def save_predictions(folder: Path, samples: Iterable[ViewSample]) -> list[Path]:
    """Write the outputs of tested samples into `folder`, named as their pictures; the files.

    An array (without batch axis, channels first) is `NAME_OUTPUT.npy`; a mask or picture in the given picture's own pixels is
    `NAME.png` beside it, boxes there are `NAME.json`.
    """
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for sample in samples:
        stem = Path(safe_name(sample.key)).stem
        for name, array in sample.outputs.items():
            written.append(not_taken(folder / f"{stem}_{safe_name(name)}.npy"))
            np.save(written[-1], np.asarray(array))
        lies = sample.in_picture or {}
        for name in ("mask", "picture"):
            if str(lies.get(name, "")).startswith(PNG):
                written.append(not_taken(folder / f"{stem}.png"))
                written[-1].write_bytes(base64.b64decode(lies[name][len(PNG) :]))
        if "boxes" in lies:
            written.append(not_taken(folder / f"{stem}.json"))
            written[-1].write_text(json.dumps(lies["boxes"], indent=1))
    return written
