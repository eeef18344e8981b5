"""The structure of the network of agencies: coverage, islands, silos, resilience (docs/method.md §7.2)."""

from services.indicator.structure.network import AgencyNetwork
from services.indicator.structure.structure import structure_by_window

__all__ = ["AgencyNetwork", "structure_by_window"]
