"""What a plugin says of itself is text: titles, categories, help, choices and values with script in them are shown, not run."""

from __future__ import annotations

import os
from pathlib import Path

from flask.testing import FlaskClient

from digits.service import Service
from digits.service.plugins import host as plugins
from tests.plugin_host.hosts import running_host
from tests.plugin_host.packages import add_package, data_source

EVIL = "<script>alert(1)</script>"
ATTRIBUTE = '\\" onmouseover=\\"alert(2)'
SAID = f'''
@staticmethod
def get_title():
    return "{EVIL}{ATTRIBUTE}"

@staticmethod
def get_category():
    return "{EVIL}"

@staticmethod
def get_dataset_template(form):
    fields = "{{{{ form.hint.label }}}} {{{{ form.hint.tooltip }}}} {{{{ form.hint.description }}}} {{{{ form.hint }}}}"
    return "Help: " + fields, {{"form": form}}
'''
FIELD = f'''
hint = __import__("digits").utils.forms.StringField(
    "{EVIL}", tooltip="{EVIL}{ATTRIBUTE}", description="{EVIL}{ATTRIBUTE}", default="{EVIL}{ATTRIBUTE}"
)
'''


STATIC = "/extension-static"
NAMES = [
    *(
        "../__init__.py",
        "..",
        ".",
        "",
        "/etc/passwd",
        "//etc/passwd",
        "a/../../__init__.py",
        "..\\__init__.py",
        "x.js/../../evil.py",
    ),
    *("%2e%2e/__init__.py", "..%2f__init__.py", "%2e%2e%2f__init__.py", "%252e%252e/__init__.py", "x.js%00.png", "%00"),
    *("x" * 5000, "a/" * 2000 + "x", "%ff%fe", "x.js;a=b", "~root/.bashrc", "file:///etc/passwd", "C:/x", "\u2025/x", "pipe"),
]
IDS = ["evil", "image-segmentation", "nobody", "..", "%2e%2e", "../data", "evil%00", "x" * 3000, "<script>", "evil/../evil"]
KINDS = ["data", "view", "DATA", "..", "%2e%2e", "<b>", "data%00", "x" * 3000]


def static_requests(client: FlaskClient) -> int:
    """Ask for files of plugins by every name that should give none; how many requests were refused."""
    addresses = [f"{STATIC}/data/evil/{name}" for name in NAMES] + [f"{STATIC}/data/image-segmentation/{name}" for name in NAMES]
    addresses += [f"{STATIC}/{kind}/{name}/x.js" for kind in KINDS for name in IDS if (kind, name) != ("data", "evil")]
    for address in addresses:
        for method in ("GET", "HEAD"):
            answer = client.open(address, method=method)
            assert 400 <= answer.status_code < 500 or answer.status_code in (301, 308), (address, answer.status)
            assert "<script>" not in answer.text, address
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.open(f"{STATIC}/data/evil/x.js", method=method).status_code in (403, 405)
    return 2 * len(addresses) + 4


def test_no_word_of_a_plugin_is_script(service: Service, client: FlaskClient, tmp_path: Path) -> None:
    files = {"static/x.js": "1", "static/page.html": EVIL}
    add_package(tmp_path / "site", "evil", data_source("evil", SAID, FIELD), data="Data", files=files)
    os.mkfifo(next((tmp_path / "site").rglob("static")) / "pipe")
    with running_host(service, tmp_path, tmp_path / "site"):
        assert client.get(f"{STATIC}/data/evil/x.js").data == b"1"
        assert static_requests(client) > 200
        page = client.get(f"{STATIC}/data/evil/page.html")
        assert "script-src" in page.headers["Content-Security-Policy"]
        assert "unsafe-inline" not in page.headers["Content-Security-Policy"].partition("script-src")[2].partition(";")[0]
        rows = plugins.table(service)["data"]
        assert any(EVIL in row["title"] for row in rows)
        plugins.known(service)
        for address in ("/", "/plugins", "/datasets/generic/new/evil"):
            answer = client.get(address)
            assert answer.status_code == 200, address
            text = answer.text
            assert EVIL not in text, address
            assert 'onmouseover="alert' not in text, address
        assert "&lt;script&gt;alert(1)" in client.get("/plugins").text
        assert client.get("/datasets/generic/new/evil").text.partition("Help:")[2].count("&lt;script&gt;alert(1)") >= 4
