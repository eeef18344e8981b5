"""A real Prometheus, and queries of its HTTP API."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.support.ports import free_port
from tests.support.programs import program

__all__ = ["PrometheusError", "ask", "prometheus"]

_SECONDS = 20.0


class PrometheusError(AssertionError):
    """Prometheus rejected a query."""


@contextmanager
def prometheus(config: Path, *flags: str) -> Iterator[str]:
    """Run Prometheus with a configuration file, its data and log beside it. Yields HOST:PORT."""
    where = f"127.0.0.1:{free_port()}"
    folder = config.parent
    command = [
        program("prometheus", "prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={where}",
        *flags,
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield where
    finally:
        process.kill()
        process.wait()


def ask(where: str, path: str, **query: object) -> Any:
    """Return the data of an answer, or None without an answer. Raises PrometheusError for a rejected query."""
    try:
        with urlopen(f"http://{where}/api/v1/{path}?{urlencode(query, doseq=True)}", timeout=_SECONDS) as answer:
            return json.load(answer)["data"]
    except HTTPError as error:
        if error.code >= 500:
            return None
        raise PrometheusError(f"{path} {query}: {json.load(error).get('error')}") from error
    except OSError:
        return None
