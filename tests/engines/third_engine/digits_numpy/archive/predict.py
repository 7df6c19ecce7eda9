"""Use the model on pictures."""

import json
from pathlib import Path

import numpy as np
from predicting import parser_of, read_feature

HERE = Path(__file__).resolve().parent


def main():
    options = parser_of(__doc__).parse_args()
    with np.load(HERE / json.loads((HERE / "info.json").read_text())["snapshot file"]) as found:
        weights, meta = found["weights"], json.loads(found["meta"].tobytes())
    answers = {}
    for path in options.pictures:
        how = meta["preparation"]
        x = read_feature(path, meta).astype(np.float32)
        if how["pixel_mean"]:
            x = x - np.array(how["pixel_mean"], np.float32).reshape(-1, 1, 1)
        scores = np.append(x.ravel() / how["std"], 1) @ weights
        chances = np.exp(scores - scores.max())
        answers[path] = dict(zip(meta["class_labels"], (chances / chances.sum()).tolist(), strict=True))
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
