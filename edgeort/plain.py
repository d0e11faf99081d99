"""Data as JSON takes it."""

from __future__ import annotations

import math
from typing import Any


def finite(data: Any) -> Any:
    """The same dicts and lists; NaN and the infinities, for which JSON has no number, as texts."""
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [finite(value) for value in data]
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data
