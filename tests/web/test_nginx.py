"""digits behind a real nginx with TLS, set up by `docs/nginx.conf`: addresses, cookies, origins, guesses and live pages."""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import shutil
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Route, expect

from digits.service import accounts, sessions
from digits.service.audit import audit_file
from tests.builders import make_job
from tests.conftest import RunningServer, free_port, start_server
from tests.waiting import PATIENCE_SECONDS

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
SMALLEST = "client_max_body_size 1m;"  # what nginx lets through where nobody says more
EXAMPLE = Path(__file__).parents[2] / "docs" / "nginx.conf"
PASSWORD = "correct horse"
MAIN = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {servers}
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx-light)")


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def cookie(self) -> str:
        return self.headers["Set-Cookie"].partition(";")[0]


@dataclass
class Site:
    """The server behind nginx; `port` is that of nginx's TLS."""

    server: RunningServer
    port: int
    certificate: Path
    prefix: str = ""

    def send(
        self, method: str, path: str, address: str = "127.0.0.1", form: dict[str, str] | None = None, **headers: str
    ) -> Answer:
        """A request over TLS that comes from a loopback address of one's choice."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, source_address=(address, 0), context=context)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, self.prefix + path, urlencode(form) if form is not None else None, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def log_in(self, password: str, address: str, **headers: str) -> Answer:
        return self.send("POST", "/login", address, {"username": "ada", "password": password}, **headers)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with _behind_nginx(tmp_path_factory.mktemp("nginx"), {"client_max_body_size 8192m;": SMALLEST}) as site:
        yield site


@contextmanager
def _behind_nginx(folder: Path, changes: dict[str, str], **settings: str) -> Iterator[Site]:
    """A server behind a real nginx, whose file is the example with these texts replaced beside names and ports."""
    with start_server(folder, "-m", "digits.web", auth="true", trusted_proxies="127.0.0.1", **settings) as server:
        accounts.add_user(server.service, "ada", PASSWORD)
        port, plain = free_port(), free_port()
        certificate = _certificate(folder)
        changes = {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "listen 80": f"listen 127.0.0.1:{plain}",
            "http://127.0.0.1:5000": server.url,
            "/etc/ssl/certs/digits.pem": str(certificate),
            "/etc/ssl/private/digits.key": str(folder / "key.pem"),
            "digits.example.org": "localhost",
            **changes,
        }
        servers = EXAMPLE.read_text()
        for old, new in changes.items():
            assert old in servers
            servers = servers.replace(old, new)
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, servers=servers))
        command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        subprocess.run([*command, "-t"], check=True, capture_output=True)
        process = subprocess.Popen(command)
        try:
            found = Site(server, port, certificate, settings.get("url_prefix", ""))
            _wait(found, process, folder)
            yield found
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def _certificate(folder: Path) -> Path:
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost"
    )
    made = [*command.split(), "-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(made, check=True, capture_output=True)
    return folder / "certificate.pem"


def _wait(site: Site, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            assert site.send("GET", "/health").status == 200
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"nginx did not start: {(folder / 'error.log').read_text()}")


def test_a_session_behind_tls(site: Site) -> None:
    answer = site.log_in(PASSWORD, "127.0.0.5", Origin=f"https://127.0.0.1:{site.port}", X_Forwarded_For="9.9.9.9")
    assert answer.status == 302
    assert "Secure" in answer.headers["Set-Cookie"]
    listed = json.loads(site.send("GET", "/sessions.json", Cookie=answer.cookie).text)["sessions"]
    assert [(row["address"], row["current"]) for row in listed] == [("127.0.0.5", True)], "not what the sender made up"
    assert json.loads(audit_file(site.server.service).read_text().splitlines()[-1])["from"] == "127.0.0.5"


def test_scheme_and_port_are_part_of_the_origin(site: Site) -> None:
    cookie = site.log_in(PASSWORD, "127.0.0.5").cookie
    job = make_job(site.server.service, owner="ada")
    here = f"127.0.0.1:{site.port}"
    for origin, code in ((f"http://{here}", 403), ("https://127.0.0.1", 403), (site.server.url, 403), (f"https://{here}", 200)):
        answer = site.send("PUT", f"/jobs/{job.id}", form={"job_name": "new"}, Cookie=cookie, Origin=origin)
        assert answer.status == code, origin
    page = site.send("GET", "/", Cookie=cookie).text
    token = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert token is not None
    assert site.send("POST", "/logout", Cookie=cookie).status == 403
    assert site.send("POST", "/logout", form={"csrf_token": token[1]}, Cookie=cookie).status == 302
    assert site.send("GET", "/index.json", Cookie=cookie).status == 401, "the cookie is worth nothing any more"


def test_an_outsider_who_guesses_does_not_keep_the_owner_out(site: Site) -> None:
    sessions.begin(site.server.service, "ada", "127.0.0.6", "a browser")

    def guess(number: int) -> int:
        return site.log_in(f"guess {number}", "127.0.0.66", X_Forwarded_For=f"203.0.113.{number}").status

    started = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        burst = pool.map(guess, range(100))
        owner = [site.log_in(PASSWORD, "127.0.0.6").status for _ in range(3)]
        found = Counter(burst)
    assert owner == [302, 302, 302]
    assert set(found) == {401, 429}
    pauses = math.log2(time.monotonic() - started + 1)  # of 1, 2, 4, … seconds
    assert found[401] <= 5 + math.ceil(pauses), "addresses that the sender makes up do not help"


def test_live_pages_pass_at_once(site: Site) -> None:
    cookie = site.log_in(PASSWORD, "127.0.0.6").cookie
    job = make_job(site.server.service, owner="ada")
    context = ssl.create_default_context(cafile=str(site.certificate))
    connection = http.client.HTTPSConnection("127.0.0.1", site.port, timeout=60, context=context)
    connection.request("GET", f"/events?list={site.server.service.store.sequence()}", headers={"Cookie": cookie})
    answer = connection.getresponse()
    assert answer.readline() == b"retry: 1000\n"
    site.server.service.store.update(job.id, name="seen live")
    while b"seen live" not in (line := answer.readline()):
        assert line, "the stream ended"
    connection.close()


def test_below_a_path(tmp_path: Path) -> None:
    """As docs/deploy.md says: the setting, and one line of the example."""
    with _behind_nginx(tmp_path, {"location / {": "location /digits/ {"}, url_prefix="/digits") as site:
        assert site.send("GET", "/").headers["Location"].startswith("/digits/login")
        answer = site.log_in(PASSWORD, "127.0.0.5", Origin=f"https://127.0.0.1:{site.port}")
        assert answer.headers["Location"].startswith("/digits/")
        page = site.send("GET", "/", Cookie=answer.cookie)
        assert page.status == 200
        asset = re.search(r'src="(/digits/static/[^"]+)"', page.text)
        assert asset is not None
        assert replace(site, prefix="").send("GET", asset[1]).status == 200


def test_a_browser_sends_in_pieces_what_the_proxy_does_not_let_through(
    site: Site,
    chromium: Browser,
    tmp_path: Path,
) -> None:
    content = os.urandom(1_700_000)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "large.bin").write_bytes(content)
    for number in range(12):
        (tmp_path / "folder" / f"{number}.bin").write_bytes(content[:150_000])
    context = chromium.new_context(ignore_https_errors=True)
    page = context.new_page()
    answers: list[tuple[str, int]] = []
    page.on("response", lambda answer: answers.append((answer.request.method, answer.status)))
    lost = iter([True, True])

    def lose(route: Route) -> None:
        """Two answers do not arrive, though what was sent did."""
        if route.request.method == "PUT" and next(lost, False):
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.goto(f"https://localhost:{site.port}/login")
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Login").click()
    page.route("**/uploads/sending/**", lose)
    page.goto(f"https://localhost:{site.port}/uploads")
    with page.expect_navigation(timeout=60_000):
        page.locator('.dropzone input[type="file"]').nth(1).set_input_files(tmp_path / "folder")
    expect(page.locator("tbody tr")).to_contain_text("folder")
    context.close()
    folder = site.server.service.jobs_dir.uploads / "folder" / "folder"
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == {
        "large.bin": len(content),
        **{f"{number}.bin": 150_000 for number in range(12)},
    }
    assert (folder / "large.bin").read_bytes() == content
    assert ("POST", 413) in answers
