"""Where a target is that is a host and a port, `tcp://mail.example:25`. Pure."""

from __future__ import annotations

import httpx

__all__ = ["place_of"]


def place_of(target: str, port: int | None = None) -> tuple[str, int]:
    """Return host and port of a target; ``port`` where it names none. The host is ASCII, an IPv6 address without brackets.

    Raises ValueError.
    """
    try:
        url = httpx.URL(target)
    except httpx.InvalidURL as error:
        raise ValueError(f"the target is not a URL: {error}") from error
    named = url.port or port
    if not url.host or named is None:
        raise ValueError("the target does not name both host and port")
    return url.raw_host.decode("ascii"), named
