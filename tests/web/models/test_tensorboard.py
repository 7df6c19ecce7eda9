"""The way to TensorBoard where it is not installed, or where nobody could start it."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from digits.domain.jobs import Kind
from digits.domain.training import TrainingSpec
from digits.service import Service
from tests.builders import make_job


@pytest.fixture
def model(service: Service) -> str:
    return make_job(service, spec=TrainingSpec(dataset_id="", task="classification").to_json()).id


def test_without_it_the_button_and_its_page_say_how_to_get_it(
    client: FlaskClient, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digits.service.tensorboard.is_installed", lambda: False)
    for page in (f"/models/{model}", "/"):
        assert "Needs: pip install &#39;digits[tensorboard]&#39;" in client.get(page).get_data(as_text=True)
    answer = client.get(f"/tensorboard/{model}.json")
    assert answer.status_code == 400
    assert "pip install 'digits[tensorboard]'" in answer.get_json()["error"]["description"]
    assert "pip install" in client.get(f"/tensorboard/{model}").get_data(as_text=True)


def test_without_a_supervisor_it_is_said(client: FlaskClient, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.service.tensorboard.is_installed", lambda: True)
    for page in (f"/tensorboard/{model}", f"/tensorboard/{model}/", f"/tensorboard/{model}/data/runs"):
        answer = client.get(page)
        assert answer.status_code == 503
        assert "No supervisor answers" in answer.get_data(as_text=True)


def test_a_data_set_has_none(client: FlaskClient, service: Service) -> None:
    assert client.get(f"/tensorboard/{make_job(service, Kind.DATASET).id}.json").status_code == 404
