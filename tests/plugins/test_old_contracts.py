"""Plugins as authors wrote them for the original pass the public contracts, with tests as their authors would write them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HOST = Path(__file__).resolve().parents[1] / "plugin_host"
OLD = {name: HOST / "legacy_plugins" / name for name in ("ships", "meter", "waves", "chart")} | {"old_style": HOST / "old_style"}

# `oldStylePlugin` says `flask.ext.wtf`, `TextField` and `validators.Required`.
TESTS = """
import pathlib

import pytest

from digits.testing import DataSourceContract, ViewContract

import chartView
import meter
import oldStylePlugin
import ships
import wavesDataPlugin

HERE = pathlib.Path(__file__).parent


class TestOldStyle(DataSourceContract):
    source = oldStylePlugin.DataIngestion
    form_values = {"folder": str(HERE), "seed": 1}
    inference_values = {"record": "one", "level": 2}


class TestOldStyleView(ViewContract):
    view = oldStylePlugin.Visualization


class TestShips(DataSourceContract):
    source = ships.DataIngestion
    form_values = {"fleet_file": str(HERE / "fleets.txt"), "side": "6", "pct_val": "20"}
    inference_values = {"fleet": "flag", "ships": "3"}


class TestWaves(DataSourceContract):
    source = wavesDataPlugin.DataIngestion
    form_values = {
        "train_data_file": str(HERE / "waves.csv"),
        "class_labels_file": str(HERE / "labels.txt"),
        "window": "[0, 16]",
        "split": "share",
        "folder_pct_val": "20",
        "scale": "1",
        "columns": ["a", "c"],
    }


class TestMeter(ViewContract):
    view = meter.Visualization


class TestChart(ViewContract):
    view = chartView.Visualization
"""


def test_old_plugins_pass_the_contracts(tmp_path: Path) -> None:
    for name, source in OLD.items():
        shutil.copytree(source, tmp_path / name)
    (tmp_path / "fleets.txt").write_text("".join(f"{i % 10}\n" for i in range(40)))
    rows = [[i % 3, *(i + t for t in range(20))] for i in range(30)]
    (tmp_path / "waves.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    (tmp_path / "labels.txt").write_text("slow\nmiddle\nfast\n")
    (tmp_path / "test_old.py").write_text(TESTS)
    search = os.pathsep.join([*(str(tmp_path / name) for name in OLD), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_old.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
