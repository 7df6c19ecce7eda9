"""Evaluations on the command line: what they tell, reviews, thresholds and files to take away."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from click.testing import CliRunner, Result

from digits.cli.evaluations import evaluation
from digits.domain.jobs import Kind, Status
from digits.service import Service
from digits.service.models.thresholds import values_of
from digits.tasks import Labels
from tests.builders import make_job
from tests.web.evaluations.analysed import analysed


def test_an_evaluation_is_shown_reviewed_and_taken_away(service: Service, tmp_path: Path) -> None:
    truth = np.arange(12) % 2
    logs = np.log(np.full((12, 2), 0.1) + 0.8 * np.eye(2)[np.where(np.arange(12) < 2, 1 - truth, truth)]).astype(np.float32)
    model = make_job(service, Kind.MODEL, "m", status=Status.DONE)
    job = analysed(service, "classification", Labels(class_labels=("cat", "dog")), logs, truth, model=model.id)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(evaluation, [*arguments, "--jobs-dir", str(service.jobs_dir.path)])

    told = json.loads(run("show", job.id).stdout)
    assert told["analysis"]["top_k"][0]["accuracy"] == told["metrics"]["accuracy"] == 10 / 12
    said = json.loads(run("review", job.id, "0", "1", "--as", "label_wrong").stdout)
    assert said["counts"]["label_wrong"] == 2
    assert json.loads(run("review", job.id, "0", "--clear").stdout)["rows"].keys() == {"1"}
    assert run("review", job.id, "0").exit_code != 0, "nothing is said of it"
    kept = json.loads(run("threshold", job.id, "0.5", "--label", "dog").stdout)
    assert (kept["right"], kept["wrong"], kept["missed"]) == (5, 1, 1)
    assert values_of(service, model.id) == {"dog": 0.5}
    assert json.loads(run("threshold", job.id, "--label", "dog").stdout)["thresholds"] == {}
    for name in ("predictions.parquet", "list.txt", "review.csv"):
        assert run("download", job.id, name, "-o", str(tmp_path / name)).exit_code == 0, name
    assert pq.read_table(tmp_path / "predictions.parquet").num_rows == 12
    assert sorted((tmp_path / "list.txt").read_text().splitlines()) == ["/pictures/0.png 0", "/pictures/1.png 1"]
