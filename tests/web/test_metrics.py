"""/metrics, read by the grammar of Prometheus' text format."""

from __future__ import annotations

import re
from dataclasses import replace

from flask.testing import FlaskClient

from digits.domain.access import Scope
from digits.domain.jobs import Kind, Status
from digits.service import Service, tokens
from digits.web.app import create_app
from digits.web.metrics import gauge, kind_of
from tests.builders import make_job

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')


def parsed(text: str) -> dict[str, dict[str, float]]:
    """Metric → labels as written → value. Every line must follow the grammar; a metric's lines come together after its type."""
    assert text.endswith("\n")
    found: dict[str, dict[str, float]] = {}
    current = ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert kind == {"digits_serve_seconds": "histogram"}.get(
                current, "counter" if current.endswith("_total") else "gauge"
            )
            assert current not in found
            found[current] = {}
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] == current or match[1].removeprefix(current) in ("_bucket", "_sum", "_count")
            assert (match[2] or "") not in found[current]
            found[current][match[2] or ""] = float(match[3])
    return found


def test_what_prometheus_scrapes(client: FlaskClient, service: Service) -> None:
    make_job(service, status=Status.RUN)
    make_job(service, status=Status.WAIT)
    gone = make_job(service, Kind.DATASET, status=Status.DONE)
    service.store.update(gone.id, deleted=1.0, disk_bytes=77)
    answer = client.get("/metrics")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    found = parsed(answer.text)
    assert found["digits_jobs"]['kind="model",state="running"'] == 1
    assert found["digits_jobs"]['kind="dataset",state="done"'] == 0
    assert (found["digits_queue_running"][""], found["digits_queue_waiting"][""]) == (1, 1)
    assert (found["digits_trash_jobs"][""], found["digits_trash_bytes"][""]) == (1, 77)
    assert found["digits_process_resident_memory_bytes"]['process="web"'] > 2**20
    assert found["digits_up"][""] == 0, "no supervisor runs here"


def test_who_may_scrape(service: Service) -> None:
    for opened in (False, True):
        guarded = Service(replace(service.settings, auth=True, metrics_open=opened), service.jobs_dir, service.store)
        client = create_app(guarded).test_client()
        assert client.get("/metrics").status_code == (200 if opened else 302)
        assert client.get("/trash.json").status_code == 401
        token = tokens.add_token(guarded, "anna", "prometheus", Scope.READ)
        assert client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_names_of_devices_are_escaped() -> None:
    name = 'a "GPU"\\\n'
    assert parsed(gauge("x", "y", [({"name": name}, 1)])) == {"x": {'name="a \\"GPU\\"\\\\\\n"': 1.0}}
    assert kind_of(["python", "-m", "digits.web"]) == "web"
