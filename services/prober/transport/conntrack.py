"""The kernel's connection-tracking table. When it is full, connections fail, and no target is to blame.

Fresh connections fill it (docs/performance-log.md). The kernel then drops packets that open further ones: some calls fail
with EPERM (services.prober.transport.os_errors), most time out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc/sys/net/netfilter")
# By the time a connection has timed out, a few entries may have expired.
_FULL: Final = 0.95


class ConntrackTable:
    """How full the table is, by the kernel's files in ``folder``."""

    def __init__(self, folder: Path = _PROC) -> None:
        self._used = folder / "nf_conntrack_count"
        self._limit = folder / "nf_conntrack_max"

    def ratio(self) -> float | None:
        """Return entries used over entries allowed; None where there is no table, or no limit."""
        try:
            used, limit = int(self._used.read_text()), int(self._limit.read_text())
        except (OSError, ValueError):
            return None
        return used / limit if limit else None

    def full(self) -> bool:
        """Return whether the table is, or just was, too full for another connection."""
        ratio = self.ratio()
        return ratio is not None and ratio >= _FULL
