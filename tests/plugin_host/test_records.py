"""Records of a database that somebody names are read by the plugin host, not by the process that answers pages."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from digits.errors import BadRequest, DigitsError, LimitExceeded
from digits.plugin_host import records
from digits.service import Service
from digits.service.evaluations import sources
from digits.service.evaluations.inputs import thumbnail
from digits.service.plugins.host import read_foreign
from digits.testing.runs import make_dataset, striped_pictures
from tests.plugin_host.hosts import running_host

ROWS = 70  # more than travel at once


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A split of a data set."""
    features, labels = striped_pictures(ROWS, 8, 1)
    return make_dataset(tmp_path / "made", features, labels, class_labels=("a", "b"), validation=0) / "train_db"


def test_a_database_is_read_elsewhere_with_all_that_belongs_to_it(
    service: Service, tmp_path: Path, split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_host(service, tmp_path):
        monkeypatch.setattr("digits.storage.records.open.open_records", _not_here)
        monkeypatch.setattr("lmdb.open", _not_here)
        found = list(sources._records(service, split, 0, None))
        assert len(found) == ROWS
        assert len({named.key for named, *_ in found}) == ROWS
        assert {int(label) for *_, label in found} == {0, 1}
        assert all(picture.feature.ndim == 3 for _, picture, _ in found)
        assert len(list(sources._records(service, split, 40, None))) == 40
        with pytest.raises(DigitsError, match="no LMDB"):
            list(sources._records(service, tmp_path / "made", 0, None))
        (tmp_path / "linked").mkdir()
        (tmp_path / "linked/data.mdb").symlink_to("/etc/hostname")
        with pytest.raises(DigitsError, match="outside the folders"):
            list(sources._records(service, tmp_path / "linked", 0, None))
        _check_pictures(service, tmp_path, monkeypatch)
        monkeypatch.setattr("digits.service.plugins.host.call", _too_late)
        with pytest.raises(LimitExceeded, match=r"could not be read within 300 seconds.*request_seconds"):
            list(sources._records(service, split, 0, None))


def _check_pictures(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a page shows again are read there too, and not behind a link that was turned after the look."""
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.png")
    monkeypatch.setattr("digits.utils.image.load_image", _not_here)
    small = Image.open(io.BytesIO(thumbnail(service, str(tmp_path / "red.png"), 30)))
    assert (small.size, small.getpixel((3, 3))) == ((30, 20), (255, 0, 0))
    (tmp_path / "turned.png").symlink_to("/etc/hostname")
    header = {"path": str(tmp_path / "turned.png"), "allowed_roots": [str(tmp_path)]}
    for operation, more in (("thumbnail", {"side": 9}), ("prepared-picture", {"meta": {"input_shape": [3, 4, 4]}})):
        with pytest.raises(DigitsError, match="outside the folders"):
            read_foreign(service, operation, header | more)


def _not_here(*_: object, **__: object) -> None:
    raise AssertionError("read in this process")


def _too_late(*_: object, **__: object) -> None:
    from digits.ipc.messages import NoAnswerInTime

    raise NoAnswerInTime("No answer.")


def test_more_than_are_tested_at_once_are_refused(split: Path, tmp_path: Path) -> None:
    roots = [str(tmp_path)]
    with pytest.raises(BadRequest, match=f"{ROWS} records; at most 10"):
        records.read(split, roots, 0, 10, 10, 0)
    header, arrays = records.read(split / "features", roots, 60, 32, 100, 0)
    assert (header["total"], len(header["keys"])) == (ROWS, ROWS - 60)
    assert set(arrays) == {f"{row}/{name}" for row in range(ROWS - 60) for name in ("feature", "label")}
