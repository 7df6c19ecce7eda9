"""Whether going on can help a job that failed: the request is never edited, so some errors meet it again at the same place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from digits.domain.jobs import Kind

ERROR_CODE = "error_code"  # in the summary of a row: the code of the error event that ended the job
OF_THE_REQUEST = frozenset({"network", "diverged", "options", "solver", "batch-of-one", "task"})
OF_THE_DATA = "data"  # the records of a model do not change; the files of a data set may


def going_on_helps(kind: str, status: str, code: str) -> bool:
    """Whether a job that ended so may get further when it is resumed: one that was aborted always, one that failed unless its
    request, or the records that it learns from, are at fault."""
    if status != "E":
        return status == "A"
    return code not in OF_THE_REQUEST and not (kind == Kind.MODEL and code == OF_THE_DATA)


def with_code(summary: Mapping[str, Any], code: str) -> dict[str, Any]:
    """A row's summary with the code of the error that ended the job; "" of a death without one."""
    kept = {name: value for name, value in summary.items() if name != ERROR_CODE}
    return {**kept, ERROR_CODE: code} if code else kept
