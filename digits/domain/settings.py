"""What a job was made with, under the names of its form: what queries, tables and comparisons show, and which jobs differ only in
their seed or in what a sweep varied."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from digits.domain.training import SOLVERS, text_batch_size

Setting = str | float
NO_SETTINGS = frozenset(
    {
        "model_name", "dataset_name", "group_name", "job_name", "name", "dataset", "dataset_id", "username", "csrf_token",
        "clone", "custom_network", "notes", "tags", "python_layer_client_file",
    }
)  # fmt: skip
SEED = "random_seed"
VARIED = ("learning_rate", "batch_size")  # by a sweep
LONGEST = 500  # characters of a setting that are kept


def settings_of(form: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Setting]:
    """The settings by name: numbers as numbers, yes and no as `true` and `false`, lists as text with commas. Blank fields and the
    network's text are left out, but what a training took for them counts; a seed that was drawn is the one that was used."""
    found = {name: value for name, raw in form.items() if name not in NO_SETTINGS and (value := _plain(raw)) is not None}
    seed = spec.get("seed")
    if isinstance(seed, int) and SEED not in found and not isinstance(seed, bool):
        found[SEED] = float(seed)
    return {**taken_for_blank(spec), **found}


def taken_for_blank(spec: Mapping[str, Any]) -> dict[str, Setting]:
    """What a training takes for fields of its form that are blank, as `spec` decides it: `batch_size`, `momentum`,
    `weight_decay`. So a run that left one blank is the same as one that named the value."""
    solver = SOLVERS.get(str((spec.get("solver") or {}).get("type", "SGD")))
    if "network" not in spec or "epochs" not in spec or solver is None:
        return {}
    taken = {
        "batch_size": spec.get("batch_size") or text_batch_size(str(spec["network"])),
        "momentum": solver.momentum,
        "weight_decay": solver.weight_decay,
    }
    return {name: float(value) for name, value in taken.items() if isinstance(value, int | float)}


def _plain(raw: Any) -> Setting | None:
    if isinstance(raw, list | tuple):
        parts = [part for part in map(_plain, raw) if part is not None]
        if len(parts) == 1:
            return parts[0]
        return ", ".join(f"{part:g}" if isinstance(part, float) else part for part in parts)[:LONGEST] or None
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int | float):
        return _finite(raw)
    if not isinstance(raw, str) or not (text := raw.strip()) or "\0" in text or "\n" in text:
        return None
    return _number(text) if text[-1].isdigit() or text[-1] == "." else text[:LONGEST]


def _finite(number: float) -> float | None:
    try:
        return float(number) if math.isfinite(number) else None
    except OverflowError:
        return None


def _number(text: str) -> Setting:
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        number = math.nan
    return number if math.isfinite(number) else text[:LONGEST]


def without_seed(dataset_id: str, network: str, settings: Mapping[str, Setting]) -> str:
    """The same text for runs that differ by their seed alone (`network` is its name and text); empty for what has no seed."""
    return _digest(dataset_id, network, settings, (SEED,)) if SEED in settings else ""


def sweep_of(dataset_id: str, network: str, settings: Mapping[str, Setting]) -> str:
    """The same text for runs that differ by what a sweep varies, and by their seed."""
    return _digest(dataset_id, network, settings, (SEED, *VARIED)) if SEED in settings else ""


def _digest(dataset_id: str, network: str, settings: Mapping[str, Setting], left_out: tuple[str, ...]) -> str:
    kept = sorted((name, value) for name, value in settings.items() if name not in left_out)
    return hashlib.sha256(json.dumps([dataset_id, network, kept]).encode()).hexdigest()[:16]
