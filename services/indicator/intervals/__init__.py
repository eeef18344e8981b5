"""Intervals: causes, outages, and the bounds of their losses (docs/method.md §6)."""

from services.indicator.intervals.history import Record
from services.indicator.intervals.intervals import Margins, Past
from services.indicator.intervals.loss_bounds import LEVEL, Bounds
from services.indicator.intervals.recipe import Spread, set_bounds

__all__ = ["LEVEL", "Bounds", "Margins", "Past", "Record", "Spread", "set_bounds"]
