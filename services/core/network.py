"""Tells which hosts are addresses, or this machine, and which cannot be resolved; listens; makes the TLS contexts of clients."""

from __future__ import annotations

import ssl
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET, AF_INET6, create_server, gaierror, socket
from typing import Final

UNRESOLVED: Final = "cannot be resolved: check the name and the name servers"
"""What a sentence says of the host."""


def is_unresolved(error: Exception) -> bool:
    """Whether a connection failed because the name of the host cannot be resolved."""
    is_no_name = isinstance(error, UnicodeError) and not isinstance(error, UnicodeDecodeError)  # such as 64 letters
    return is_no_name or isinstance(error, gaierror)


def is_ip_address(host: str) -> bool:
    """Whether a host is an IP address and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host, a name or an address without brackets, is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening(host: str, port: int, backlog: int | None = None) -> socket:
    """Return a socket that listens on an address. Raises OSError, whose ``strerror`` does not name the address."""
    try:
        return create_server((host, port), family=AF_INET6 if ":" in host else AF_INET, backlog=backlog)
    except OSError as error:  # Python adds the address to what the system says
        raise OSError(error.errno, str(error.strerror).partition(" (while attempting to bind")[0]) from error


def trusting(authorities: Path | str | None) -> ssl.SSLContext:
    """Return a context that trusts the certificates of a file; without a file, the authorities of the system.

    Since 3.13, Python refuses certificates without key identifiers unless told otherwise. Authorities of agencies and of
    data buses issue such certificates. Raises OSError, SSLError included, or ValueError when the file cannot be used.
    """
    context = ssl.create_default_context(cafile=authorities or None)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
