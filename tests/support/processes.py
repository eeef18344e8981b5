"""Read what component processes serve over HTTP and what they log, and end workers whose parent was killed."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from http.client import HTTPException
from multiprocessing import parent_process
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.support.forked import ForkedProcess

__all__ = ["Process", "end_with_parent", "logged", "page", "state"]

_SECONDS = 20.0


def page(where: str, path: str) -> tuple[int, str]:
    """Return status and text of /metrics or /health at HOST:PORT, (0, "") without a complete answer."""
    try:
        return _answer(f"http://{where}{path}")
    except (OSError, HTTPException):
        return 0, ""


def _answer(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def logged(log: Path) -> list[dict[str, Any]]:
    """Return the JSON lines of a log in order, without a last one that is still being written."""
    written = log.read_bytes() if log.exists() else b""
    lines = written[: written.rfind(b"\n") + 1].splitlines()
    return [json.loads(line) for line in lines if line.startswith(b"{")]


def state(pid: int) -> str:
    """Return the state of a process, a letter of proc(5): T is stopped. Z also means that it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def end_with_parent() -> None:
    """End this process, which multiprocessing started, as soon as its parent has ended in any way.

    A worker of a pool otherwise goes on until its task ends, which may take hours.
    """
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@dataclass
class Process:
    """One component process: the address of its /metrics and /health, and its log file."""

    popen: ForkedProcess
    log: Path
    metrics: str

    def page(self, path: str) -> tuple[int, str]:
        """Return status and text of /metrics or /health, (0, "") while nothing answers."""
        return page(self.metrics, path)

    def sample(self, name: str) -> float | None:
        """Return the value of a series without labels, or None when there is no such series."""
        lines = self.page("/metrics")[1].splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), None)

    def logged(self) -> list[dict[str, Any]]:
        """Return the complete lines that it has logged, in order."""
        return logged(self.log)

    def events(self) -> list[str]:
        """Return the events of the lines that it has logged."""
        return [line["event"] for line in self.logged()]

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one event."""
        return [line for line in self.logged() if line.get("event") == event]
