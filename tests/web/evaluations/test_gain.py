"""How a model is made to answer, over HTTP: what is refused, and what an evaluation's page says of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from flask.testing import FlaskClient

from digits.domain.jobs import Kind, Status
from digits.service import Service
from digits.tasks import Labels
from tests.builders import make_job
from tests.web.evaluations.analysed import analysed


@pytest.mark.parametrize(
    ("task", "sent", "said"),
    [
        ("classification", {"tta": "spin"}, "expected hflip"),
        ("classification", {"tiling": "1", "tile_overlap": "0.9"}, "tile_overlap"),
        ("classification", {"tiling": "1", "tile_overlap": "nan"}, "tile_overlap"),
        ("regression", {"tta": "hflip"}, "numbers"),
        ("regression", {"tiling": "yes"}, "numbers"),
    ],
)
def test_what_makes_no_sense_is_refused(
    client: FlaskClient, service: Service, task: str, sent: dict[str, str], said: str
) -> None:
    model = make_job(service, Kind.MODEL, "m", status=Status.DONE, task=task)
    for address in (f"/models/{model.id}/evaluate.json", f"/models/{model.id}/answer.json"):
        answer = client.post(address, data={**sent, "image_path": "/none.png"})
        assert answer.status_code == 400, address
        if address.endswith("evaluate.json"):
            assert said in answer.get_data(as_text=True)


def test_the_page_says_how_the_model_answered_and_what_that_gained(client: FlaskClient, service: Service) -> None:
    truth = np.arange(6) % 2
    logs = np.log(np.full((6, 2), 0.1) + 0.8 * np.eye(2)[truth]).astype(np.float32)
    job = analysed(service, "classification", Labels(class_labels=("cat", "dog")), logs, truth, tile_overlap=0.25, tta=("hflip",))
    file = service.folder(job.id).result_file
    row = {"with": 1.0, "without": 0.75, "gain": 0.25, "low": 0.1, "high": 0.4, "how": "drawn"}
    gain = {"metrics": {"accuracy": row, "loss": {"with": 0.2, "without": None, "gain": None}}, "pictures": 6}
    file.write_text(json.dumps({**json.loads(file.read_text()), "gain": gain}))
    page = client.get(f"/evaluations/{job.id}").get_data(as_text=True)
    assert "in tiles that overlap by 25 % and as the mean over the picture as it is and mirrored from left to right" in page
    assert "75.00 %" in page
    assert "+25.00 points" in page
    assert "+10.00 points to +40.00 points" in page
    assert client.get(f"/evaluations/{job.id}.json").get_json()["result"]["gain"]["metrics"]["accuracy"]["without"] == 0.75
