"""Saved views: a damaged file is put aside, and said so, before new ones are kept."""

from __future__ import annotations

import pytest

from digits.service import Service, views


@pytest.mark.parametrize("text", ["{", "[1]", ""])
def test_a_damaged_file_is_put_aside(service: Service, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path = service.jobs_dir.hidden / views.FILE
    path.write_text(text)
    assert views.saved(service, "anna") == []
    views.save(service, "anna", "model", "mine", "query=accuracy>0.5")
    assert [view["name"] for view in views.saved(service, "anna")] == ["mine"]
    assert path.with_suffix(".damaged.json").read_text() == text
    assert "views.damaged.json" in caplog.text
