"""`digits tools parse_folder`: lists of `path label` of a folder with one sub-folder for each class."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np

from digits.errors import BadRequest, DataError
from digits.extensions.data.classification.lists import ENCODING, ERRORS, class_folders
from digits.extensions.data.classification.split import stratified
from digits.extensions.data.files.listing import pictures_below
from digits.storage.files import atomic

file_path = click.Path(dir_okay=False, path_type=Path)
percent_range = click.FloatRange(0, 100)


@click.command("parse_folder")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("labels_file", type=file_path)
@click.option("-t", "--train_file", type=file_path, help="List of the training pictures.")
@click.option("-T", "--percent_train", type=percent_range, help="Percent for training. [default: what is left]")
@click.option("-v", "--val_file", type=file_path, help="List of the validation pictures.")
@click.option("-V", "--percent_val", type=percent_range, help="Percent for validation. [default: what is left]")
@click.option("-s", "--test_file", type=file_path, help="List of the test pictures.")
@click.option("-S", "--percent_test", type=percent_range, help="Percent for testing. [default: what is left]")
@click.option("--min", "least", default=2, show_default=True, type=click.IntRange(1), help="Fewest pictures of a class.")
@click.option("--max", "most", type=click.IntRange(1), help="Most pictures of a class. [default: all]")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="The same seed gives the same lists.")
def parse_folder(folder: Path, labels_file: Path, least: int, most: int | None, seed: int, **given: object) -> None:
    """Divide the pictures below FOLDER, class by class, into lists of `path label`; LABELS_FILE gets the classes, one a line."""
    files = {stage: given[f"{stage}_file"] for stage in ("train", "val", "test") if given[f"{stage}_file"]}
    shares = percentages({stage: given[f"percent_{stage}"] for stage in files})  # type: ignore[misc]
    names, paths, classes = _pictures(folder, max(least, len(files)), most, seed)
    rng = np.random.default_rng(seed)
    largest, *others = sorted(shares, key=lambda stage: -shares[stage])  # the largest takes what the others leave
    second, third = [*(shares[stage] for stage in others), 0.0, 0.0][:2]
    places = stratified(classes, second, third, rng)
    _write(labels_file, names)
    for place, stage in enumerate([largest, *others]):
        rows = rng.permutation(np.flatnonzero(places == place))
        _write(Path(str(files[stage])), [f"{paths[row]} {classes[row]}" for row in rows])
        click.echo(f"{len(rows):,} {stage} pictures of {len(names)} classes in {files[stage]}")


def percentages(given: Mapping[str, float | None]) -> dict[str, float]:
    """The percentage of each list; one that is not given takes what the others leave. Raises BadRequest."""
    if not given:
        raise BadRequest("No list was asked for.", advice="Give --train_file, --val_file or --test_file.")
    left = [stage for stage, percent in given.items() if percent is None]
    total = sum(percent for percent in given.values() if percent is not None)
    if len(given) == 1:
        return dict.fromkeys(given, 100.0)
    if len(left) > 1 or (not left and abs(total - 100) > 1e-6) or total > 100:
        found = f"{total:g} % are given to {len(given) - len(left)} of {len(given)} lists."
        raise BadRequest(found, advice="Give the percentages of all lists, 100 together, or of all but one.")
    return {stage: 100 - total if percent is None else percent for stage, percent in given.items()}


def _pictures(folder: Path, least: int, most: int | None, seed: int) -> tuple[list[str], list[str], np.ndarray]:
    """The classes, all pictures, and the number of the class of each: int64 (n,). Raises DataError for fewer than two classes."""
    names, paths, classes = list[str](), list[str](), list[int]()
    for label, folders in class_folders(folder).items():
        found = [path for one in folders for path in pictures_below(one)]
        if len(found) < least:
            click.echo(f"{label}: {len(found)} pictures, {least} are needed; the class is left out.", err=True)
            continue
        if most and len(found) > most:
            rng = np.random.default_rng([seed, zlib.crc32(label.encode(errors="surrogateescape"))])
            found = [found[row] for row in np.sort(rng.permutation(len(found))[:most])]
        classes += [len(names)] * len(found)
        names.append(label)
        paths += found
    if len(names) < 2:
        raise DataError(
            f"{folder} has {len(names)} classes with enough pictures; two are needed.", advice="One sub-folder a class."
        )
    return names, paths, np.array(classes, np.int64)


def _write(file: Path, lines: list[str]) -> None:
    with atomic(file) as handle:
        handle.write("".join(f"{line}\n" for line in lines).encode(ENCODING, ERRORS))
