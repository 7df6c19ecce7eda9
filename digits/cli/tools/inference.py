"""`digits tools inference`: a model over a list or a database, with all outputs in an HDF5 file as the original wrote it."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from digits.cli.options import open_service
from digits.cli.processes import answering
from digits.cli.tables import find_job
from digits.domain.jobs import Kind
from digits.errors import BadRequest
from digits.extensions.data.files.text import read_text
from digits.ipc.scratch import scratch_folder
from digits.service.evaluations import sources
from digits.service.evaluations.sources import TestResults
from digits.service.models.snapshots import find_snapshot
from digits.storage.files import atomic
from digits.storage.modes import of_the_user

FILE = "inference.hdf5"


@click.command("inference")
@click.argument("input_list", type=click.Path(exists=True, path_type=Path))
@click.argument("output_dir", type=click.Path(file_okay=False, path_type=Path))
@click.argument("model_id", metavar="MODEL_ID")
@click.option("-e", "--epoch", default=None, help="Snapshot of this epoch, or best, or start. [default: the newest]")
@click.option("-j", "--jobs_dir", help="Directory of all jobs (DIGITS_JOBS_DIR).", metavar="DIR")
@click.option(
    "-l", "--layers", type=click.Choice(["none", "all"]), default="none", show_default=True, help="all: use the route infer_one."
)
@click.option("-b", "--batch_size", type=click.IntRange(1), help="Taken and left to digits.")
@click.option("-g", "--gpu", type=click.IntRange(0), help="Taken; a free device is used.")
@click.option("--db", is_flag=True, help="INPUT_LIST is a database.")
@click.option("--resize/--no-resize", default=True, help="Keep the pictures' sizes with --no-resize.")
def inference(
    input_list: Path,
    output_dir: Path,
    model_id: str,
    epoch: str | None,
    jobs_dir: str | None,
    layers: str,
    batch_size: int | None,
    gpu: int | None,
    db: bool,
    resize: bool,
) -> None:
    """Run MODEL_ID over the pictures of INPUT_LIST, a path a line, and write OUTPUT_DIR/inference.hdf5.

    It holds `input_ids`, `input_data` (where all are of one shape) and `outputs`, one data set for each output of the network.
    `digits predict` prints the same.
    """
    if layers == "all":
        raise BadRequest("Layers are not written here.", advice="POST the picture to infer_one.json with show_visualizations=1.")
    output_dir.mkdir(parents=True, exist_ok=True)
    with open_service(jobs_dir) as service:
        model = find_job(service, model_id, Kind.MODEL)
        snapshot = find_snapshot(service, model, epoch)
        with answering(service, plugins=False), scratch_folder(service.jobs_dir) as scratch:
            if db:
                tested = sources.run_database(service, model, str(input_list.absolute()), 0, snapshot, scratch)
            else:
                here = str(Path().absolute())
                tested = sources.run_list(service, model, read_text(input_list), here, 0, snapshot, not resize, scratch)
            _write(output_dir / FILE, tested)
    for row in tested.skipped:
        click.echo(f"{row['entry']}: {row['message']}", err=True)
    click.echo(f"{len(tested.samples):,} predictions in {output_dir / FILE}")


def _write(target: Path, tested: TestResults) -> None:
    """Arrays of one shape as one data set, of several as one for each sample."""
    import h5py

    with of_the_user(), atomic(target, "w+b") as handle, h5py.File(handle, "w") as file:
        file["input_ids"] = np.arange(len(tested.samples))
        file["input_names"] = np.array([sample.key for sample in tested.samples], h5py.string_dtype())
        _put(file, "input_data", [np.asarray(s.input) for s in tested.samples if s.input is not None])
        outputs = file.create_group("outputs")
        for name in tested.samples[0].outputs if tested.samples else ():
            _put(outputs, name, [np.asarray(sample.outputs[name]) for sample in tested.samples])


def _put(group: object, name: str, arrays: list[np.ndarray]) -> None:
    if arrays and len({array.shape for array in arrays}) == 1:
        group[name] = np.stack(arrays)  # type: ignore[index]
        group[name].attrs["id"] = name  # type: ignore[index]
        return
    for number, array in enumerate(arrays):
        group[f"{name}/{number}"] = array  # type: ignore[index]
