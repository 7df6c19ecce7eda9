"""The rule of access over the whole map of addresses: what changes something needs proof by cookie, and a scope by token."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.routing import Rule

from digits.config import Settings
from digits.domain.access import Scope
from digits.domain.jobs import Kind, Status
from digits.domain.training import TrainingSpec
from digits.ipc import plugin_host_client
from digits.service import Service, accounts, sessions, tokens
from digits.service.audit import FILE_NAME
from digits.service.jobs import edit
from digits.web.app import create_app
from digits.web.http import access
from tests.builders import make_job
from tests.conftest import TEMPLATES

PASSWORD = "correct horse"
SPEC = TrainingSpec(dataset_id="", task="classification").to_json()
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}
FOREIGN: dict[str, dict[str, str]] = {
    "another site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example", "Referer": "https://evil.example/"},
    "a sub-domain": {"Sec-Fetch-Site": "same-site", "Origin": "http://evil.localhost"},
    "an old browser": {"Origin": "https://evil.example"},
    "https at the same host": {"Origin": "https://localhost"},
    "another port": {"Origin": "http://localhost:8080"},
    "a sandbox": {"Origin": "null"},
    "a link, old browser": {"Referer": "https://evil.example/?http://localhost/"},
    "a link in a mail": {"Sec-Fetch-Site": "none"},
    "silence": {},
    "a wrong token": {"X-CSRF-Token": "x"},
}
UNSEEN = ("last_used", "expires")  # columns that say when somebody was there


@dataclass
class World:
    """A server with an account, its session, and a job, an upload and a token of every kind."""

    service: Service
    app: Flask
    client: FlaskClient
    ids: dict[str, str]

    def address(self, rule: Rule) -> str:
        """The rule with names of things that exist."""
        area = rule.rule.split("/")[1]
        job = self.ids["dataset" if "/inference-form/" in rule.rule else area if area in self.ids else "model"]
        values = {"job_id": job, "kind": "classification", "extension_id": "image-segmentation", "ids": self.ids["model"]}
        values |= {
            "name": "pictures",
            "session": self.ids["session"],
            "token": self.ids["token"],
            "step": "1",
            "path": f"{job}/x",
        }
        values |= {"filename": "x", "extension": "zip", "rest": "data", "file": "x"}
        if "<kind>/<extension_id>" in rule.rule:
            values["kind"] = "data"
        address = rule.rule
        for name in rule.arguments:
            for part in address.split("<")[1:]:
                inside = part.partition(">")[0]
                if inside.rpartition(":")[2] == name:
                    address = address.replace(f"<{inside}>", values.get(name, "1"))
        return address

    def arguments(self) -> dict[str, Any]:
        """What makes the handlers that change something do so."""
        return {
            "job_id": self.ids["model"],
            "job_ids[]": [self.ids["models"], self.ids["datasets"]],
            "group_name": "taken over",
            "job_name": "taken over",
            "job_notes": "taken over",
            "image_folder": str(self.service.jobs_dir.path),
            "wait": "0",
            "move": "top",
            "format": "onnx",
            "split": "val",
            "name": "taken-over",
            "username": "mallory",
        }

    def state(self) -> dict[str, str]:
        """Every row and every file, but for when somebody was there and the audit log, which says who tried."""
        found: dict[str, str] = {}
        with self.service.store.engine.connect() as connection:
            for table in ("jobs", "dependencies", "outputs", "users", "tokens", "sessions", "counter"):
                for row in connection.execute(text(f"SELECT * FROM {table}")).mappings():
                    seen = {name: value for name, value in row.items() if name not in UNSEEN}
                    found[f"{table} {next(iter(row.values()))}"] = repr(seen)
        for folder, _, names in os.walk(self.service.jobs_dir.path):
            found[folder] = "a folder"
            for name in names:
                path = Path(folder) / name
                if not name.startswith(("digits.sqlite", FILE_NAME)):
                    found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def rules(self) -> list[tuple[Rule, access.Need]]:
        return [(rule, access.need_of(self.app, rule)) for rule in self.app.url_map.iter_rules()]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(plugin_host_client, "RESTART_SECONDS", 0.0)  # none runs here
    service = Service.open(Settings(jobs_dir=str(tmp_path / "jobs"), data_dirs=str(tmp_path)))
    accounts.add_user(service, "ada", PASSWORD)
    app = create_app(service)
    app.jinja_env.bytecode_cache = TEMPLATES
    client = app.test_client()
    assert client.post("/login", data={"username": "ada", "password": PASSWORD}).status_code == 302
    ids = {
        "datasets": make_job(service, Kind.DATASET, status=Status.DONE, owner="ada").id,
        "models": make_job(service, status=Status.WAIT, owner="ada", spec=SPEC).id,
        "evaluations": make_job(service, Kind.EVALUATION, status=Status.DONE, owner="ada").id,
    }
    ids |= {"dataset": ids["datasets"], "model": ids["models"], "jobs": ids["models"]}
    tokens.add_token(service, "ada", "a script")
    ids["token"] = tokens.list_tokens(service)[0].id
    ids["session"] = sessions.list_sessions(service, "ada")[0].id
    upload = service.jobs_dir.uploads / "pictures"
    upload.mkdir(parents=True)
    (upload / "1.txt").write_text("a file")
    yield World(service, app, client, ids)
    service.close()


def send(world: World, client: FlaskClient, rule: Rule, method: str, headers: Mapping[str, str]) -> int:
    """Ask for a rule, with arguments that would change something in the address and (but for GET and HEAD) in the body."""
    body = None if method in ("GET", "HEAD", "OPTIONS") else world.arguments()
    query = world.arguments() if body is None or method == "DELETE" else None
    answer = client.open(
        world.address(rule), method=method, headers={"Accept": "application/json", **headers}, query_string=query, data=body
    )
    answer.close()
    return answer.status_code


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def test_a_session_changes_nothing_without_proof_whatever_the_route_and_the_method(world: World) -> None:
    before, guilty, asked, refused, handlers = world.state(), [], 0, 0, set()
    for rule, need in world.rules():
        handler = (world.app.view_functions[rule.endpoint], frozenset(rule.methods or ()))
        in_full = handler not in handlers  # `….json` and `…/json` are the same once more
        handlers.add(handler)
        for method in METHODS if in_full else sorted((rule.methods or set()) - {"OPTIONS"}):
            is_change = method in (rule.methods or ()) and method != "OPTIONS" and need.scope is not Scope.READ
            for name, headers in FOREIGN.items() if is_change and in_full else list(FOREIGN.items())[:1]:
                code = send(world, world.client, rule, method, headers)
                asked += 1
                refused += code == 403
                if is_change and code != 403:
                    guilty.append(f"{method} {rule.rule} from {name}: {code}")
        if found := changed(before, world.state()):
            guilty.append(f"{rule.rule} changed {found}")
            before = world.state()
    assert guilty == []
    assert asked > 1200
    assert refused > 500
    # the same request with proof does change something, so the walk was worth its while
    arguments = world.arguments()
    assert world.client.get("/group", query_string=arguments, headers=FROM_HERE).status_code == 200
    assert world.service.store.get(world.ids["model"]).group == "taken over"


@pytest.mark.parametrize(("scope", "forbidden"), [(Scope.READ, {Scope.RUN, Scope.ADMIN}), (Scope.RUN, {Scope.ADMIN})])
def test_a_token_does_what_its_scope_holds_at_every_route(world: World, scope: Scope, forbidden: set[Scope]) -> None:
    token = tokens.add_token(world.service, "ada", "", scope)
    client, before, guilty = world.app.test_client(), world.state(), []
    for rule, need in world.rules():
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            if need.scope not in forbidden and (scope is Scope.RUN or method in access.SAFE_METHODS):
                continue  # it may, and what only reads was asked for above
            code = send(world, client, rule, method, {"Authorization": f"Bearer {token}"})
            if (code == 403) != (need.scope in forbidden):
                guilty.append(f"{method} {rule.rule}: {code}")
    assert guilty == []
    assert changed(before, world.state()) == []


def test_what_needs_more_than_to_read_is_everything_that_does_not_say_that_it_reads(world: World) -> None:
    reads = set()
    for rule, need in world.rules():
        if need.scope is Scope.READ:
            said = hasattr(world.app.view_functions[rule.endpoint], "needs")
            assert said or (rule.methods or set()) <= access.SAFE_METHODS, rule
            reads.add(rule.rule)
    assert {"/group", "/logout", "/models/images/classification/classify_many", "/models/images/generic/infer_one"}.isdisjoint(
        reads
    )


def test_what_removes_something_is_in_the_audit_log(world: World) -> None:
    silent = {rule.rule for rule, need in world.rules() if "DELETE" in (rule.methods or set()) and not need.recorded}
    assert silent == set()


def test_a_route_that_says_it_reads_cannot_change_the_database(world: World) -> None:
    job = world.service.store.get(world.ids["model"])
    world.app.view_functions["system.info"] = lambda: str(edit(world.service, job, group="by a read"))
    answer = world.client.get("/info", headers=FROM_HERE)
    assert answer.status_code == 500
    assert "only reads" in answer.get_data(as_text=True)
    assert world.service.store.get(job.id).group == ""


def test_an_address_that_changes_something_asks_first_and_goes_on_by_a_form(world: World) -> None:
    """A bookmark, a link in a mail: nothing happens until the user says so on a page of this server."""
    query = {"job_ids[]": world.ids["model"], "group_name": "<b>mine</b>"}
    page = world.client.get("/group", query_string=query, headers={"Sec-Fetch-Site": "none"})
    assert (page.status_code, world.service.store.get(world.ids["model"]).group) == (403, "")
    assert "Go on?" in page.text
    assert '<input type="hidden" name="group_name" value="&lt;b&gt;mine&lt;/b&gt;">' in page.text
    token = page.text.partition('name="csrf-token" content="')[2].partition('"')[0]
    assert world.client.post("/group", data={**query, "csrf_token": token}).status_code == 200
    assert world.service.store.get(world.ids["model"]).group == "<b>mine</b>"


def test_without_log_in_scripts_change_things_by_get_and_other_sites_do_not(service: Service, client: FlaskClient) -> None:
    job = make_job(service)
    query = {"job_ids[]": job.id, "group_name": "g"}
    for name in ("another site", "a sub-domain", "an old browser", "https at the same host", "a link, old browser"):
        assert client.get("/group", query_string=query, headers=FOREIGN[name]).status_code == 403, name
        assert client.get("/login?username=mallory", headers=FOREIGN[name]).status_code == 403, name
    assert service.store.get(job.id).group == ""
    assert client.get("/group", query_string=query).status_code == 200
    assert service.store.get(job.id).group == "g"


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://localhost"}, True),
        ({"Referer": "http://localhost/models/1?a=b"}, True),
        ({"Origin": "https://localhost"}, False),
        ({"Referer": "https://localhost/"}, False),
        ({"Referer": "http://localhost.evil.example/"}, False),
        ({"Referer": "http://user@localhost/"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
        ({"Sec-Fetch-Site": "None"}, False),
        ({"Sec-Fetch-Site": ""}, False),
    ],
)
def test_what_proves_that_a_page_of_this_server_sent_it(world: World, headers: dict[str, str], passes: bool) -> None:
    for method in ("GET", "POST"):
        query = {"job_ids[]": world.ids["model"], "group_name": method}
        answer = world.client.open("/group", method=method, query_string=query, headers=headers)
        assert answer.status_code == (200 if passes else 403)
