"""Places, shares, quantiles and the drift hint of published names, by their arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from digits.predictor.requests import moments
from digits.service import Service
from digits.service.serving import Serving
from digits.service.serving.traffic import QueueFull, Traffic, drift_of
from digits.storage.publications import Publication, Version

VERSION = Version(1, "m", "m", "s", 1.0, "classification", "pytorch", 0.0, mean=(100.0, 50.0), std=(20.0, 10.0))
NAME = Publication("n", "", 0.0, active=1, queue_limit=2, versions=(VERSION, replace(VERSION, number=2)))


@pytest.mark.parametrize("percent", [1, 10, 33, 50, 99])
def test_of_any_hundred_requests_the_canary_gets_its_percentage(percent: int) -> None:
    traffic = Traffic()
    shared = replace(NAME, canary=2, percent=percent)
    for _ in range(3):
        assert [traffic.choose(shared) for _ in range(100)].count(2) == percent
    assert traffic.choose(NAME) == 1


def test_places_are_limited_for_each_name_and_for_all() -> None:
    traffic, other = Traffic(most=3), replace(NAME, name="other")
    traffic.enter(NAME)
    traffic.enter(NAME)
    with pytest.raises(QueueFull, match="2 requests of n"):
        traffic.enter(NAME)
    traffic.enter(other)
    with pytest.raises(QueueFull, match="all published names"):
        traffic.enter(other)
    assert (traffic.of_name("n"), traffic.of_name("other")) == ((2, 1), (1, 1))
    traffic.leave(NAME)
    traffic.enter(other)
    traffic.forget("other")
    traffic.leave(other)  # a request that was at work when the name was taken back
    assert traffic.of_name("other")[0] == 1


def test_all_names_together_have_half_of_the_threads(service: Service) -> None:
    settings, others = replace(service.settings, web_threads=9), [replace(NAME, name=f"name{i}") for i in range(5)]
    traffic = Serving.open(Service(settings, service.jobs_dir, service.store)).traffic
    for other in others[:4]:
        traffic.enter(other)
    with pytest.raises(QueueFull, match="4 requests of all published names"):
        traffic.enter(others[4])


def test_latency_is_that_of_good_answers() -> None:
    traffic = Traffic(clock=lambda: 1000.0)
    for thousandth in range(1, 101):
        traffic.record("n", 1, 200, thousandth / 1000, 2)
    traffic.record("n", 1, 400, 9.0)
    found = traffic.describe("n", VERSION)
    assert (found["p50_ms"], found["p95_ms"], found["mean_ms"]) == (50.0, 95.0, 50.5)
    assert (found["requests"], found["errors"], found["pictures"], found["per_minute"]) == (101, 1, 200, 100)
    codes, buckets, seconds, _ = traffic.histograms()["n", 1]
    assert (codes[400], sum(buckets), seconds) == (1, 100, pytest.approx(5.05))
    assert buckets[:7] == [1, 1, 3, 5, 15, 25, 50]  # up to 1, 2.5, 5, 10, 25, 50 and 100 ms


def pictures(mean: float, std: float, count: int = 40) -> list[list[list[float]]]:
    noise = np.random.default_rng(1).standard_normal((count, 2, 8, 8))
    return [moments(np.stack([one[0] * std + mean, one[1] * std / 2 + mean / 2])) for one in noise]


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (pictures(100, 20), "alike"),
        (pictures(109, 20), "alike"),
        (pictures(120, 20), "differs"),
        (pictures(80, 20), "differs"),
        (pictures(100, 60), "differs"),
        (pictures(100, 5), "differs"),
        (pictures(100, 20, 29), "waiting"),
        ([], "waiting"),
        ([[[1.0], [1.0]]] * 40, "unknown"),
    ],
)
def test_drift_is_hinted_at_beyond_half_a_deviation(given: list[list[list[float]]], state: str) -> None:
    found = drift_of(VERSION, given)  # type: ignore[arg-type]
    assert found["state"] == state, found
    assert found["words"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda pixels: pixels, "look like those of the training: their mean is off by "),
        (lambda pixels: pixels * 0.3, "not like those of the training: darker by "),
        (lambda pixels: 255 - pixels, "not like those of the training: brighter by "),
        (lambda pixels: pixels * 0.2 + 62, "their values spread 0.2"),
    ],
    ids=["normal", "dark", "inverted", "pale"],
)
def test_real_digits_are_compared_with_those_of_the_training(changed: Callable[[np.ndarray], np.ndarray], said: str) -> None:
    with np.load(resources.files("digits.service") / "optical_digits.npz") as archive:  # type: ignore[arg-type]
        pixels = archive["images"].astype(np.float32) * (255 / archive["images"].max())
    trained, others = pixels[:1000], changed(pixels[1000:1100])
    version = replace(VERSION, mean=(float(trained.mean()),), std=(float(trained.std()),))
    found = drift_of(version, [moments(one[None]) for one in others])  # type: ignore[misc]
    assert said in found["words"]
    assert found["mean"] == [pytest.approx(others.mean(), rel=1e-4)]
    if found["state"] == "differs" and abs(found["shift"][0]) > 0.5:
        assert f"(mean {others.mean():.3g} instead of {trained.mean():.3g})" in found["words"]


def test_the_channel_that_differs_is_named() -> None:
    dark = [(np.array(one) * [[1, 0.2], [1, 0.04]]).tolist() for one in pictures(100, 20)]  # the second is a fifth as bright
    words = drift_of(VERSION, dark)["words"]
    assert "darker by 4 of its standard deviations (mean 9.99 instead of 50 in channel 2 of 2)" in words


def test_pictures_without_numbers_do_not_count() -> None:
    traffic = Traffic()
    traffic.note_inputs("n", 1, [*pictures(100, 20, 3), [[float("nan"), 1.0], [1.0, 1.0]], [[1.0, 1.0], [float("inf"), 1.0]]])
    assert traffic.describe("n", VERSION)["drift"]["pictures"] == 3
