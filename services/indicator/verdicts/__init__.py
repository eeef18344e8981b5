"""Verdicts of slots and what is counted of them, under one register (docs/method.md §2-4)."""

from services.indicator.verdicts.causes import CauseRows, pause_slots
from services.indicator.verdicts.countable import Countable
from services.indicator.verdicts.counter import Counting
from services.indicator.verdicts.counts import WindowCounts
from services.indicator.verdicts.day_evidence import DayEvidence
from services.indicator.verdicts.judge import Judge

__all__ = ["CauseRows", "Countable", "Counting", "DayEvidence", "Judge", "WindowCounts", "pause_slots"]
