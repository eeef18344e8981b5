"""Intervals: outages of causes, and bounds of the losses of sets of links (docs/method.md §6)."""

from services.indicator.intervals.history import HistorySums
from services.indicator.intervals.intervals import Intervals, OutageHistory
from services.indicator.intervals.loss_bounds import LEVEL, LossBounds
from services.indicator.intervals.recipe import LossMoments, bound_sets

__all__ = ["LEVEL", "HistorySums", "Intervals", "LossBounds", "LossMoments", "OutageHistory", "bound_sets"]
