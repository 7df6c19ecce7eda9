"""What a plugin says of itself is text: titles, categories, help, choices and values with script in them are shown, not run."""

from __future__ import annotations

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
'''


def test_no_word_of_a_plugin_is_script(service: Service, client: FlaskClient, tmp_path: Path) -> None:
    add_package(tmp_path / "site", "evil", data_source("evil", SAID), data="Data")
    with running_host(service, tmp_path, tmp_path / "site"):
        rows = plugins.table(service)["data"]
        assert any(EVIL in row["title"] for row in rows)
        plugins.known(service)
        for address in ("/", "/plugins", "/datasets/images/generic/new/evil", "/datasets/new", "/plugins/data/evil"):
            text = client.get(address, follow_redirects=True).text
            assert EVIL not in text, address
            assert 'onmouseover="alert' not in text, address
        assert "&lt;script&gt;alert(1)" in client.get("/plugins").text
