"""The sensitivity of ranks to choices of method (docs/method.md §7.6)."""

from services.indicator.sensitivity.limits import LinkLimits, MarkedDay, mark_day
from services.indicator.sensitivity.ranks import Ranking, analyse_ranks
from services.indicator.sensitivity.recount import Recount, by_day, mark_days

__all__ = ["LinkLimits", "MarkedDay", "Ranking", "Recount", "analyse_ranks", "by_day", "mark_day", "mark_days"]
