"""How agencies hang together: islands, silos, resilience (docs/method.md §7)."""

from services.indicator.structure.network import Network
from services.indicator.structure.structure import structures

__all__ = ["Network", "structures"]
