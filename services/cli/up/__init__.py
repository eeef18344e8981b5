"""Runs the processes of the whole system on one machine, and the screen that shows it (``peyvand up``)."""

from services.cli.up.plan import SystemPlan
from services.cli.up.up import run

__all__ = ["SystemPlan", "run"]
