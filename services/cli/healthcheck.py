"""``python -m services.cli.healthcheck``: whether the component of this container serves; its image's health check.

It asks /health where PEYVAND_METRICS says that it is, prints the answer and exits 0 when it is SERVING, else 1. The
standard library alone, since it runs for every container every few seconds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException

__all__ = ["ask"]

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # listened on, and not to be connected to
_TIMEOUT_SECONDS = 4.0


def ask(environ: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether the component serves, and its answer or why there is none."""
    host, _, port = environ.get("PEYVAND_METRICS", "").rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit():
        return False, "PEYVAND_METRICS does not say HOST:PORT"
    connection = HTTPConnection(_ANY.get(host, host), int(port), timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status == 200, answer.read(200).decode("utf-8", "replace").strip()
    except (OSError, HTTPException) as error:
        return False, f"no answer from {host}:{port}: {error}"
    finally:
        connection.close()


if __name__ == "__main__":
    serving, words = ask(os.environ)
    print(words)
    sys.exit(not serving)
