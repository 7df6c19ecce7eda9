"""The best three runs of a group, and the rate that each had at its end: `python best_runs.py GROUP`."""

from __future__ import annotations

import sys

from digits.client import Client


def best_runs(client: Client, group: str) -> list[tuple[str, float, float]]:
    """Name, best value and last learning rate of the best three."""
    found = []
    for run in client.models(f'group:"{group}" status:done', sort="-best", limit=3):
        curves = client.get(f"/models/{run['id']}/curves.json")["curves"]
        found.append((run["name"], run["best_value"], curves["lr"]["values"]["learning_rate"][-1]))
    return found


if __name__ == "__main__":
    for name, value, rate in best_runs(Client(), sys.argv[1]):
        print(f"{name}: {value:.4g}, ended at a rate of {rate:g}")
