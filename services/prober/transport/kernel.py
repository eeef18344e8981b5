"""Reads what the kernel reports: causes of failed connections, and how full its connection-tracking table is."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.prober.observation import Cause, Failure

_CAUSES: Final = {
    errno.ETIMEDOUT: Cause.TIMEOUT,
    **dict.fromkeys((errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN), Cause.UNREACHABLE),
    **dict.fromkeys((errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EMFILE, errno.ENFILE), Cause.LOCAL_RESOURCES),
    **dict.fromkeys((errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EAFNOSUPPORT), Cause.LOCAL_RESOURCES),
    # The connection-tracking table is full, or the machine's own firewall forbids the connection.
    **dict.fromkeys((errno.EPERM, errno.EACCES), Cause.LOCAL_RESOURCES),
}
# The errors of IPv6 addresses where IPv6 is switched off.
_NO_FAMILY: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_TELLING: Final = (Cause.LOCAL_RESOURCES, Cause.UNREACHABLE, Cause.TIMEOUT, Cause.REFUSED)


def os_error_cause(error: OSError) -> Cause:
    """Return the cause of a failed connection attempt, as due to us, the network, or the target."""
    return _CAUSES.get(error.errno or 0, Cause.REFUSED)


def lacks_family(error: OSError, address: str) -> bool:
    """Return whether this machine may merely lack IPv6, so that an IPv4 address is still worth a try."""
    return ":" in address and error.errno in _NO_FAMILY


def most_telling(failures: Sequence[Failure]) -> Failure:
    """Return the failure that stands for all attempts at a name's addresses: the first that tells most of the target.

    A machine without IPv6 must not hide that the target's IPv4 address refuses.
    """
    return max(failures, key=lambda failure: _TELLING.index(failure.cause))


def os_error_text(error: OSError) -> str:
    """Return the system's text for a failed call, without addresses."""
    return os.strerror(error.errno).lower() if error.errno else "no reason given"


_PROC: Final = Path("/proc/sys/net/netfilter")
# By the time a connection has timed out, a few entries may have expired.
_FULL: Final = 0.95


class ConntrackTable:
    """How full the connection-tracking table is, by the kernel's files in ``folder``.

    Fresh connections fill it (docs/performance-log.md). The kernel then drops packets that open further ones. Some
    calls fail with EPERM, most time out, and no target is to blame.
    """

    def __init__(self, folder: Path = _PROC) -> None:
        self._used = folder / "nf_conntrack_count"
        self._limit = folder / "nf_conntrack_max"

    def ratio(self) -> float | None:
        """Return the entries used over the entries allowed; None where there is no table, or no limit."""
        try:
            used, limit = int(self._used.read_text()), int(self._limit.read_text())
        except (OSError, ValueError):
            return None
        return used / limit if limit else None

    def full(self) -> bool:
        """Return whether the table is, or just was, too full for another connection."""
        ratio = self.ratio()
        return ratio is not None and ratio >= _FULL
