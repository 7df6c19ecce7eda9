"""JSON that every reader takes: a number that is not finite (a metric of nothing, a loss that ran away) is null."""

from __future__ import annotations

import json
import math
from typing import Any

from flask.json.provider import DefaultJSONProvider


class FiniteJson(DefaultJSONProvider):
    """What answers and templates (`tojson`) write; keys keep their order."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        options = {"default": self.default, "ensure_ascii": self.ensure_ascii, "sort_keys": self.sort_keys, **kwargs}
        try:
            return json.dumps(obj, allow_nan=False, **options)
        except ValueError:
            return json.dumps(finite(obj), allow_nan=False, **options)


def finite(value: Any) -> Any:
    """A copy with None for each float that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
