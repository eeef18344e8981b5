"""Measurements per vantage, target and slot: cells that merge by minimum, closed days, the latest measurements."""

from services.indicator.cells.closed_days import DayState, MeasuredDay, join_parts, pack_day
from services.indicator.cells.packing import EMPTY, cells_of, outcomes, precedence, reasons, stages
from services.indicator.cells.recent import RecentMeasurements, recent_batches
from services.indicator.cells.slots import LoadCells, SlotCells, TargetColumns
from services.indicator.cells.states import EvidenceChanges, IngestResult, KeepArrays, SlotDetail, SlotState

__all__ = [
    "EMPTY",
    "DayState",
    "EvidenceChanges",
    "IngestResult",
    "KeepArrays",
    "LoadCells",
    "MeasuredDay",
    "RecentMeasurements",
    "SlotCells",
    "SlotDetail",
    "SlotState",
    "TargetColumns",
    "cells_of",
    "join_parts",
    "outcomes",
    "pack_day",
    "precedence",
    "reasons",
    "recent_batches",
    "stages",
]
