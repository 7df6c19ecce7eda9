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


def test_no_word_of_a_plugin_is_script(service: Service, client: FlaskClient, tmp_path: Path) -> None:
    add_package(tmp_path / "site", "evil", data_source("evil", SAID, FIELD), data="Data")
    with running_host(service, tmp_path, tmp_path / "site"):
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
