"""``make fuzz``: fuzzes every reader of outside text in turn, and prints how many inputs each took and what was found."""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from tests.fuzz.all_readers import READERS
from tests.support.paths import ROOT

_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_LONGER_SECONDS = 120  # more than its time that a process may take, for its startup and its last input


def _fuzz(name: str, seconds: float, folder: Path) -> tuple[int, float, list[str]]:
    """Fuzz one reader in its own process. Return the number of inputs, the processor seconds, and the findings."""
    folder.mkdir(parents=True, exist_ok=True)
    found = folder / "findings.ndjson"
    found.unlink(missing_ok=True)
    before = _children_seconds()
    command = [sys.executable, "-m", "tests.fuzz.engine", name, str(seconds), str(folder)]
    with (folder / "log").open("w+") as log:
        try:
            status = subprocess.run(
                command, cwd=ROOT, stdout=log, stderr=log, check=False, timeout=seconds + _LONGER_SECONDS
            ).returncode
        except subprocess.TimeoutExpired:
            status = -1
        log.seek(0)
        match = _EXECUTED.search(log.read())
    rows = [json.loads(line) for line in found.read_text().splitlines()] if found.exists() else []
    findings = [f"{row['kind']}: {row['detail']}" for row in rows]
    if status:
        findings.append(f"the process ended with status {status}: see {folder / 'log'}")
    return int(match[1]) if match else 0, _children_seconds() - before, findings


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _table(names: list[str], seconds: float, folder: Path) -> Iterator[tuple[str, int]]:
    """Fuzz each reader. Yield the lines of the table with the number of findings in each."""
    yield f"{'reader':<36}{'inputs':>12}{'processor s':>14}{'findings':>10}", 0
    total, spent = 0, 0.0
    for name in names:
        executions, used, findings = _fuzz(name, seconds, folder / re.sub(r"\W+", "-", name))
        total, spent = total + executions, spent + used
        yield f"{name:<36}{executions:>12,}{used:>14,.0f}{len(findings):>10}", 0
        for finding in findings:
            yield f"  {finding}", 1
    yield f"{'all':<36}{total:>12,}{spent:>14,.0f}", 0


def main() -> int:
    """Divide the time among the readers. Returns 1 if there are findings."""
    parser = argparse.ArgumentParser("make fuzz", description=__doc__)
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"which ones (default: all): {', '.join(READERS)}")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long, all together (default: 5)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "fuzz", help="for inputs and findings")
    asked = parser.parse_args()
    names = asked.readers or list(READERS)
    if unknown := [name for name in names if name not in READERS]:
        parser.error(f"there is no reader {unknown[0]!r}")
    seconds = max(1.0, asked.minutes * 60 / len(names))
    engine = "Atheris" if find_spec("atheris") else "Hypothesis, for Atheris is not installed"
    about = f"{len(names)} readers, {seconds:.0f} s each, by {engine}; Python {sys.version.split()[0]}, {os.cpu_count()} cores"
    found = 0
    for line, findings in chain([(about, 0)], _table(names, seconds, asked.folder)):
        print(line, flush=True)  # noqa: T201 - a person reads this
        found += findings
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
