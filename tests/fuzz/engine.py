"""``python -m tests.fuzz.engine READER SECONDS FOLDER`` fuzzes one reader in one process, which the engine ends.

The engine is Atheris, guided by coverage. Where it is not installed, Hypothesis damages the seeds. Findings go to
``FOLDER/findings.ndjson`` as they are found, once each, with the input in hexadecimal digits.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.damage import damaged

if TYPE_CHECKING:
    from tests.fuzz.reader import Reader

try:
    import atheris
except ImportError:
    atheris = None

INSTRUMENTED = ("services", "peyvand", "h2", "hpack", "hyperframe", "dns", "yaml", "jsonschema", "jsonpath_rfc9535")
"""Packages whose branches guide Atheris: ours, and those in pure Python that read outside text first."""

_HANGS_SECONDS = 60  # an input that takes longer ends the process, and is a finding
_MEMORY_MIB = 2048  # likewise an input that needs more
_LONGEST_INPUT = 65_536
_BATCH = 500  # inputs between two looks at the clock


class Run:
    """Feeds inputs to a reader, counts them, and writes each kind of finding once."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.executions = 0
        self._reader = reader
        self._file = folder / "findings.ndjson"
        self._kinds: set[str] = set()

    def take(self, data: bytes) -> None:
        """Pass one input to the reader."""
        from tests.fuzz.reader import finding_of  # noqa: PLC0415 - after the start of instrumentation

        self.executions += 1
        finding = finding_of(self._reader, data)
        if finding is None or finding.kind in self._kinds:
            return
        self._kinds.add(finding.kind)
        row = {"reader": self._reader.name, "kind": finding.kind, "detail": finding.detail, "input": data.hex()}
        with self._file.open("a") as file:
            file.write(json.dumps(row) + "\n")


def _with_atheris(run: Run, seeds: Iterable[bytes], seconds: float, folder: Path) -> None:
    """Fuzz until the time is over. The library then ends the process, and prints the number of inputs."""
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    flags = {
        "max_total_time": int(seconds),
        "max_len": _LONGEST_INPUT,
        "timeout": _HANGS_SECONDS,
        "rss_limit_mb": _MEMORY_MIB,
        "print_final_stats": 1,
        "artifact_prefix": f"{folder}/",
    }
    atheris.Setup([sys.argv[0], *(f"-{name}={value}" for name, value in flags.items()), str(corpus)], run.take)
    atheris.Fuzz()


def _with_hypothesis(run: Run, seeds: Iterable[bytes], seconds: float) -> None:
    options: dict[str, Any] = {"suppress_health_check": list(HealthCheck), "deadline": None, "database": None}

    @settings(max_examples=_BATCH, phases=[Phase.generate], **options)
    @given(st.sampled_from(list(seeds)).flatmap(damaged))
    def take(data: bytes) -> None:
        run.take(data)

    end = monotonic() + seconds
    while monotonic() < end:
        take()
    sys.stderr.write(f"stat::number_of_executed_units: {run.executions}\n")  # as Atheris writes it


def main() -> None:
    """Fuzz the reader that the command line names."""
    name, seconds, folder = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    with nullcontext() if atheris is None else atheris.instrument_imports(include=list(INSTRUMENTED)):
        from tests.fuzz.all_readers import READERS  # noqa: PLC0415 - what is imported here is instrumented
    reader = READERS[name]
    run = Run(reader, folder)
    if atheris is None:
        _with_hypothesis(run, reader.seeds(), seconds)
    else:
        _with_atheris(run, reader.seeds(), seconds, folder)


if __name__ == "__main__":
    main()
