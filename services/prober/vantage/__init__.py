"""Whether the vantage itself can see: control targets, and probes bracketed by their rounds (docs/design.md §3)."""

from services.prober.vantage.bracketing import Bracket
from services.prober.vantage.control import CONTROL_TIMEOUT, ControlLoop, ControlTargets

__all__ = ["CONTROL_TIMEOUT", "Bracket", "ControlLoop", "ControlTargets"]
