"""What is wrong with the files of a job, in the words that page, row, log, JSON and `digits doctor` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Damage:
    """One thing that is damaged: `file` by its path in the job's folder (empty: the folder itself), what was `found`, `since`
    when (the last change of the file, or of the folder that it is missing from; seconds since 1970, 0 where nothing says), what
    still `works`, and the `advice`. `vital`: nothing new may be built on the job. `word` says it in short: records may have
    been removed on purpose."""

    file: str
    found: str
    since: float
    works: str
    advice: str
    vital: bool = True
    word: str = "damaged"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Damage:
        return cls(**value)


def words(damages: Sequence[Damage], most: int = 3) -> str:
    """What was found, for a row or a line of the log; empty where nothing is damaged."""
    shown = " ".join(damage.found for damage in damages[:most])
    left = len(damages) - most
    return f"{shown} And {left} more." if left > 0 else shown


def summary_of(damages: Sequence[Damage]) -> dict[str, Any] | None:
    """What a row says: `word`, `words`, `since`, whether anything is `vital`, and the `files`; None where nothing is damaged."""
    if not damages:
        return None
    times = [damage.since for damage in damages if damage.since]
    vital = any(damage.vital for damage in damages)
    files = [damage.to_json() for damage in damages]
    word = next((damage.word for damage in damages if damage.word != "damaged"), "damaged")
    return {"word": word, "words": words(damages), "since": min(times, default=0.0), "vital": vital, "files": files}
