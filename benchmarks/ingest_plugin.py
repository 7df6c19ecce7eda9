"""What digits adds to a data plugin: entries per second of an encode_entry that costs nothing, 28×28 grey.

    python benchmarks/ingest_plugin.py [--full] [--rounds 3] [--processes N]

The whole job is timed, with the start of its processes; a second, ten times smaller job in the same round tells the start,
which is subtracted for the second figure. Promised: at least 20,000 entries a second.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from _ingest import make_job, options, run_worker, tell, tell_ratio

PLUGIN = """
import numpy as np
from digits.extensions.data.interface import DataIngestionInterface

FEATURE = np.zeros((1, 28, 28), np.uint8)


class DataIngestion(DataIngestionInterface):
    @staticmethod
    def get_id():
        return "free"

    @staticmethod
    def get_title():
        return "Free entries"

    @staticmethod
    def get_category():
        return "Benchmarks"

    def itemize_entries(self, stage):
        return range(self.count) if stage == "train_db" else []

    def encode_entry(self, entry):
        return FEATURE, entry % 10
"""


def main() -> None:
    chosen = options(__doc__)
    count = 400_000 if chosen.full else 100_000
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        root = Path(temporary)
        site = install(root / "site")
        whole, pure = [], []
        for _ in range(chosen.rounds):
            small = timed(root, site, count // 10, chosen.processes)
            large = timed(root, site, count, chosen.processes)
            whole.append(count / large)
            pure.append((count - count // 10) / (large - small))
    tell("whole job", whole, "entries/s")
    tell("without the start", pure, "entries/s")
    tell_ratio("without the start / 20,000", [rate / 20_000 for rate in pure], "at least 1")


def timed(root: Path, site: Path, count: int, processes: int) -> float:
    folder = make_job(root / "jobs", "free", {"count": count, "class_labels": list("0123456789")})
    return run_worker(folder, processes, site)[0]


def install(site: Path) -> Path:
    """Install the plugin as pip would."""
    info = site / "free_entries-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: free-entries\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[digits.plugins.data]\nclass = free_entries:DataIngestion\n")
    (site / "free_entries.py").write_text(PLUGIN)
    return site


if __name__ == "__main__":
    main()
