"""A second prober of the vantage, beside the one that `peyvand up` runs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.meters.scrape import scrape, since
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.system import System

__all__ = ["SecondProber", "second_prober"]

_JOIN_SECONDS = 120.0
_END_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class SecondProber:
    """Its process, and HOST:PORT of its metrics."""

    pid: int
    metrics: str


@contextmanager
def second_prober(system: System, folder: Path) -> Iterator[SecondProber]:
    """Start it and wait until the first prober has handed it its share."""
    metrics = f"127.0.0.1:{free_port()}"
    flags = {
        "nats": system.nats,
        "credentials": system.credentials,
        "data": folder,
        "metrics": metrics,
        "prober": "second",
        "probe-files": system.register or system.data / "sandbox" / "register",
    }
    folder.mkdir()
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "services.prober", *(f"--{name}={value}" for name, value in flags.items())]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _JOIN_SECONDS
        whole = _targets(system.metrics("prober"))
        while not (_targets(metrics) and _targets(metrics) + _targets(system.metrics("prober")) == whole):
            assert process.poll() is None, (folder / "log").read_text("utf-8")[-1500:]
            assert time.monotonic() < deadline, "the probers did not share"
            time.sleep(0.5)
        yield SecondProber(process.pid, metrics)
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _targets(where: str) -> float:
    """Return the number of targets in a prober's share, 0 while it does not answer."""
    try:
        return sum(since({}, scrape(where), "peyvand_probe_targets", "kind").values())
    except OSError:
        return 0.0
