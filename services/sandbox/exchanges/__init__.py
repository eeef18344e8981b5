"""Simulates the data bus and the exchanges over it."""

from services.sandbox.exchanges.data_bus import DataBus, make_data_bus
from services.sandbox.exchanges.departures import LEARNED, WEEK_STEPS
from services.sandbox.exchanges.exchange import SideRecord, SimulatedExchange
from services.sandbox.exchanges.traffic import SimulatedTraffic

__all__ = ["LEARNED", "WEEK_STEPS", "DataBus", "SideRecord", "SimulatedExchange", "SimulatedTraffic", "make_data_bus"]
