"""How the ingest of a plugin scales: an encode_entry that only computes, with one process and with one for each core.

    python benchmarks/ingest_scaling.py [--rounds 3] [--processes N] [--full]

Each round times the whole job at two sizes with one process and with N; the smaller size's time, which is mostly the start of
the processes, is subtracted. Promised: N processes are at least 0.8 N times as fast. On a machine where others compute as well
the gain says more about them; the CPU time an entry costs, all processes together, shows what sharing the work adds to it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from _ingest import add_plugin, cpu_seconds, options, report, report_ratio, run_plugin

ENCODE = """
total = 0
for number in range(40_000):
    total += number * entry
return FEATURE, (total + entry) % 10
"""


def main() -> None:
    chosen = options(__doc__)
    small, large = (1000, 6000) if chosen.full else (300, 2300)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        root = Path(temporary)
        add_plugin(root / "site", "computing", ENCODE)
        rates: dict[int, list[float]] = {1: [], chosen.processes: []}
        costs: dict[int, list[float]] = {1: [], chosen.processes: []}
        for _ in range(chosen.rounds):
            for processes in rates:
                less, more = (timed(root, count, processes) for count in (small, large))
                rates[processes].append((large - small) / (more[0] - less[0]))
                costs[processes].append(1000 * (more[1] - less[1]) / (large - small))
    for processes, values in rates.items():
        report(f"{processes} process(es)", values, "entries/s")
        report(f"{processes} process(es), CPU time", costs[processes], "ms an entry")
    gains = [many / one / chosen.processes for one, many in zip(*rates.values(), strict=True)]
    report_ratio(f"gain / {chosen.processes}", gains, "at least 0.8")


def timed(root: Path, count: int, processes: int) -> tuple[float, float]:
    """Seconds by the clock and of CPU time."""
    before = cpu_seconds()
    return run_plugin(root / "jobs", root / "site", "computing", count, processes), cpu_seconds() - before


if __name__ == "__main__":
    main()
