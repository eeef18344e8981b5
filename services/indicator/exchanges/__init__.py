"""Exchanges beside probes: agreement, silence, volume (docs/exchange.md §4)."""

from services.indicator.exchanges.agreement import AGREEMENT_DAYS, Hours
from services.indicator.exchanges.reconciliation import Carried, Span, carriers_of, compared, linked, silences, traffics
from services.indicator.exchanges.silence import CHANCE, SILENCE_DAYS
from services.indicator.exchanges.traffic import Assignment, assign
from services.indicator.exchanges.volume import VOLUME_WEEKS

__all__ = [
    "AGREEMENT_DAYS",
    "CHANCE",
    "SILENCE_DAYS",
    "VOLUME_WEEKS",
    "Assignment",
    "Carried",
    "Hours",
    "Span",
    "assign",
    "carriers_of",
    "compared",
    "linked",
    "silences",
    "traffics",
]
