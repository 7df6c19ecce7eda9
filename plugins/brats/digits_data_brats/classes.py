"""Which classes the values of the labels are, and what they are called."""

import os

from digits.domain.datasets import IGNORED
from digits.errors import DataError
from digits.extensions.data.files.text import read_json

BACKGROUND, TUMOUR = "background", "tumour"
MOST_IN_A_SCAN = 64  # values; more are those of a picture
UNTIL_2022 = {1: "necrotic core", 2: "oedema", 3: "non-enhancing tumour", 4: "enhancing tumour"}
SINCE_2023 = {1: "necrotic core", 2: "oedema", 3: "enhancing tumour"}


def classes_of(values, regions, given, root):
    """Names of the classes in their order, and the class of each value. `values` are those that occur, `given` the names that
    somebody wrote, `root` the folder, where a `dataset.json` may name them. Raises DataError."""
    values = sorted({0, *values})
    if regions == "whole":
        table = {value: int(value > 0) for value in values}
        names = list(given) or [BACKGROUND, TUMOUR]
    else:
        table = {value: number for number, value in enumerate(values)}
        known = _described(root) or (UNTIL_2022 if 4 in values else {1: TUMOUR} if values == [0, 1] else SINCE_2023)
        names = list(given) or [known.get(value, str(value) if value else BACKGROUND) for value in values]
    count = len(set(table.values()))
    if not 2 <= count < IGNORED:
        raise DataError(f"The labels have {count} classes; 2 to {IGNORED - 1} are possible.", advice="Background is one, too.")
    if len(names) != count:
        advice = f"The values that occur are {', '.join(map(str, values))}. Name each, or none."
        raise DataError(f"{len(names)} class names were given for {count} classes.", advice=advice)
    return names, table


def _described(root):
    """Names by value as the `dataset.json` of a Decathlon task or of nnU-Net says them; {} where there is none that does."""
    path = os.path.join(root, "dataset.json")
    try:
        labels = dict(read_json(path)["labels"]) if os.path.isfile(path) else {}
        pairs = [(value, name) if str(value).isdecimal() else (name, value) for value, name in labels.items()]
        return {int(value): str(name) for value, name in pairs}
    except (DataError, KeyError, TypeError, ValueError):
        return {}
