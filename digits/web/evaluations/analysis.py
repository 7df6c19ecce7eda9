"""What the page of an evaluation shows beyond the metrics: words and titles for `inference/_analysis.html`."""

from __future__ import annotations

from typing import Any

from digits.domain.metrics import PERCENT, facts, value_text
from digits.service.evaluations.analysis import analysis_of
from digits.service.evaluations.results import is_ranked
from digits.service.evaluations.review import CHOICES, VERDICTS
from digits.service.models.thresholds import thresholds_of
from digits.storage.jobs.store import Job
from digits.web.http.request import get_service, may_edit

AVERAGES = {
    "macro_precision": "Precision, mean",
    "macro_recall": "Recall, mean",
    "macro_f1": "F1, mean",
    "weighted_precision": "Precision, by support",
    "weighted_recall": "Recall, by support",
    "weighted_f1": "F1, by support",
    "balanced_accuracy": "Balanced accuracy",
    "cohen_kappa": "Cohen’s κ",
    "mcc": "Matthews correlation",
    "exact_match": "All labels of a picture right",
    "hamming_loss": "Wrong labels (Hamming loss)",
}
ERRORS = {
    "class": ("Class", "a box at the right place, of another class"),
    "location": ("Location", "the right class, but IoU from .1 to .5"),
    "both": ("Class and location", "another class, and IoU from .1 to .5"),
    "duplicate": ("Duplicate", "an object that a better box has found"),
    "background": ("Background", "where there is nothing: IoU below .1 with every object"),
    "missed": ("Missed", "objects that no box, and none of the first two errors, has found"),
}
CHOSEN = {"": "Review: all", "any": "Reviewed", "none": "Not reviewed", **VERDICTS}


def analysis_context(job: Job, result: dict[str, Any], model: Job | None) -> dict[str, Any]:
    """What the template needs; `analysis` is None of evaluations that were made before there was one."""
    service = get_service()
    found = analysis_of(service, job)
    distributions = (found or {}).get("distributions", {})
    return {
        "analysis": found,
        "intervals": {name: _range(name, row) for name, row in (found or {}).get("intervals", {}).items() if _is_known(row)},
        "thresholds": thresholds_of(service, model.id) if model is not None else {},
        "may_choose": model is not None and may_edit(model),
        "average_titles": AVERAGES,
        "error_words": ERRORS,
        "calibration_words": _words(found, is_ranked(result), is_plain="answering" not in result),
        "distributed": [name for name in result["columns"] if distributions.get(name, {}).get("known", 0) > 1],
        "review_choices": {name: CHOSEN[name] for name in ("", *CHOICES)},
    }


def _is_known(row: dict[str, Any]) -> bool:
    return row.get("low") is not None and row.get("high") is not None


def _range(name: str, row: dict[str, Any]) -> tuple[str, str]:
    """The ends of an interval in words, and how it was made."""
    low, high, unit = row["low"], row["high"], facts(name).unit
    if unit == PERCENT:
        words = f"{100 * low:.1f} – {100 * high:.1f} %"
    else:
        words = f"{value_text(name, low).removesuffix(unit).strip()} – {value_text(name, high)}"
    return words, str(row.get("how", ""))


def _words(analysis: dict[str, Any] | None, ranked: bool, *, is_plain: bool) -> str:
    """How a temperature was fitted and what the bars mean; none is for answers in tiles or by a mean (not `is_plain`)."""
    found = (analysis or {}).get("calibration") or {}
    what = "the most probable class" if ranked else "every label"
    said = f"ECE: the mean distance of what is said and what is true, over 15 bins of the probability of {what}."
    if found.get("how") == "validation":
        return (
            f"{said} The temperature T, by which scores are divided, was fitted on these pictures, the validation split;"
            " the column of T is measured on the half that a temperature was not fitted on."
        )
    if found.get("how") == "given":
        return f"{said} The temperature was fitted on the validation split, by the evaluation {found['fitted_by']}."
    if not is_plain:
        return f"{said} No temperature is fitted to answers in tiles, or to the mean over turned pictures."
    return f"{said} A temperature is fitted on the validation split alone: evaluate that, then these pictures again."
