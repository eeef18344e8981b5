"""Checks the health of a component in its image, by ``python -m services.cli.healthcheck``.

It requests /health from PEYVAND_METRICS, prints the answer and exits with 0 when the component is SERVING, else with 1. It
imports only the standard library, since it runs for every container every few seconds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # addresses to listen on, not to connect to
_TIMEOUT_SECONDS = 4.0


def check_health(environ: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether the component serves, and its answer or why there is none."""
    host, _, port = environ.get("PEYVAND_METRICS", "").rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit():
        return False, "PEYVAND_METRICS is not HOST:PORT"
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
    serving, text = check_health(os.environ)
    print(text)
    sys.exit(not serving)
