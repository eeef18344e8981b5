"""Measure the whole pipeline at national size: `peyvand up --sandbox --scenario national`, watched from outside."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path

import grpc

from peyvand.v1 import indicator_pb2, indicator_service_pb2, indicator_service_pb2_grpc
from services.core.model.outcome import OUTCOME_OF, Outcome, Reason
from services.dataset.days import EvidenceDays, LogFiles, Sealer, SealingContext
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from tests.bench.meters.process import busy_seconds, cpu_seconds, machine, peak_mib, proportional_mib
from tests.bench.meters.scrape import Samples, quantile_bound, scrape, since
from tests.support.paths import ROOT
from tests.support.system import COMPONENTS, System

__all__ = ["national"]

_START_SECONDS = 300.0  # the first index comes after the first whole slot
_SCRAPE_SECONDS = 15.0  # as Prometheus does; what a scrape costs is part of the figures
_NAP_SECONDS = 0.05
_SHOWN = 20
_PIPELINE = ("prober", "nats-server", "scorer", "collector", "api", "archive")
_SHARES = (0.5, 0.99, 0.999, 1.0)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What had been used up to one moment. ``cpu`` is in seconds by process."""

    time: float
    busy: float
    cpu: dict[str, float]
    prober: Samples
    scorer: Samples


def national(minutes: float, slot: int) -> Iterator[str]:
    """Run the national sandbox in slots of ``slot`` seconds, and yield lines on what it cost.

    It is measured for ``minutes`` once it has its first index, and has published the indicators of an hour and a day.
    A day has one such burst of 6,900 messages.
    """
    yield f"national scenario, slots of {slot} s, {minutes:g} minutes, from {time.strftime('%F %T %Z')}"
    yield machine()
    limit = 60 * minutes + 3 * _START_SECONDS
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder:
        flags = ("--scenario", "national", "--slot", f"{slot}s", "--for", f"{limit:.0f}s")
        system = System(Path(folder) / "data", flags)
        system.start()
        try:
            system.until(lambda: _has_index(system), what="the first index", seconds=_START_SECONDS)
            pids = system.children() | ({"peyvand up": system.process.pid} if system.process else {})
            _wait_for_history(system)
            before = _moment(system, pids)
            stall = _follow(system, pids, minutes * 60)
            after = _moment(system, pids)
            yield from _costs(
                before, after, {name: (peak_mib(pid), proportional_mib(pid)) for name, pid in pids.items()}
            )
            yield from _disk(before, after, system.data)
            yield from _outcomes(before.prober, after.prober)
            yield _times("probes start late by", before.prober, after.prober, "peyvand_probe_schedule_lag_seconds")
            yield _times("the bus acknowledges in", before.prober, after.prober, "peyvand_publish_seconds")
            yield _times("an index takes", before.scorer, after.scorer, "peyvand_scorer_refresh_seconds")
            yield _government(system)
            yield f"a process that only slept woke up to {stall * 1000:.0f} ms late: so long this machine kept it waiting"
            yield from _unknown(system)
            began = time.monotonic()
            system.stop()
            yield f"everything ended {time.monotonic() - began:.1f} s after Ctrl-C"
            yield from _sealed(system.data / "archive" / "dataset")
        finally:
            system.stop()


def _has_index(system: System) -> bool:
    return "\npeyvand_index_lower{" in system.page("scorer", "/metrics")[1]


def _wait_for_history(system: System) -> None:
    """Wait until the stream of indicators has grown, and grows no more."""
    end = time.monotonic() + _START_SECONDS
    before, messages = -1.0, 0.0
    while not messages or messages != before:
        assert time.monotonic() < end, "the indicators of an hour and a day were not published in time"
        _sleep(time.monotonic() + _SCRAPE_SECONDS)
        before = messages
        messages = since({}, scrape(system.metrics("scorer")), "peyvand_stream_messages", "stream")["INDICATORS"]


def _moment(system: System, pids: dict[str, int]) -> _Moment:
    return _Moment(
        time.monotonic(),
        busy_seconds(),
        {name: cpu_seconds(pid) for name, pid in pids.items()},
        scrape(system.metrics("prober")),
        scrape(system.metrics("scorer")),
    )


def _follow(system: System, pids: dict[str, int], seconds: float) -> float:
    """Scrape every component until the time is over. Return the longest delay by the machine, in seconds.

    Raises AssertionError when a process was restarted meanwhile.
    """
    end = time.monotonic() + seconds
    stall = 0.0
    while time.monotonic() < end:
        stall = max(stall, _sleep(min(end, time.monotonic() + _SCRAPE_SECONDS)))
        for name in COMPONENTS:
            scrape(system.metrics(name))
        changed = pids.items() - system.children().items() - {("peyvand up", pids["peyvand up"])}
        assert not changed, f"{dict(changed)} did not stay up"
    return stall


def _sleep(until: float) -> float:
    """Sleep in short naps. Return by how much the longest was too long, in seconds."""
    late = 0.0
    while (now := time.monotonic()) < until:
        time.sleep(_NAP_SECONDS)
        late = max(late, time.monotonic() - now - _NAP_SECONDS)
    return late


def _costs(before: _Moment, after: _Moment, memory: dict[str, tuple[float, float]]) -> Iterator[str]:
    took = after.time - before.time
    probes = sum(since(before.prober, after.prober, "peyvand_probe_outcomes_total", "outcome").values())
    used = {name: after.cpu[name] - before.cpu[name] for name in after.cpu}

    def row(name: str, parts: tuple[str, ...]) -> str:
        cpu = sum(used[part] for part in parts)
        peak, proportional = (sum(memory[part][which] for part in parts) for which in (0, 1))
        return f"{name:<14}{cpu / took:>18.1%}{cpu / probes * 1e6:>18.0f}{peak:>15.0f}{proportional:>13.0f}"

    yield f"{'process':<14}{'CPU, % of a core':>18}{'µs CPU per probe':>18}{'peak RSS, MiB':>15}{'at last, PSS':>13}"
    for name in _PIPELINE:
        yield row(name, (name,))
    yield row("pipeline", _PIPELINE)
    yield row("sandbox", ("sandbox",))
    yield row("peyvand up", ("peyvand up",))
    others = after.busy - before.busy - sum(used.values())
    yield f"all other processes of this machine meanwhile: {others / took:.0%} of a core"
    yield f"{probes:.0f} measurements in {took:.0f} s: {probes / took:.1f} per second"


def _disk(before: _Moment, after: _Moment, data: Path) -> Iterator[str]:
    """Yield what streams and the scorer's folder hold, and by how much the streams grew."""
    kept = since({}, after.scorer, "peyvand_stream_bytes", "stream")
    messages = since({}, after.scorer, "peyvand_stream_messages", "stream")
    grown = since(before.scorer, after.scorer, "peyvand_stream_bytes", "stream")
    for stream, size in kept.items():
        yield f"{stream}: {messages[stream]:.0f} messages, {size:.0f} bytes, {grown[stream]:.0f} of them meanwhile"
    probes = sum(since(before.prober, after.prober, "peyvand_probe_outcomes_total", "outcome").values())
    yield f"of a measurement {grown['MEASUREMENTS'] / probes:.1f} bytes"
    size = sum(path.stat().st_size for path in (data / "scorer").rglob("*") if path.is_file())
    yield f"the scorer's folder: {size} bytes"


def _sealed(dataset: Path) -> Iterator[str]:
    """Seal the archived rows, as at the end of the day."""
    storage = LocalStorage(dataset)
    sealer = Sealer(storage, SigningKey.generate("bench"), EvidenceDays("UTC", 0.0, 60), dataset.with_name("scratch"))
    for day in sealer.due(inf):
        sealer.seal(day, SealingContext())
    files = [file for _, manifest in LogFiles(storage).manifests() for file in manifest.files]
    for kind in dict.fromkeys(file.kind for file in files):
        size, rows = (sum(getattr(file, name) for file in files if file.kind == kind) for name in ("size", "rows"))
        yield f"sealed: {rows} rows of kind {kind}, {size / rows:.2f} bytes each"


def _outcomes(before: Samples, after: Samples) -> Iterator[str]:
    outcomes = since(before, after, "peyvand_probe_outcomes_total", "outcome")
    yield "by outcome: " + ", ".join(f"{name} {count:.0f}" for name, count in outcomes.items())
    reasons = since(before, after, "peyvand_probe_reasons_total", "reason")
    unknown = [
        f"{name} {count:.0f}"
        for name, count in reasons.items()
        if count and OUTCOME_OF[Reason[name.upper()]] is Outcome.UNKNOWN
    ]
    yield "UNKNOWN by reason: " + (", ".join(unknown) or "none")


def _times(what: str, before: Samples, after: Samples, name: str) -> str:
    buckets = since(before, after, f"{name}_bucket", "le")
    count = sum(since(before, after, f"{name}_count").values())
    if not count:
        return f"{what}: it never came to that"
    mean = sum(since(before, after, f"{name}_sum").values()) / count
    bounds = ", ".join(f"{share:.1%} within {quantile_bound(buckets, share)} s" for share in _SHARES)
    return f"{what} {mean * 1000:.2f} ms on average; {bounds}"


def _unknown(system: System) -> Iterator[str]:
    """Yield the UNKNOWN measurements, in the prober's own words."""
    command = [sys.executable, "-m", "services.cli", "dump", "measurements"]
    where = ["--nats", system.nats, "--credentials", str(system.credentials)]
    dump = subprocess.run([*command, *where], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    rows = [json.loads(line) for line in dump.stdout.splitlines() if '"OUTCOME_UNKNOWN"' in line]
    for row in [row for row in rows if "time" in row][:_SHOWN]:
        yield f"UNKNOWN {row.get('link') or row.get('endpoint')} at {row['time']}: {row['reason']}, {row.get('detail', '')}"


def _government(system: System) -> str:
    """Return the index, requested as another system would do."""
    request = indicator_service_pb2.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
    with grpc.insecure_channel(system.api) as channel:
        answer = indicator_service_pb2_grpc.IndicatorServiceStub(channel).GetIndicator(request, timeout=10)
    one = answer.indicator
    point = f"{one.point:.4f}" if one.HasField("point") else "not publishable"
    return (
        f"government over gRPC: {point}, bounds {one.lower:.4f} to {one.upper:.4f}, known share {one.known_share:.6f}, "
        f"{one.links_required} links, {one.links_absent} of them absent"
    )
