"""Percentiles without interpolation."""

from __future__ import annotations

__all__ = ["nearest_rank"]

import math
from collections.abc import Sequence


def nearest_rank(values: Sequence[int], share: float) -> int:
    """The smallest value that at least this share of all values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
