"""Count the modules of ours that a probe, an exchange record and a register pass in a running sandbox."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.system import System

__all__ = ["passages"]

_TRACING = Path(__file__).parent / "tracing"
_SETTLED_SECONDS = 25
"""After this long a component has started. Modules that run from then on are recorded."""


def passages(seconds: float) -> Iterator[str]:
    """Yield the three counts, then the modules behind each.

    A probe passes the prober, the scorer and the api; a record passes the collector, the scorer and the api. Their
    modules are those with a function that runs while a sandbox is measured for ``seconds`` and the api is asked for a
    link and for the exchanges. A register passes the command that publishes it, and the prober from its start to its
    first probe.
    """
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder:
        with _traced(Path(folder) / "running", after=_SETTLED_SECONDS) as running, _sandbox(folder) as system:
            time.sleep(_SETTLED_SECONDS + seconds)
            with (system.data / "sandbox" / "register" / "links.csv").open(encoding="utf-8") as links:
                link = next(row["id"] for row in csv.DictReader(links) if row["live_from"])
            _command("explain", "link", link, "--api", system.api)
            _command("exchange", "--api", system.api)
        with _traced(Path(folder) / "starting", until="ProbeRunner.probe") as starting, _sandbox(folder) as system:
            register = system.data / "sandbox" / "register"
            _command(
                "register", "publish", str(register), "--nats", system.nats, "--credentials", str(system.credentials)
            )
        run, start = _modules(running), _modules(starting)
    found = {
        "a probe, from observation to answer": run["prober"] | run["scorer"] | run["api"],
        "an exchange record, from log to answer": run["collector"] | run["scorer"] | run["api"],
        "a register, from directory to schedule": start["register publish"] | start["prober"],
    }
    yield from (f"{what}: {len(modules)} modules" for what, modules in found.items())
    for what, modules in found.items():
        yield f"\n{what}:"
        yield from sorted(modules)


@contextmanager
def _traced(folder: Path, *, after: float = 0, until: str = "") -> Iterator[Path]:
    """Let Python processes that start meanwhile write the modules that run to a folder (tracing/sitecustomize.py)."""
    folder.mkdir()
    settings = {
        "PYTHONPATH": os.pathsep.join([str(_TRACING), os.environ.get("PYTHONPATH", "")]),
        "PEYVAND_TRACE": str(folder),
        "PEYVAND_TRACE_AFTER": str(after),
        "PEYVAND_TRACE_UNTIL": until,
    }
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield folder
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _sandbox(folder: str) -> Iterator[System]:
    system = System(Path(tempfile.mkdtemp(dir=folder)) / "data", ("--slot", "6s"))
    system.start()
    try:
        system.until_serving()
        yield system
    finally:
        system.stop()


def _command(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "services.cli", *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _modules(folder: Path) -> dict[str, set[str]]:
    """Return the modules that ran, by component or, for a command, by its first two words."""
    found: dict[str, set[str]] = {}
    for file in folder.iterdir():
        command, *modules = file.read_text("utf-8").splitlines()
        name, *words = command.partition("services.")[2].split()
        found[" ".join(words[:2]) if name == "cli" else name] = set(modules)
    return found
