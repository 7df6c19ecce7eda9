"""JSON that every reader takes: a number that is not finite (a metric of nothing, a loss that ran away) is null."""

from __future__ import annotations

import json
from typing import Any

from flask.json.provider import DefaultJSONProvider

from digits.utils.finite import finite


class FiniteJson(DefaultJSONProvider):
    """What answers and templates (`tojson`) write; keys keep their order."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        options = {"default": self.default, "ensure_ascii": self.ensure_ascii, "sort_keys": self.sort_keys, **kwargs}
        try:
            return json.dumps(obj, allow_nan=False, **options)
        except ValueError:
            return json.dumps(finite(obj), allow_nan=False, **options)
