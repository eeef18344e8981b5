"""Verdicts of slots, and their counts and causes, under one register (docs/method.md §2-4, §6)."""

from services.indicator.verdicts.causes import CauseSums, counter_type, pause_slots
from services.indicator.verdicts.closed_day import count_day
from services.indicator.verdicts.counter import EvidenceCounter
from services.indicator.verdicts.counts import WindowCounts
from services.indicator.verdicts.day_evidence import DayEvidence
from services.indicator.verdicts.judge import Judge
from services.indicator.verdicts.target_slots import TargetSlots, counting_vantages, verdict_reasons
from services.indicator.verdicts.vantages import VantageCounter, count_cells

__all__ = [
    "CauseSums",
    "DayEvidence",
    "EvidenceCounter",
    "Judge",
    "TargetSlots",
    "VantageCounter",
    "WindowCounts",
    "count_cells",
    "count_day",
    "counter_type",
    "counting_vantages",
    "pause_slots",
    "verdict_reasons",
]
