"""What many tests need: the real data beside the checkout, a service on a temporary jobs directory, a client of the pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from digits.config import Settings
from digits.service import Service
from digits.web.app import create_app

USER = "digits-testsuite"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout (`../shared/data`)."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data sets are not beside this checkout")
    return folder


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service on a fresh jobs directory, without log-in, whose path fields reach the test's own folder."""
    settings = Settings(jobs_dir=str(tmp_path / "jobs"), auth=False, data_dirs=str(tmp_path), allowed_hosts="")
    service = Service.open(settings)
    yield service
    service.close()


@pytest.fixture
def client(service: Service) -> FlaskClient:
    """A client of the pages that has logged in as the original's tests do."""
    client = create_app(service).test_client()
    assert client.post("/login", data={"username": USER}).status_code == 302
    return client
