"""The sensitivity of ranks to choices of method (docs/method.md §7)."""

from services.indicator.sensitivity.cases import FACTORS
from services.indicator.sensitivity.ranks import Ranking, analyse_ranks
from services.indicator.sensitivity.recount import by_day, recount_days

__all__ = ["FACTORS", "Ranking", "analyse_ranks", "by_day", "recount_days"]
