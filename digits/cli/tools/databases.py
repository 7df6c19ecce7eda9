"""`digits tools create_db` and `analyze_db`: databases as Caffe reads them, of the pictures of a list; what a database holds."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from digits.errors import BadRequest, DataError, LoadImageError
from digits.extensions.data.files.text import lines_naming_files
from digits.storage.records.caffe_datum import DatumDatabase
from digits.storage.records.caffe_writer import HDF5_LIMIT, Record, write_hdf5, write_lmdb, write_mean
from digits.storage.records.open import is_complete, open_records
from digits.utils.confinement import EVERYWHERE, Confinement
from digits.utils.image import load_image, resize_image
from digits.utils.names import is_address, labelled_line
from digits.utils.resizing import RESIZE_MODES


@click.command("create_db")
@click.argument("input_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("output_dir", type=click.Path(path_type=Path))
@click.argument("width", type=click.IntRange(1))
@click.argument("height", type=click.IntRange(1))
@click.option("-c", "--channels", type=click.Choice(["1", "3"]), default="3", show_default=True, help="1 grey, 3 colour.")
@click.option("-r", "--resize_mode", type=click.Choice(list(RESIZE_MODES)), default="squash", show_default=True)
@click.option(
    "-m",
    "--mean_file",
    "mean_files",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the mean here: .binaryproto, .npy, .jpg or .png; may be given several times.",
)
@click.option(
    "-f",
    "--image_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where relative paths start. [default: here]",
)
@click.option("-s", "--shuffle", is_flag=True, help="Mix the order, the same way each time.")
@click.option("-e", "--encoding", type=click.Choice(["none", "png", "jpg"]), default="none", show_default=True)
@click.option("-C", "--compression", type=click.Choice(["none", "gzip"]), default="none", show_default=True, help="Of HDF5.")
@click.option("-b", "--backend", type=click.Choice(["lmdb", "hdf5"]), default="lmdb", show_default=True)
@click.option("--lmdb_map_size", type=click.IntRange(1), help="In MiB. [default: grows]")
@click.option("--hdf5_dset_limit", type=click.IntRange(1), default=HDF5_LIMIT, show_default=True, help="Elements of one file.")
def create_db(
    input_file: Path,
    output_dir: Path,
    width: int,
    height: int,
    channels: str,
    resize_mode: str,
    mean_files: tuple[Path, ...],
    image_folder: Path | None,
    shuffle: bool,
    encoding: str,
    compression: str,
    backend: str,
    lmdb_map_size: int | None,
    hdf5_dset_limit: int,
) -> None:
    """Make a database in the new OUTPUT_DIR of the pictures that INPUT_FILE lists, `path label` a line.

    Caffe reads it, and so does *Other* among the new data sets. `digits dataset create` needs none.
    """
    if output_dir.exists() and any(output_dir.iterdir()):
        raise BadRequest(f"{output_dir} is there already and not empty.", advice="Name a new folder.")
    if backend == "hdf5" and encoding != "none":
        raise BadRequest("HDF5 holds numbers, no encoded pictures.", advice="Leave --encoding out.")
    reader = _Pictures(image_folder or Path(), width, height, int(channels), resize_mode)
    records = reader.records(_entries(input_file, shuffle))
    if backend == "lmdb":
        count = write_lmdb(output_dir, records, encoding, (lmdb_map_size or 0) * 2**20)
    else:
        count = write_hdf5(output_dir, records, compression, hdf5_dset_limit)
    if not count:
        raise DataError("None of the listed pictures could be read.", advice="See the messages above.")
    for file in mean_files:
        write_mean(file, reader.sum / count)
    click.echo(f"{count:,} records written, {reader.skipped:,} pictures skipped.")


class _Pictures:
    """Reads listed pictures and adds them up: `sum` float64 (C, H, W)."""

    def __init__(self, folder: Path, width: int, height: int, channels: int, mode: str) -> None:
        self.folder, self.width, self.height, self.channels, self.mode = folder, width, height, channels, mode
        self.sum = np.zeros((channels, height, width))
        self.skipped = 0

    def records(self, entries: list[tuple[str, int]]) -> Iterator[Record]:
        for name, label in entries:
            try:
                picture = load_image(name if is_address(name) else str(self.folder / name))
            except LoadImageError as error:
                self.skipped += 1
                click.echo(f"{name}: {error}", err=True)
                continue
            array = resize_image(picture, self.height, self.width, self.channels, self.mode)
            array = array[np.newaxis] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))  # (C, H, W)
            self.sum += array
            yield array, label


def _entries(file: Path, shuffle: bool) -> list[tuple[str, int]]:
    """Path and class of each line that has both. Raises DataError where none has."""
    found = [entry for line in lines_naming_files(file) if (entry := labelled_line(line)) is not None]
    if not found:
        raise DataError(f"{file} has no line with a path and the number of a class.", advice="Write `path label` a line.")
    return [found[row] for row in np.random.default_rng(0).permutation(len(found))] if shuffle else found


@click.command("analyze_db")
@click.argument("database", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--only-count", is_flag=True, help="Do not look at the shapes.")
@click.option("--force-same-shape", is_flag=True, help="Fail when records differ in shape.")
@click.option("--print-data", is_flag=True, help="Also print every record.")
def analyze_db(database: Path, only_count: bool, force_same_shape: bool, print_data: bool) -> None:
    """Print how many records DATABASE has, an LMDB of Datum records or a split of a data set, and their shapes."""
    shapes: Counter[tuple[int, ...]] = Counter()
    count = 0
    for count, (key, array, label) in enumerate(_records(database), start=1):
        if only_count:
            continue
        shapes[array.shape[1:] + array.shape[:1]] += 1
        if print_data:
            click.echo(f">>> Datum #{count - 1} ({key}), label {label}\n{array}")
        if force_same_shape and len(shapes) > 1:
            click.echo(f"Record {count - 1} ({key}) has another shape than those before.", err=True)
            sys.exit(1)
    click.echo(f"Total entries: {count}")
    for (height, width, channels), found in shapes.most_common():
        click.echo(f"{found} entries found with shape {width}x{height}x{channels}")
    sys.exit(0 if count else 1)


def _records(folder: Path) -> Iterator[tuple[str, np.ndarray, object]]:
    """Key, feature (C, H, W) and label of every record."""
    split = folder.parent if folder.name in ("features", "labels") and is_complete(folder.parent) else folder
    if is_complete(split):
        reader = open_records(split)
        for row in range(len(reader)):
            labels = reader.labels([row])
            yield str(reader.column("key", [row])[0]), reader.feature(row), None if labels is None else labels[0]
        return
    with DatumDatabase(folder, Confinement(EVERYWHERE)) as database:
        for key, datum in database.items():
            yield key, datum.array, datum.label
