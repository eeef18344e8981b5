"""Chooses the run, and writes its logs: the truth, the exchanges, the departures and the replies that were sent."""

from services.sandbox.logs.access_log import AccessLog
from services.sandbox.logs.departure_log import DepartureLog
from services.sandbox.logs.exchange_log import ExchangeLog
from services.sandbox.logs.run import TRUTH, Run, RunHeader, choose_run
from services.sandbox.logs.truth_log import TruthLog

__all__ = ["TRUTH", "AccessLog", "DepartureLog", "ExchangeLog", "Run", "RunHeader", "TruthLog", "choose_run"]
