"""What the command asks the components it started, on loopback."""

from __future__ import annotations

import urllib.request

__all__ = ["fetch"]

# Past every proxy of the environment, which would look for loopback on its own machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(address: str, path: str, timeout: float) -> bytes:
    """GET ``path`` of HOST:PORT within ``timeout`` seconds. Raises OSError, also when it is answered with an error."""
    with _OPENER.open(f"http://{address}{path}", timeout=timeout) as answer:
        return bytes(answer.read())
