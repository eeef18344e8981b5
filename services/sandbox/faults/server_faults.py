"""Which security servers do not answer well, and when. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from services.sandbox.exchanges.data_bus import Bus
from services.sandbox.faults.faults import Mode, Scope
from services.sandbox.faults.timeline import Span

__all__ = ["ailing"]

_ILL = 0.08
_ILLS = (Mode.REFUSED, Mode.HUNG, Mode.HTTP_5XX, Mode.SLOW)


def ailing(bus: Bus, seed: int, slot: int, turn: int, intensity: float) -> Mapping[str, Span]:
    """Say which security servers do not answer well in a slot, the run's ``turn``-th: by id, for this slot."""
    rng = Random(f"{seed}/servers/{turn}")
    ill = [server.id for server in bus.servers if rng.random() < _ILL * intensity]
    return {name: Span(name, slot, slot + 1, rng.choice(_ILLS), Scope.LINK, rng.randrange(12)) for name in ill}
