"""The plugin host as the server uses it: a process, a socket, packages installed beside it."""

from __future__ import annotations

import html
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from digits.config import Settings
from digits.errors import FormErrors, NotFound, PluginError
from digits.service import Service
from digits.service.datasets import from_source
from digits.service.plugins import host as plugins
from digits.service.plugins import views as plugin_views
from digits.service.plugins.views import ViewSample
from digits.storage.records.reader import BOX_DTYPE
from tests.plugin_host.hosts import make_dataset, plugin_form, running_host
from tests.plugin_host.packages import add_package, data_source, view_source

OLD_FORM = """
extra = wtforms.TextAreaField("Extra", validators=[wtforms.validators.Optional()])
upload = wtforms.FileField("Upload")
choice = wtforms.SelectField("Choice", choices=[("a", "A"), ("/etc", "A place of its own")], default="a")
source = wtforms.StringField("Source")
group_pattern = wtforms.StringField("Pattern")
names = wtforms.FieldList(wtforms.StringField("Name"), min_entries=2)

def __init__(self, *args, **kwargs):
    super().__init__(*args, **kwargs)
    self.choice.choices.append(("late", "Late"))
"""

SHOWN = """
@staticmethod
def get_dataset_template(form):
    return '{{ form.count() }} {{ form.names() }} {{ form.source(class="form-control autocomplete_path") }}', {"form": form}
"""

ORDER = """
def process_data(self, input_id, input_data, inference_data, ground_truth="none given", input_name=None):
    self.seen += 1
    self.truths = getattr(self, "truths", []) + [ground_truth]
    self.last = sorted(inference_data)
    if input_name == "bad":
        raise RuntimeError("no good")
    if input_name == "exit":
        raise SystemExit(3)
    return "{!r} {} {} {}".format(input_id, input_name, input_data.shape, input_data.dtype)

def get_header_template(self):
    return (
        "<b>{{ seen }} seen, truths {{ truths|length }}, outputs {{ last|join }}, {{ dims }}, {{ labels|join('+') }}</b>"
        "<script>var total = {{ seen }};</script><style>b { color: red }</style>",
        {
            "seen": self.seen,
            "truths": [t for t in self.truths if t is not None],
            "last": self.last,
            "dims": list(self.dataset.get_feature_dims()),
            "labels": self.dataset.extension_userdata.get("class_labels", []),
        },
    )

def get_ng_templates(self):
    return "<div ng-app='x'>", "</div><script>done()</script>"
"""


COMPLAINS = """
def __init__(self, is_inference_db=False, **kwargs):
    super().__init__(is_inference_db, **kwargs)
    if self.folder == "refuse":
        raise ValueError("this folder holds no recording")

class Test(FlaskForm):
    snippet = wtforms.StringField("Snippet")

def get_inference_form(self):
    return self.Test()

@staticmethod
def get_inference_template(form):
    return "{{ form.snippet() }}", {"form": form}

def itemize_entries(self, stage):
    if not self.is_inference_db:
        return [1, 2]
    if self.snippet == "none":
        return []
    if not self.snippet:
        raise ValueError("a snippet is needed")
    return self.snippet.split()

def encode_entry(self, entry):
    if entry == "long":
        raise ValueError("the snippet is too long")
    if entry == "broken":
        raise KeyError("a bug")
    return np.zeros((1, 2, 3), np.uint8), np.array([0])
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("host")


@pytest.fixture(scope="module")
def host(place: Path) -> Iterator[Service]:
    site = place / "site"
    add_package(site, "goodplugin", data_source("good", SHOWN, form=OLD_FORM), data="Data", files={"static/x.js": "alert(1)"})
    add_package(
        site,
        "brokenforms",
        data_source("broken-form", "@staticmethod\ndef get_dataset_form():\n    raise KeyError('no form today')\n"),
        data="Data",
    )
    add_package(
        site,
        "brokensyntax",
        data_source("broken-syntax", "@staticmethod\ndef get_dataset_template(form):\n    return 'a\\n{% if %}', {}\n"),
        data="Data",
    )
    add_package(
        site,
        "undefinedname",
        data_source(
            "undefined-name",
            "@staticmethod\ndef get_dataset_template(form):\n"
            "    return '<{{ nobody }}{% for x in none_of_it %}x{% endfor %}>', {}\n",
        ),
        data="Data",
    )
    add_package(
        site,
        "undefinedattribute",
        data_source("undefined-attribute", "@staticmethod\ndef get_dataset_template(form):\n    return '{{ nobody.x }}', {}\n"),
        data="Data",
    )
    add_package(site, "complains", data_source("complains", COMPLAINS), data="Data")
    add_package(
        site,
        "badinit",
        data_source("bad-init", "def __init__(self, **kwargs):\n    raise RuntimeError('cannot start')\n"),
        data="Data",
    )
    add_package(
        site,
        "unpickled",
        data_source("unpickled", "def __init__(self, **k):\n    super().__init__(**k)\n    self.userdata['f'] = lambda: 1\n"),
        data="Data",
    )
    add_package(site, "goodview", view_source("good-view", ORDER), view="View")
    summary = "from digits.utils import override\n" + view_source(
        "old-summary", "@override\ndef get_summary_template(self):\n    return '<b>{{ seen }} in all</b>', {'seen': self.seen}\n"
    )
    add_package(site, "oldsummary", summary, view="View")
    add_package(site, "noimport", "import dicom\n", data="Data")
    add_package(site, "oldnumpy", "import numpy as np\nkind = np.int\n", data="Data")
    add_package(site, "oldscipy", "from scipy.signal import hann\n", data="Data")
    add_package(site, "quitter", "import sys\nsys.exit(4)\n", data="Data")
    hidden = "@staticmethod\ndef get_default_visibility():\n    return False\n"
    add_package(site, "hidden", data_source("hidden", hidden), data="Data")
    add_package(site, "zdoubled", data_source("good"), data="Data")
    service = Service.open(Settings(jobs_dir=str(place / "jobs"), auth=False, data_dirs=str(place)))
    with running_host(service, place, site):
        yield service
    service.close()


def rows(service: Service) -> dict[str, dict[str, object]]:
    return {str(row["distribution"]): row for row in plugins.table(service)["data"]}


def test_lists_every_plugin_with_version_place_and_error(host: Service) -> None:
    found = rows(host)
    assert found["goodplugin"]["ok"]
    assert found["goodplugin"]["version"] == "1.0"
    assert "site" in str(found["goodplugin"]["location"])
    assert found["goodplugin"]["title"] == "Title of good"


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("noimport", ["No module named 'dicom'", "pydicom"]),
        ("oldnumpy", ["np.int", "int or np.int64"]),
        ("oldscipy", ["hann", "scipy.signal.windows.hann"]),
        ("quitter", ["SystemExit", "sys.exit"]),
        ("zdoubled", ["'good' is taken by", "goodplugin"]),
    ],
)
def test_a_plugin_that_cannot_be_used_is_a_row_with_the_reason_and_the_remedy(
    host: Service, package: str, words: list[str]
) -> None:
    row = rows(host)[package]
    assert not row["ok"]
    for word in words:
        assert word in str(row["error"])


def test_the_menu_has_its_category(host: Service) -> None:
    plugins.forget(host)
    assert [row["id"] for row in plugins.menu(host)["Tests"]][0:2] == ["bad-init", "broken-form"]


def test_what_hides_itself_is_in_no_menu_but_works_by_its_address(host: Service) -> None:
    assert "hidden" not in [row["id"] for row in plugins.menu(host)["Tests"]]
    assert plugin_form(host, "hidden", {}).failure is None
    everything = Service.open(Settings(jobs_dir=str(host.jobs_dir.path), auth=False, all_extensions=True))
    assert "hidden" in [row["id"] for row in plugins.menu(everything)["Tests"]]
    everything.close()


def test_setup_files_import_the_group_without_flask() -> None:
    program = "import sys; from digits.extensions.{0} import GROUP; print(GROUP, 'flask' in sys.modules, 'numpy' in sys.modules)"
    for kind in ("data", "view"):
        run = subprocess.run([sys.executable, "-c", program.format(kind)], capture_output=True, text=True, check=True)
        assert run.stdout.split() == [f"digits.plugins.{kind}", "False", "False"]


def test_a_form_shows_choices_that_were_appended_after_binding(host: Service) -> None:
    form = plugin_form(host, "good", {})
    fields = {field["name"]: field for field in form.fields}
    assert [choice[0] for choice in fields["choice"]["choices"]] == ["a", "/etc", "late"]
    assert fields["count"]["default"] == 4
    assert 'name="count"' in form.html


def test_stored_values_refill_a_form(host: Service) -> None:
    stored = {"count": 17, "names-0": "first", "names-1": "second", "dataset_name": "x"}
    shown = plugin_form(host, "good", stored, "refill").html
    assert [f'value="{value}"' in shown for value in ("17", "first", "second")] == [True] * 3


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        ("broken-form", ["broken-form", "no form today"]),
        ("broken-syntax", ["broken-syntax", "line 2"]),
        ("undefined-attribute", ["undefined-attribute", "nobody", "context"]),
    ],
)
def test_a_failing_form_is_a_box_that_names_the_plugin(host: Service, plugin: str, words: list[str]) -> None:
    form = plugin_form(host, plugin, {})
    assert form.failure is not None
    assert "Traceback" in form.trace
    for word in words:
        assert word in f"{form.failure} {form.trace}"


def test_a_name_that_a_template_lacks_is_empty_and_said_in_the_row(host: Service) -> None:
    assert plugin_form(host, "undefined-name", {}).html == "<>"
    found = rows(host)["undefinedname"]["warnings"]
    assert [name in str(words) for name, words in zip(("nobody", "none_of_it"), found, strict=True)] == [True] * 2
    assert rows(host)["goodplugin"]["warnings"] == []


def test_what_a_plugin_says_of_its_input_is_an_error_of_the_form(host: Service) -> None:
    with pytest.raises(FormErrors, match="this folder holds no recording"):
        make_dataset(host, "complains", {"dataset_name": "d", "folder": "refuse"})
    job = make_dataset(host, "complains", {"dataset_name": "d", "folder": "fine"})
    for snippet, words in (("", "a snippet is needed"), ("long", "the snippet is too long"), ("none", "nothing to test")):
        with pytest.raises(FormErrors) as caught:
            from_source.inference_entries(host, job, {"snippet": snippet})
        assert words in caught.value.errors["form"][0]
    found = from_source.inference_entries(host, job, {"snippet": "long fine"})
    assert (found.keys, [row["entry"] for row in found.skipped]) == (["fine"], ["long"])
    with pytest.raises(PluginError, match="a bug"):
        from_source.inference_entries(host, job, {"snippet": "broken"})


def test_a_plugin_tests_models_of_data_sets_that_another_made(host: Service) -> None:
    job = make_dataset(host, "good", {"dataset_name": "d", "folder": "kept"})
    assert from_source.inference_form(host, job, None) is None
    form = from_source.inference_form(host, job, None, extension_id="complains")
    assert form is not None
    assert 'name="snippet"' in form.html
    assert from_source.inference_entries(host, job, {"snippet": "a b"}, extension_id="complains").keys == ["a", "b"]
    other = make_dataset(host, "good", {"dataset_name": "d", "folder": "refuse"})
    with pytest.raises(FormErrors, match="holds no recording"):  # it is given what the other one kept
        from_source.inference_entries(host, other, {"snippet": "a"}, extension_id="complains")
    assert "complains" in [row["id"] for row in plugins.testers(host)]
    assert "good" not in [row["id"] for row in plugins.testers(host)]


def test_the_instance_is_made_once_and_frozen_for_its_owner_only(host: Service) -> None:
    job = make_dataset(host, "good", {"dataset_name": "d", "count": "3", "csrf_token": "secret", "choice": "late"})
    folder = host.folder(job.id)
    assert stat.S_IMODE(folder.userdata_file.stat().st_mode) == 0o600
    spec = folder.request().spec
    assert spec["extension_data"]["count"] == 3
    assert spec["extension_data"]["choice"] == "late"
    assert "csrf_token" not in spec["extension_data"]
    assert b"secret" not in folder.userdata_file.read_bytes()


def test_errors_of_the_plugins_form_and_of_ours_come_together(host: Service) -> None:
    with pytest.raises(FormErrors) as caught:
        make_dataset(host, "good", {"count": "many", "dsopts_num_threads": "0"})
    assert {"count", "dataset_name", "dsopts_num_threads"} <= set(caught.value.errors)


@pytest.mark.parametrize(("plugin", "word"), [("bad-init", "cannot start"), ("unpickled", "f (function) cannot be pickled")])
def test_a_plugin_that_cannot_be_made_leaves_nothing_behind(host: Service, plugin: str, word: str) -> None:
    before = set(host.jobs_dir.path.iterdir())
    with pytest.raises(PluginError) as caught:
        make_dataset(host, plugin, {"dataset_name": "d"})
    assert word in str(caught.value)
    assert set(host.jobs_dir.path.iterdir()) == before


def test_an_unknown_plugin_is_not_found(host: Service) -> None:
    with pytest.raises(NotFound):
        plugin_form(host, "nobody", {})


@pytest.mark.parametrize("field", ["folder", "source", "upload"])
@pytest.mark.parametrize("text", ["/etc", "~/secrets", "x/../../../../etc", "/not/there", "/"])
def test_paths_outside_the_allowed_folders_are_refused_before_the_plugin_sees_them(host: Service, field: str, text: str) -> None:
    with pytest.raises(FormErrors) as caught:
        make_dataset(host, "good", {"dataset_name": "d", field: text})
    assert "DIGITS_DATA_DIRS" in caught.value.errors[field][0]


@pytest.mark.parametrize("text", ["/IM-(\\d+)/", "/", "..", "~ 5 slices", "first line\n/(.*)/"])
def test_other_texts_may_begin_as_paths_do(host: Service, text: str) -> None:
    job = make_dataset(host, "good", {"dataset_name": "d", "group_pattern": text, "unknown": "/x"})
    assert host.folder(job.id).request().spec["extension_data"]["group_pattern"] == text


def test_other_texts_that_name_a_place_outside_are_refused(host: Service) -> None:
    for text in ("/etc", "a\n/etc/passwd"):
        with pytest.raises(FormErrors) as caught:
            make_dataset(host, "good", {"dataset_name": "d", "group_pattern": text})
        assert "group_pattern" in caught.value.errors


def test_a_choice_of_the_plugins_own_may_be_any_place(host: Service) -> None:
    job = make_dataset(host, "good", {"dataset_name": "d", "choice": "/etc"})
    assert host.folder(job.id).request().spec["extension_data"]["choice"] == "/etc"


def test_an_upload_reaches_a_file_field_as_its_path(host: Service, place: Path) -> None:
    upload = host.jobs_dir.uploads / "note.txt"
    upload.write_text("hello")
    job = make_dataset(host, "good", {"dataset_name": "d", "upload": str(upload)})
    assert host.folder(job.id).request().spec["extension_data"]["upload"] == str(upload)


def samples(*keys: str) -> list[ViewSample]:
    picture = np.zeros((1, 4, 5), np.uint16)
    return [
        ViewSample(key, picture, {"b": np.ones(2), "a": np.ones(3)}, truth=np.array(1) if key == "one" else None) for key in keys
    ]


def test_a_view_is_asked_in_the_order_of_the_contract(host: Service) -> None:
    results = plugin_views.render(host, None, samples("one", "two"), "good-view", {"scale": "2"}, "N0nce")
    assert [sample["html"] for sample in results.samples] == ["<p>0 one (4, 5) uint16</p>", "<p>1 two (4, 5) uint16</p>"]
    assert "<b>2 seen, truths 1, outputs ab, [], </b>" in results.header["html"]
    assert '<script nonce="N0nce">var total = 2;' in results.header["html"]
    assert '<style nonce="N0nce">' in results.header["html"]
    assert results.before["html"] == "<div ng-app='x'>"
    assert results.after["html"] == '</div><script nonce="N0nce">done()</script>'


def test_a_header_counts_samples_that_are_not_shown(host: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Totals of the first 200 alone looked like those of all."""
    many = samples(*(f"s{number}" for number in range(203)))
    results = plugin_views.render(host, None, many, "good-view", {"scale": "2"}, "N0nce")
    assert (len(results.samples), results.hidden, results.uncounted) == (200, 3, 0)
    assert "<b>203 seen" in results.header["html"]
    monkeypatch.setattr(plugin_views, "COUNTED_BYTES", 2 * (40 + 5 * 8))
    results = plugin_views.render(host, None, many, "good-view", {"scale": "2"}, "N0nce")
    assert (len(results.samples), results.hidden, results.uncounted) == (200, 3, 1)
    assert "<b>202 seen" in results.header["html"]


def test_boxes_of_the_ground_truth_reach_a_view_as_the_records_hold_them(host: Service) -> None:
    truth = np.array([(1.5, 2, 3, 4, 0, 0)], BOX_DTYPE)
    sample = ViewSample("one", np.zeros((1, 8, 8), np.uint8), {"boxes": np.array([[1, 1, 2, 2, 0.9]], np.float32)}, truth)
    results = plugin_views.render(host, None, [sample], "image-bounding-boxes", {}, "")
    assert "[1.5, 2.0, 3.0, 4.0]" in html.unescape(results.samples[0]["html"])


@pytest.mark.parametrize(
    ("thresholds", "options", "stands_at"),
    [((0.625,), {}, "0.625"), ((0.625,), {"score_threshold": "0.125"}, "0.125"), ((), {}, "0.25")],
)
def test_the_view_of_boxes_begins_at_the_threshold_of_the_model(
    host: Service, thresholds: tuple[float, ...], options: dict[str, str], stands_at: str
) -> None:
    boxes = {"boxes": np.array([[1, 1, 2, 2, 0.9, 0]], np.float32)}
    sample = ViewSample("one", np.zeros((1, 8, 8), np.uint8), boxes, thresholds=thresholds)
    results = plugin_views.render(host, None, [sample], "image-bounding-boxes", options, "")
    assert f"<output>{stands_at}</output>" in results.header["html"]


def test_a_sample_that_fails_costs_its_own_box(host: Service) -> None:
    results = plugin_views.render(host, None, samples("one", "bad", "exit", "two"), "good-view", {}, "")
    assert [bool(sample.get("error")) for sample in results.samples] == [False, True, True, False]
    assert "no good" in results.samples[1]["error"]["message"]
    assert "Traceback" in results.samples[1]["error"]["trace"]
    assert results.header["html"].startswith("<b>4 seen")


def test_a_summary_of_old_is_the_header(host: Service) -> None:
    results = plugin_views.render(host, None, samples("one", "two"), "old-summary", {}, "")
    assert results.header["html"] == "<b>2 in all</b>"


def test_wrong_options_name_their_field(host: Service) -> None:
    with pytest.raises(FormErrors) as caught:
        plugin_views.render(host, None, samples("one"), "good-view", {"scale": "big"}, "")
    assert "scale" in caught.value.errors


def test_static_files_come_out_of_the_plugins_own_package(host: Service) -> None:
    body, kind = plugins.static_file(host, "data", "good", "x.js")
    assert body == b"alert(1)"
    assert "javascript" in kind
    with pytest.raises(NotFound):
        plugins.static_file(host, "data", "good", "../__init__.py")
