"""Measurements per vantage, target and slot: cells that merge by minimum, recent slots, closed days."""

from services.indicator.cells.closed_days import DayState
from services.indicator.cells.columns import Columns
from services.indicator.cells.packing import outcomes, reasons, stages, verdict
from services.indicator.cells.recent import Recent, batches
from services.indicator.cells.slots import Load, Slots
from services.indicator.cells.states import Changes, Keep, SlotDetail, SlotState, Taken

__all__ = [
    "Changes",
    "Columns",
    "DayState",
    "Keep",
    "Load",
    "Recent",
    "SlotDetail",
    "SlotState",
    "Slots",
    "Taken",
    "batches",
    "outcomes",
    "reasons",
    "stages",
    "verdict",
]
