"""Texts as rows of character numbers: 0 is unknown or padding, 1 the first character of the dictionary."""

import csv
import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np

from digits.errors import DataError
from digits.extensions.data.files.text import LARGEST_LABELS, lines_of, long_text
from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants, override, subclass
from digits_data_text_classification.forms import DatasetForm, InferenceForm

MOST_TABLES = 50
LARGEST_TABLE = 64 << 20
LOOKED_AT = 200  # lines
BEHIND_CLASS = re.compile(r"""(?:"(?:[^"]|"")*"|[^",;\t]*)([,;\t])""")  # which may stand in quotes
SPLIT_WORDS = {"train": "train", "val": "val", "dev": "val", "test": "test"}
TEMPLATES = Path(__file__).parent / "templates"


@subclass
class DataIngestion(DataIngestionInterface):
    """An entry is (class name, text); the class is empty where it is not known."""

    encode_mode = "serial"  # looking up characters is quicker than handing the texts to other processes

    def __init__(self, is_inference_db=False, **kwargs):
        super().__init__(is_inference_db, **kwargs)
        if "class_labels" not in self.userdata:
            self.userdata["class_labels"] = self.read_labels()
        self.classes = {name: number for number, name in enumerate(self.userdata["class_labels"])}
        self.table = np.zeros(0x110000, np.uint8)
        for number, character in enumerate(dict.fromkeys(self.alphabet.lower())):
            self.table[ord(character)] = min(number + 1, 255)

    def read_labels(self):
        """Names of the classes: the labels file's lines, else what the training file has, sorted."""
        if self.class_labels_file:
            lines = lines_of(self.class_labels_file, LARGEST_LABELS)
            return [line.strip() for line in lines if line.strip()]
        found = {row[0] for row in read_rows(self.train_data_file)}
        return sorted(found, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))

    @override
    def encode_entry(self, entry):
        """Feature (1, 1, N) uint8; label the number of the class."""
        name, text = entry
        return self.encode_text(text), np.array([self.class_number(name) if name else 0])

    def encode_text(self, text):
        """A text as (1, 1, N)."""
        size = int(self.max_chars_per_sample)
        codes = np.frombuffer(text.lower()[:size].encode("utf-32-le"), np.uint32)
        row = np.zeros(size, np.uint8)
        row[: codes.size] = self.table[codes][:size]
        return row[np.newaxis, np.newaxis]

    def class_number(self, name):
        """From 0 on. Raises ValueError for a class that the labels do not have."""
        if name in self.classes:
            return self.classes[name]
        if name.isdecimal() and 1 <= int(name) <= len(self.classes):
            return int(name) - 1
        raise ValueError(f"{name!r} is no class: expected is one of {', '.join(self.classes)}, or 1 to {len(self.classes)}")

    @override
    def itemize_entries(self, stage):
        if self.is_inference_db:
            return self.requested_entries() if stage == constants.TEST_DB else []
        file = {constants.TRAIN_DB: self.train_data_file, constants.VAL_DB: self.val_data_file}.get(stage)
        return [(row[0], text_of(row)) for row in read_rows(file)] if file else []

    def requested_entries(self):
        """What the inference form holds."""
        if self.test_data_file:
            return [(row[0], text_of(row)) for row in read_rows(self.test_data_file)]
        if self.snippet:
            return [("", self.snippet)]
        raise ValueError("type a snippet or name a file of texts")

    @staticmethod
    @override
    def recognise(folder):
        """Tables of a class and a text a line: the largest of each split."""
        found = {}
        for path in sorted(path for path in Path(folder).glob("**/*.csv") if path.is_file())[:MOST_TABLES]:
            if path.stat().st_size > LARGEST_TABLE or not holds_texts(path):
                continue
            split = next((split for word, split in SPLIT_WORDS.items() if word in path.stem.lower()), "train")
            found[split] = max(found.get(split, path), path, key=lambda one: one.stat().st_size)
        if "train" not in found:
            return []
        count = sum(1 for _ in read_rows(found["train"]))
        values = {"train_data_file": str(found["train"])}
        other = found.get("val") or found.get("test")
        if other:
            values["val_data_file"] = str(other)
        reason = f"{found['train'].name} has {count:,} lines of a class and a text."
        return [{"values": values, "records": count, "reason": reason}]

    @staticmethod
    @override
    def get_category():
        return "Text"

    @staticmethod
    @override
    def get_id():
        return "text-classification"

    @staticmethod
    @override
    def get_title():
        return "Classification"

    @staticmethod
    @override
    def get_dataset_form():
        return DatasetForm()

    @staticmethod
    @override
    def get_dataset_template(form):
        return (TEMPLATES / "dataset.html").read_text(encoding="utf-8"), {"form": form}

    @override
    def get_inference_form(self):
        return InferenceForm()

    @staticmethod
    @override
    def get_inference_template(form):
        return (TEMPLATES / "inference.html").read_text(encoding="utf-8"), {"form": form}


def read_rows(file):
    """Rows with a class and at least one column of text, one by one. Raises DataError with the line where they cannot be read."""
    reader = csv.reader(long_text(file), delimiter=delimiter_of(file))
    try:
        yield from (row for row in reader if len(row) >= 2)
    except csv.Error as error:
        raise DataError(f"Line {reader.line_num} of {file} cannot be read: {error}.", advice="Is a quote not closed?") from error


def delimiter_of(file):
    """What stands behind the class in most of the first lines: texts have commas, semicolons and tabs of their own."""
    counts = Counter()
    for line in itertools.islice(long_text(file), LOOKED_AT):
        if found := BEHIND_CLASS.match(line):
            counts[found[1]] += 1
    return max(counts, key=counts.get, default=",")


def text_of(row):
    """All columns after the class, in one line."""
    return " ".join(row[1:]).strip()


def holds_texts(path):
    """Whether a table has a short class first and longer texts of several words behind it, in most lines."""
    try:
        rows = list(itertools.islice(read_rows(path), LOOKED_AT))
    except DataError:
        return False
    texts = [row for row in rows if len(row[0]) <= 40 and len(text_of(row).split()) >= 4]
    classes = {row[0] for row in texts}
    return len(texts) > len(rows) / 2 and 2 <= len(classes) <= max(2, len(rows) // 2)
