"""The verdict between runs: its formulas against SciPy, its sentences, and that equal models are seldom told apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from digits.metrics import resampling, significance, verdict


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (3, 1), (10, 2), (5, 5), (400, 350)])
def test_mcnemar_is_the_binomial_test(gained: int, lost: int) -> None:
    wanted = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert significance.mcnemar(gained, lost) == pytest.approx(wanted)


def test_mcnemar_of_many_pairs_is_chi_square_with_correction() -> None:
    assert significance.mcnemar(700, 600) == pytest.approx(stats.chi2.sf((100 - 1) ** 2 / 1300, 1))


@pytest.mark.parametrize("freedom", [1, 2.5, 10, 1e5])
def test_student_is_scipys(freedom: float) -> None:
    assert significance.student_quantile(0.95, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-7)
    assert significance.student_p(-2.3, freedom) == pytest.approx(2 * stats.t.sf(2.3, freedom), rel=1e-9)


def test_holm_is_scipys_step_down() -> None:
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert significance.holm([]) == []


def shares(*rights: np.ndarray) -> list[verdict.Line]:
    """Lines of single runs, by which pictures each has right."""
    return [verdict.Line("ABCDEFG"[n], (run_of(right),)) for n, right in enumerate(rights)]


def run_of(right: np.ndarray) -> verdict.Run:
    columns = {"rank": np.where(right, 0, 1)}
    values = resampling.resampled("accuracy", columns, resampling.draws(len(right), 200))
    return verdict.Run(float(right.mean()), values, right)


def said(lines: list[verdict.Line], pictures: int) -> str:
    return verdict.sentence(lines, verdict.judge(lines, pictures, lower=False, share=True), pictures, lower=False)


def right(count: int, wrong: range) -> np.ndarray:
    found = np.ones(count, bool)
    found[list(wrong)] = False
    return found


def test_three_pictures_are_too_few() -> None:
    text = said(shares(right(3, range(3)), right(3, range(0))), 3)
    assert text.startswith("cannot tell: 3 pictures are too few; about ")
    assert text.endswith(" would do.")
    assert "cannot tell: 3 pictures" in said(shares(right(3, range(0)), right(3, range(0))), 3)


def test_what_all_pictures_say_is_said() -> None:
    assert said(shares(right(200, range(40)), right(200, range(10))), 200) == "B is better than A."
    assert said(shares(right(2000, range(100)), right(2000, range(2, 102))), 2000) == (
        "no difference that could be told between A and B."
    )


def test_the_number_that_would_do_does() -> None:
    """As many pictures as it names, of the same kinds, tell the difference."""
    pair = verdict.judge(shares(right(100, range(10)), right(100, range(5, 11))), 100, lower=False, share=True)[0]
    assert pair.outcome == "unknown"
    times = pair.enough // 100 + 1
    more = shares(np.tile(right(100, range(10)), times), np.tile(right(100, range(5, 11)), times))
    assert verdict.judge(more, 100 * times, lower=False, share=True)[0].outcome == "better"


def test_many_lines_need_more_than_two() -> None:
    """A difference that is told between two is not among seven that are alike: Holm."""
    one, other = right(100, range(12)), right(100, range(9, 12))
    assert said(shares(one, other), 100) == "B is better than A."
    assert "cannot tell" in said(shares(one, other, one, one, one, one), 100)


def test_seeds_that_differ_more_than_the_lines_decide_nothing() -> None:
    values = resampling.draws(1000, 200)

    def line(name: str, *accuracies: int) -> verdict.Line:
        found = []
        for wrong in accuracies:
            columns = {"rank": np.where(right(1000, range(wrong)), 0, 1)}
            found.append(verdict.Run(1 - wrong / 1000, resampling.resampled("accuracy", columns, values)))
        return verdict.Line(name, tuple(found))

    apart = [line("A", 100, 101, 102), line("B", 50, 51, 52)]
    assert said(apart, 1000) == "B is better than A."
    mixed = [line("A", 10, 100, 190), line("B", 5, 50, 140)]
    text = said(mixed, 1000)
    assert text.startswith("cannot tell: 1,000 pictures and 3 seeds are too few; about "), text


def test_smaller_is_better_where_the_metric_says_so() -> None:
    rng = np.random.default_rng(0)
    drawn, errors = resampling.draws(400, 200), rng.random(400)

    def line(name: str, factor: float) -> verdict.Line:
        columns = {"absolute": errors * factor, "squared": errors, "numbers": np.ones(400)}
        return verdict.Line(name, (verdict.Run(float(errors.mean() * factor), resampling.resampled("mae", columns, drawn)),))

    lines = [line("A", 1.0), line("B", 0.8)]
    pairs = verdict.judge(lines, 400, lower=True, share=False)
    assert verdict.sentence(lines, pairs, 400, lower=True) == "B is better than A."
    low, high = pairs[0].interval
    test = stats.ttest_rel(errors * 0.8, errors)  # of a mean the bootstrap says what the paired t-test says
    assert (low, high) == pytest.approx(tuple(test.confidence_interval()), rel=0.15)
    assert low < pairs[0].difference < high < 0


def test_no_number_is_no_difference() -> None:
    lines = [verdict.Line(name, (verdict.Run(float("nan"), np.full(5, np.nan)),)) for name in "AB"]
    assert "cannot tell" in verdict.sentence(lines, verdict.judge(lines, 50, lower=False, share=True), 50, lower=False)


def test_exchanged_answers_are_a_paired_permutation_test() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.random(30), rng.random(30) + 0.15
    columns = [{"psnr": values} for values in (one, other)]
    p = resampling.swap_test("psnr", columns[0], columns[1], 30, 4000)
    wanted = stats.permutation_test((one, other), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=4000)
    assert p == pytest.approx(wanted.pvalue, abs=0.02)


def test_equal_models_are_seldom_told_apart() -> None:
    rng, trials = np.random.default_rng(0), 300
    found = 0
    for _ in range(trials):
        hard = rng.random(100)
        pairs = verdict.judge(
            shares(hard + 0.3 * rng.random(100) < 0.9, hard + 0.3 * rng.random(100) < 0.9), 100, lower=False, share=True
        )
        found += pairs[0].outcome != "unknown"
    assert found <= 0.05 * trials


def test_shares_differ_by_one_at_most() -> None:
    """Few pictures and seeds that lie apart: the interval is wide, and ends where a difference of shares does."""

    def line(name: str, *counts: int) -> verdict.Line:
        return verdict.Line(name, tuple(run_of(right(6, range(count))) for count in counts))

    (pair,) = verdict.judge([line("A", 0, 6), line("B", 6, 1)], 6, lower=False, share=True)
    assert pair.interval == (-1.0, 1.0)
    (pair,) = verdict.judge([line("A", 0, 6), line("B", 6, 1)], 6, lower=False, share=False)
    assert pair.interval[0] < -1
    assert pair.interval[1] > 1
