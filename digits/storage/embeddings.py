"""The files of an embedding: `vectors.parquet`, one row per picture that any tool reads (`record` int64, `path`, `label` int64,
-1 where there is none, `class`, `vector` float32 of one length), and `points.arrow` with `record`, `label`, `x`, `y`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from digits.domain.embeddings import POINTS_FILE, VECTORS_FILE
from digits.errors import StorageError
from digits.storage.files import atomic


class VectorWriter:
    """Appends batches, each a row group; the schema follows the first vectors."""

    def __init__(self, handle: Any, size: int, class_labels: Sequence[str], about: Mapping[str, Any]) -> None:
        self._labels = list(class_labels)
        vector = pa.list_(pa.float32(), size)
        columns = {"record": pa.int64(), "path": pa.string(), "label": pa.int64(), "class": pa.string(), "vector": vector}
        self.schema = pa.schema(list(columns.items()), metadata={"digits": json.dumps(dict(about))})
        self._writer = pq.ParquetWriter(handle, self.schema, compression="zstd")

    def append(self, records: np.ndarray, paths: Sequence[str], labels: np.ndarray, vectors: np.ndarray) -> None:
        """N rows: `records` and `labels` (N,), `vectors` (N, D)."""
        known = np.where((labels >= 0) & (labels < len(self._labels)), labels, -1)
        names = [self._labels[n] if n >= 0 else None for n in known.tolist()]
        flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
        arrays = [
            pa.array(np.asarray(records, np.int64)),
            pa.array(list(paths), pa.string()),
            pa.array(known.astype(np.int64)),
            pa.array(names, pa.string()),
            pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self.schema))

    def close(self) -> None:
        self._writer.close()


@contextlib.contextmanager
def writing_vectors(folder: Path, size: int, class_labels: Sequence[str], about: Mapping[str, Any]) -> Iterator[VectorWriter]:
    """A writer whose file is there when the block ends without an error. Raises DiskFull, StorageError."""
    with atomic(folder / VECTORS_FILE) as handle:
        writer = VectorWriter(handle, size, class_labels, about)
        try:
            yield writer
        finally:
            writer.close()


def vector_parts(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Records (n,), labels (n,) and vectors (n, D) float32, row group by row group."""
    with pq.ParquetFile(folder / VECTORS_FILE) as file:
        for number in range(file.num_row_groups):
            table = file.read_row_group(number, columns=["record", "label", "vector"]).combine_chunks()
            vectors = table["vector"].combine_chunks()
            flat = vectors.flatten().to_numpy(zero_copy_only=False)
            yield table["record"].to_numpy(), table["label"].to_numpy(), flat.reshape(len(table), -1)


def write_points(folder: Path, records: np.ndarray, labels: np.ndarray, points: np.ndarray) -> None:
    """`records` and `labels` (N,), `points` (N, 2). Raises DiskFull, StorageError."""
    places = [np.ascontiguousarray(points[:, axis], np.float32) for axis in (0, 1)]
    table = pa.table({"record": records, "label": labels, "x": places[0], "y": places[1]})
    with atomic(folder / POINTS_FILE) as handle, pa.ipc.new_file(handle, table.schema) as writer:
        writer.write_table(table)


def read_points(folder: Path) -> dict[str, np.ndarray]:
    """The columns, (N,) each. StorageError where there is no such file, or none that can be read."""
    try:
        with pa.OSFile(str(folder / POINTS_FILE)) as file:
            table = pa.ipc.open_file(file).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise StorageError(f"{POINTS_FILE} cannot be read: {error}.", advice="Make the vectors again.") from error
    return {name: table[name].to_numpy() for name in table.column_names}
