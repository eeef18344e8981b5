"""Draws the injected faults of each slot."""

from services.sandbox.faults.faults import CYCLE, FaultMode, FaultScope
from services.sandbox.faults.timeline import FaultSpan, FaultTimeline, draw_server_faults

__all__ = ["CYCLE", "FaultMode", "FaultScope", "FaultSpan", "FaultTimeline", "draw_server_faults"]
