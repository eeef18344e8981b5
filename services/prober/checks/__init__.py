"""From what a probe saw to what it means. Pure (docs/probing.md §1)."""

from services.prober.checks.explain import CheckResult, Verdict, explain
from services.prober.checks.judge import DETAIL_LENGTH, Judgement, judge

__all__ = ["DETAIL_LENGTH", "CheckResult", "Judgement", "Verdict", "explain", "judge"]
