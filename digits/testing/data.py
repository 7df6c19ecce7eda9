"""The contract of a data source as tests: inherit `DataSourceContract`, name the class and values for its form, run pytest."""

from __future__ import annotations

import pickle
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from flask import Flask

from digits.domain.datasets import STAGES, TEST_DB
from digits.extensions import loader
from digits.extensions.data import userdata
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.source import FileSource, with_roots
from digits.ingest.encode import CheckedPair, encoded
from digits.ingest.source import entries_of
from digits.plugin_host import binding, rendering
from digits.utils.confinement import EVERYWHERE

LOOKED_AT = 5

loader.prepare_for_plugins()  # whoever imports a contract imports a plugin next, which may say `flask.ext` and more that is gone


class DataSourceContract:
    """What every data source keeps.

    `source` is the class, `form_values` what a person would type into its form, `inference_values` the same for its inference
    form where it has one. Override the fixtures of the same names where the values need files.
    """

    source: ClassVar[type[DataIngestionInterface]]
    form_values: ClassVar[dict[str, Any]] = {}
    inference_values: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def values(self) -> dict[str, Any]:
        return dict(self.form_values)

    @pytest.fixture
    def inference_request(self) -> dict[str, Any]:
        return dict(self.inference_values)

    @pytest.fixture
    def app(self) -> Flask:
        """The application in which forms and templates live."""
        app = Flask("digits.plugin_host")
        rendering.prepare(app)
        return app

    @pytest.fixture
    def instance(self, app: Flask, values: dict[str, Any], tmp_path: Path) -> DataIngestionInterface:
        """Made from the form, as a page makes it; a built-in source has looked at its files, as a worker lets it."""
        with binding.request_with(app, values):
            form = binding.make_form(self.source.get_id(), self.source.get_dataset_form)
            found = userdata.build(self.source, with_roots(self.source, binding.check(form, values), EVERYWHERE))
        if isinstance(found, FileSource):
            found.job_folder = tmp_path
            found.prepare(lambda problem: None)
        return found

    def test_says_who_it_is(self) -> None:
        for text in (self.source.get_id(), self.source.get_title(), self.source.get_category()):
            assert isinstance(text, str)
            assert text
        assert isinstance(self.source.get_default_visibility(), bool)

    def test_shows_its_form(self, app: Flask) -> None:
        with binding.request_with(app, None):
            form = binding.make_form(self.source.get_id(), self.source.get_dataset_form)
            html = rendering.render(self.source.get_id(), *self.source.get_dataset_template(form), nonce="x")
        for field in form:
            if field.name != "csrf_token" and field.type not in ("HiddenField", "SubmitField"):
                assert f'name="{field.name}"' in html, f"the template does not show the field {field.name}"

    def test_lists_entries_that_can_be_sent_to_other_processes(self, instance: DataIngestionInterface) -> None:
        found = {stage: entries_of(instance, stage, self.source.get_id()) for stage in STAGES}
        assert any(found.values()), "no split has an entry"
        for entries in found.values():
            pickle.dumps(entries[:LOOKED_AT])

    def test_encodes_entries_as_records_need_them(self, instance: DataIngestionInterface) -> None:
        for stage in STAGES:
            for entry in islice(entries_of(instance, stage, self.source.get_id()), LOOKED_AT):
                encoded(instance, entry, self.source.get_id())

    def test_comes_back_as_it_was_frozen(self, instance: DataIngestionInterface) -> None:
        frozen = userdata.freeze(instance)
        again = userdata.thaw(self.source, frozen)
        for stage in STAGES:
            first, second = (entries_of(source, stage, self.source.get_id())[:LOOKED_AT] for source in (instance, again))
            assert len(first) == len(second)
            for one, other in zip(first, second, strict=True):
                _assert_same(encoded(instance, one, self.source.get_id()), encoded(again, other, self.source.get_id()))

    def test_shows_its_inference_form_and_makes_entries_of_it(
        self, app: Flask, instance: DataIngestionInterface, inference_request: dict[str, Any]
    ) -> None:
        with binding.request_with(app, inference_request or None):
            form = instance.get_inference_form()
            if form is None:
                return
            html = rendering.render(self.source.get_id(), *self.source.get_inference_template(form), nonce="x")
            assert html
            checked = binding.check(form, inference_request) if inference_request else None
        if checked is not None:
            tester = userdata.for_inference(self.source, instance.get_user_data(), checked)
            entries = entries_of(tester, TEST_DB, self.source.get_id())
            assert entries
            encoded(tester, entries[0], self.source.get_id())


def _assert_same(first: list[CheckedPair], second: list[CheckedPair]) -> None:
    for (feature, label), (other_feature, other_label) in zip(first, second, strict=True):
        np.testing.assert_array_equal(feature, other_feature)
        if label is not None:
            np.testing.assert_array_equal(label, np.asarray(other_label))
