"""The sample in docs/records.md is a file that runs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ingest.making import class_folder, make

DOCS = Path(__file__).parents[3] / "docs"
SAMPLE = DOCS / "samples" / "read_records.py"


def test_the_sample_reads_records_with_pyarrow_alone(tmp_path: Path) -> None:
    run = make(tmp_path, folder_train=str(class_folder(tmp_path / "in", {"cat": 4, "dog": 4})), folder_pct_val=0)
    command = [sys.executable, str(SAMPLE), str(run.folder.path / "train_db")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "8 records of ['cat', 'dog']" in output
    assert "features (8, 3, 8, 10) uint8" in output


def test_the_page_shows_the_sample_as_it_is() -> None:
    code = SAMPLE.read_text().split('"""\n\n', 1)[1]
    assert f"```python\n{code}```" in (DOCS / "records.md").read_text()
    assert "digits" not in [line.split()[1] for line in code.splitlines() if line.startswith(("import", "from"))]


@pytest.mark.parametrize("source", ["image_processing", "image_segmentation", "image_object_detection", "image_regression"])
def test_every_field_of_the_image_sources_is_documented(source: str) -> None:
    text = (DOCS / "datasets.md").read_text()
    fields = vars(importlib.import_module(f"digits.extensions.data.{source}.forms").DatasetForm)
    inherited = {name for group in fields["GROUPS"] for name in group[1]}
    for name in inherited:
        own = name.replace("test_", "val_", 1) if name.startswith("test_") else name
        shown = {
            name,
            own,
            own.replace("val_", "validation_", 1),
            own.replace("val_", "train_", 1),
            own.replace("has_test", "has_val"),
        }
        assert any(f"`{spelling}`" in text for spelling in shown), name
