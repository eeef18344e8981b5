"""Measure what `peyvand score --sensitivity` costs for a made-up dump of a country, scored as an auditor does."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.bench.loads.register import write_register
from tests.bench.meters.command import run_command
from tests.bench.meters.process import machine

__all__ = ["sensitivity"]

_VARIANTS = 500
_REASONS = ("OK", "LATE", "STATUS", "SHED")
_WEIGHTS = (93, 4, 2, 1)
_OUTCOMES = {"OK": "OK", "LATE": "LATE", "STATUS": "INVALID", "SHED": "UNKNOWN"}


def sensitivity(links: int, days: int, slot: int) -> Iterator[str]:
    """Write ``days`` days of measurements of so many links in slots of ``slot`` seconds, and score them."""
    yield f"sensitivity of {links} links over {days} days in slots of {slot} s, {time.strftime('%F %T %Z')}"
    yield machine()
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder:
        where = Path(folder)
        start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
        (where / "ca.pem").touch()
        register = write_register(
            where / "register", "http://127.0.0.1", "tcp://127.0.0.1:1", where / "ca.pem", links, slot
        )
        policy = json.loads((register / "policy.yaml").read_text())
        (register / "policy.yaml").write_text(json.dumps({**policy, "epoch": f"{start.date()}"}))
        file = where / "measurements.ndjson"
        rows = _write(file, links, start, days, slot)
        yield f"{rows} measurements, {file.stat().st_size / 2**30:.2f} GiB"
        for flags in ((), ("--sensitivity",)):
            yield _score(register, file, *flags)


def _write(file: Path, links: int, start: datetime, days: int, slot: int) -> int:
    """Write the lines. Slow parts are prepared for a few hundred measurements and reused for all."""
    chance = random.Random(7)
    versions = '"register_version": "' + "a" * 64 + '", "probe_version": "' + "b" * 64 + '", "prober": "p1"'
    ends = []
    for _ in range(_VARIANTS):
        (reason,) = chance.choices(_REASONS, _WEIGHTS)
        latency = chance.uniform(2, 4) if reason == "LATE" else min(chance.expovariate(2), 2)
        ends.append(
            f'"outcome": "OUTCOME_{_OUTCOMES[reason]}", "reason": "REASON_{reason}", "latency": "{latency:.6f}s", '
            f'"phases": {{"connect": "0.004s", "processing": "0.012500s", "transfer": "0.000250s"}}, {versions}}}\n'
        )
    heads = [f'{{"link": "link-{link}", "vantage": "main", ' for link in range(links)]
    slots = days * 86_400 // slot
    with file.open("w") as lines:
        for number in range(slots):
            begin = start + timedelta(seconds=number * slot)
            stamp = f'"slot_start": "{begin:%Y-%m-%dT%H:%M:%SZ}", "time": "{begin:%Y-%m-%dT%H:%M:}01.250Z", '
            lines.writelines(head + stamp + ends[chance.randrange(_VARIANTS)] for head in heads)
    return slots * links


def _score(register: Path, file: Path, *flags: str) -> str:
    run = run_command("score", "--register", str(register), "--measurements", str(file), "--json", *flags)
    return f"score {' '.join(flags) or '(plain)'}: {run}"
