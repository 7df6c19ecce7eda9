"""Read the records of one split with pyarrow alone: `python read_records.py JOB/train_db`."""

import json
import sys
from pathlib import Path

import pyarrow as pa

folder = Path(sys.argv[1])  # e.g. JOB/train_db
marker = json.loads((folder / "records.json").read_text())
for shard in marker["shards"]:
    batch = pa.ipc.open_file(pa.memory_map(str(folder / shard["file"]))).get_batch(0)
    meta = json.loads(batch.schema.metadata[b"digits"])
    print(shard["file"], batch.num_rows, "records of", meta["class_labels"])
    if meta["feature_encoding"] == "none":
        pixels = batch.column("feature").flatten().to_numpy().reshape(-1, *meta["feature_shape"])  # a view, nothing is copied
        print("features", pixels.shape, pixels.dtype, "mean", pixels.mean())
    print("labels", batch.column("label")[:10].to_pylist())
