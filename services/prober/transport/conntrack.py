"""The kernel's connection-tracking table: a full one makes connections fail, and no target is to blame for that.

Fresh connections fill it (docs/performance-log.md). The kernel then drops what would open another: some calls fail with
EPERM (services.prober.transport.os_errors), most wait in vain.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["ConntrackTable"]

_PLACE: Final = Path("/proc/sys/net/netfilter")
# By the time somebody has waited in vain a few entries may have expired.
_FULL: Final = 0.95


class ConntrackTable:
    """How full it is, as the kernel says in ``place``."""

    def __init__(self, place: Path = _PLACE) -> None:
        self._used = place / "nf_conntrack_count"
        self._limit = place / "nf_conntrack_max"

    def ratio(self) -> float | None:
        """Return entries used over entries allowed; None where there is no table, or no limit."""
        try:
            used, limit = int(self._used.read_text()), int(self._limit.read_text())
        except (OSError, ValueError):
            return None
        return used / limit if limit else None

    def full(self) -> bool:
        """Tell whether it is, or was a moment ago, too full for another connection."""
        ratio = self.ratio()
        return ratio is not None and ratio >= _FULL
