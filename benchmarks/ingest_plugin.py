"""What digits adds to a data plugin: entries per second of an encode_entry that costs nothing, 28×28 grey.

    python benchmarks/ingest_plugin.py [--full] [--rounds 3] [--processes N]

The whole job is timed, with the start of its processes; a second, ten times smaller job in the same round tells the start,
which is subtracted for the second figure. Promised: at least 20,000 entries a second.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from _ingest import add_plugin, options, report, report_ratio, run_plugin


def main() -> None:
    chosen = options(__doc__)
    count = 400_000 if chosen.full else 100_000
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        root = Path(temporary)
        add_plugin(root / "site", "free", "return FEATURE, entry % 10")
        whole, pure = [], []
        for _ in range(chosen.rounds):
            small = timed(root, count // 10, chosen.processes)
            large = timed(root, count, chosen.processes)
            whole.append(count / large)
            pure.append((count - count // 10) / (large - small))
    report("whole job", whole, "entries/s")
    report("without the start", pure, "entries/s")
    report_ratio("without the start / 20,000", [rate / 20_000 for rate in pure], "at least 1")


def timed(root: Path, count: int, processes: int) -> float:
    return run_plugin(root / "jobs", root / "site", "free", count, processes)


if __name__ == "__main__":
    main()
