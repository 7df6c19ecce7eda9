"""A path in every field and every part of an address of what is made of models: nothing outside is shown, nothing is a fault.

`HOSTILE_EVERY=1` sends all of them; else one of so many.
"""

from __future__ import annotations

import os
import re
import urllib.parse
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from digits.service import Service
from digits.service.forms import FormModel
from digits.storage.jobs.store import Job
from tests.web.http.test_arguments import jobs, routes

__all__ = ["jobs"]

EVERY = int(os.environ.get("HOSTILE_EVERY") or 80)
MARK = b"not for you, 4711"
ROOMS = (
    "/serve",
    "/v2",
    "/exports",
    "/inside",
    "/embeddings",
    "/pretrained",
    "/store",
    "/reproduce",
    "/evaluations",
    "/evaluate",
)
ROOMS += ("/thresholds", "/to_pretrained", "/answer", "/explain", "infer", "classify", "top_n")
SECONDS_OF_NOBODY = "digits.ipc.plugin_host_client.RESTART_SECONDS"


@pytest.fixture
def paths(service: Service, jobs: dict[str, Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What nobody may read, by its own name and through links; and what is no path of a file."""
    monkeypatch.setattr(SECONDS_OF_NOBODY, 0.0)  # no plugin host runs here
    outside, upload = tmp_path.parent / f"outside-{tmp_path.name}", service.jobs_dir.uploads / "sent"
    for folder in (outside, upload):
        folder.mkdir(parents=True)
    for name in ("s.png", "secret"):
        (outside / name).write_bytes(MARK)
    (upload / "link").symlink_to(outside / "secret")
    (upload / "linked").symlink_to(outside)
    (upload / "list.txt").write_text(f"{outside}/s.png 0\n{upload}/link 0\n")
    os.mkfifo(upload / "pipe")
    hidden = service.jobs_dir.hidden
    found = [outside / "secret", outside, upload / "link", upload / "linked" / "s.png", upload / "pipe", upload / "list.txt"]
    found += [hidden / "secret", hidden / "digits.sqlite", upload / ".." / ".." / "secret"]
    texts = ["/etc/passwd", "/dev/zero", "/dev/stdin", "/proc/self/environ", "../" * 9 + "etc/passwd", ".", "..", "/", "~root/x"]
    texts += ["a\0b", "\0", "x" * 5000, "/" + "a/" * 3000, "é" * 3000, "file:///etc/passwd", "http://127.0.0.1:1/x", "\ud800x"]
    return [*map(str, found), *texts, f"{jobs['models'].id}/userdata.pkl", "<script>alert(1)</script>"]


def requests(client: FlaskClient, jobs: dict[str, Job], paths: list[str]) -> Iterator[tuple[str, TestResponse]]:
    """The answers to all of them, with what was asked for."""
    for rule, method, address, note in routes(client.application, jobs):
        if not any(name in rule.rule for name in ROOMS) or address.endswith("/events"):
            continue
        form: Any = note.get("form") or {}
        if isinstance(form, type) and issubclass(form, FormModel):
            form = form.model_fields
        for name in sorted({*form, *(note.get("arguments") or {})} if isinstance(form, dict) else ()):
            for path in paths:
                values = {name: path.encode(errors="surrogatepass")}
                where = "query_string" if method == "GET" else "data"
                yield from asked(client, method, address, f"{name}={path}", **{where: values})
        for part in rule.arguments - {"row", "step"}:
            for path in paths:
                given = urllib.parse.quote(path.encode(errors="surrogatepass"))
                place = re.sub(rf"<(?:[^:<>]*:)?{part}>", lambda _, given=given: given, rule.rule)
                place = re.sub(r"<int:\w+>", "0", place.replace("<job_id>", jobs["models"].id))
                yield from asked(client, method, re.sub(r"<[^>]*>", "x", place), path)


def asked(client: FlaskClient, method: str, address: str, what: str, **sent: Any) -> Iterator[tuple[str, TestResponse]]:
    said = f"{method} {address[:200]} {what[:100]}"
    if zlib.crc32(said.encode(errors="replace")) % EVERY == 0:
        answer = client.open(address, method=method, headers={"Accept": "application/json"}, **sent)
        yield said, answer
        answer.close()


def test_no_path_shows_what_is_outside_or_is_a_fault(client: FlaskClient, jobs: dict[str, Job], paths: list[str]) -> None:
    codes, guilty = Counter[int](), []
    for said, answer in requests(client, jobs, paths):
        codes[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code != 503:  # no supervisor runs here either
            guilty.append(f"{said}: {answer.status} {answer.get_data()[:200]!r}")
        if MARK in answer.get_data() or b"root:x:0" in answer.get_data():
            guilty.append(f"{said}: shown")
    assert guilty == []
    assert codes[200] + codes[400] + codes[404] > 100, (codes, codes.total())
