"""Ask the whole pipeline for more than it can do and for a moderate rate, and compare it with blackbox_exporter.

It shows what the pipeline does, how overload reads, and how much blackbox_exporter does by itself. Both probe the same
server on the same cores, one after the other, by fresh connections and with the same expectations and timeout. The
server has the CPU before either.

blackbox_exporter gets its best conditions. No Prometheus takes CPU for scraping and storing, as our bus and scorer do.
Requests come evenly, over connections that stay. Over TLS it offers X25519 alone. Its figure is the highest rate, found
by search, at which 99.9 % of probes succeed within the timeout: beyond it a longer queue only makes it slower.
Latencies of both count from the planned moment of a probe.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.core.model.outcome import OUTCOME_OF, Outcome, Reason
from services.core.settings import environment_variable
from tests.bench.loads.load import Load, Run, run
from tests.bench.loads.probe_requests import ENOUGH, ask, highest_rate
from tests.bench.meters.dumped import percentile
from tests.bench.meters.process import busy_seconds, cpu_seconds, give_way, machine
from tests.bench.meters.scrape import quantile_bound, since
from tests.bench.targets import incumbent
from tests.bench.targets.target import Targets, serving

__all__ = ["saturation"]

_SLOT = 10
_TIMEOUT = 1  # launches are due in the rest of a slot
_LEAST = {"http": 5_000, "tls": 1_500}
"""The aim in OK measurements per second on two cores (docs/design.md §8). TLS offers X25519 first, as in the trial
from which the target comes."""
_BEYOND = 10_000  # the next aim, over plain HTTP, on a machine where …
_THEIRS = 3_000  # … blackbox_exporter does so many
_TIMES = {"http": 3.0, "tls": 1.5}
"""The aim as a multiple of what blackbox_exporter does."""
_SCORER_US = 30
"""The aim for the scorer's CPU per measurement in µs, publishing included."""
_STEP_SECONDS = 6.0  # for each rate that blackbox_exporter is asked for
_LOWER = (1.0, 0.95, 0.9, 0.8, 0.7)
_URLS = 2000
_SLOW_RATE = 200
_DRIFT_MS = 0.5  # by how much the median latency may differ between a low and a moderate rate
_PERCENTS = (50, 90, 99)
_SHARES = (0.5, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One load: targets, number of probers, whether they offer X25519 first, and the aim in OK/s, None for none."""

    targets: int
    probers: int
    x25519: bool = False
    aim: int | None = None


_ASKED = {
    "http": (
        _Asked(60_000, 1, aim=_LEAST["http"]),
        _Asked(100_000, 2, aim=_BEYOND),
    ),
    "tls": (
        _Asked(22_000, 1, x25519=True, aim=_LEAST["tls"]),
        _Asked(22_000, 2, x25519=True, aim=_LEAST["tls"]),
        _Asked(18_000, 2),
    ),
}


def saturation(seconds: float, rate: int, inflight: int | None, scheme: str | None = None) -> Iterator[str]:
    """Ask one prober, and two, for about what two cores can do or more, over plain HTTP, fresh TLS or both.

    After plain HTTP, compare the latencies that a prober sees at ``rate`` probes/s, which it can do, with those at 200.
    ``inflight`` is that setting of the probers.
    """
    yield machine()
    if inflight is not None:
        os.environ[environment_variable("inflight")] = str(inflight)
    for name, loads in _ASKED.items():
        if scheme not in {None, name}:
            continue
        with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder, serving(Path(folder), pairs=3) as server:
            theirs = yield from _exporter(name, seconds, server, Path(folder))
            ours = 0.0
            for asked in loads:
                os.environ[environment_variable("prefer_x25519")] = str(asked.x25519).lower()
                ours = max(ours, (yield from _asked(name, asked, seconds, server)))
            yield from _compared(name, ours, theirs)
            if name == "http":
                yield from _latencies(seconds, rate, server)


def _exporter(scheme: str, seconds: float, server: Targets, folder: Path) -> Generator[str, None, float]:
    """Find the highest rate that blackbox_exporter can do, and watch it there. Return its OK/s, 0 if not installed."""
    if not incumbent.available():
        yield "blackbox_exporter is not installed: apt-get install prometheus-blackbox-exporter prometheus"
        return 0.0
    port = server.ports[2]
    url = f"https://127.0.0.1:{port.secure}" if scheme == "tls" else f"http://127.0.0.1:{port.plain}"
    targets = [f"{url}/{number}" for number in range(_URLS)]
    with incumbent.exporter(folder, server.authority, _TIMEOUT) as (pid, where):
        give_way(pid)  # as our components do
        yield f"{scheme}: blackbox_exporter alone, asked for rising rates, {_STEP_SECONDS:.0f} s each"
        best = 0.0
        for found in highest_rate(where, incumbent.MODULE, targets, _STEP_SECONDS, _TIMEOUT):
            yield f"  {found.rate:>7,.0f}/s: {found.share:.2%} OK"
            best = found.rate if found.share >= ENOUGH else best
        if not best:
            return 0.0
        for lower in _LOWER:  # a rate that it can do for seconds may be too high for longer
            cpu, own, busy, began = cpu_seconds(pid), time.process_time(), busy_seconds(), time.monotonic()
            found = ask(where, incumbent.MODULE, targets, best * lower, seconds, _TIMEOUT)
            cpu, own, busy = cpu_seconds(pid) - cpu, time.process_time() - own, busy_seconds() - busy
            took = time.monotonic() - began
            if found.share >= ENOUGH:
                break
    good = found.rate * found.share
    yield f"  at {found.rate:,.0f}/s for {seconds:.0f} s: {good:.0f} OK/s; latencies of OK from the planned start: {_percentiles(found.latencies)}"
    yield (
        f"  blackbox_exporter {cpu / took:.0%} of a core, what asks it {own / took:.0%}, all else, the server included, "
        f"{(busy - cpu - own) / took:.0%}"
    )
    return good


def _compared(scheme: str, ours: float, theirs: float) -> Iterator[str]:
    if not theirs:
        return
    ratio, times = ours / theirs, _TIMES[scheme]
    met = "met" if ratio >= times else "MISSED"
    yield f"{scheme}: ours {ours:.0f} OK/s, blackbox_exporter {theirs:.0f}: {ratio:.2f} times, aim {times}: {met}"
    if scheme == "http":
        scaled = theirs * _BEYOND / _THEIRS
        met = "met" if ours >= scaled else "MISSED"
        yield f"  aim {_BEYOND:,} OK/s where blackbox_exporter does {_THEIRS:,}, which is {scaled:,.0f} here: {met}"


def _asked(scheme: str, asked: _Asked, seconds: float, server: Targets) -> Generator[str, None, float]:
    """Run one load. Return the OK/s, 0 where a healthy target was seen failing."""
    if scheme == "tls":
        yield f"probers offer {'X25519 first' if asked.x25519 else 'what OpenSSL does by itself'}:"
    done = run(Load(scheme, asked.targets, _SLOT, _TIMEOUT, asked.probers), seconds, server)
    yield from _told(done)
    good = _good(done)
    if asked.aim is None:
        yield f"  {good:.0f} OK/s"
    else:
        yield f"  {good:.0f} OK/s, aim {asked.aim}: {'met' if good >= asked.aim else 'MISSED'}"
    cost = done.scorer_us
    met = "met" if cost <= _SCORER_US else "MISSED"
    yield f"  {cost:.1f} µs of CPU of the scorer for a measurement, publishing included, aim {_SCORER_US}: {met}"
    return 0.0 if any(map(_is_failure, done.measured.reasons)) else good


def _is_failure(reason: str) -> bool:
    """Return whether a reason says that a healthy target fails."""
    known = Reason[reason.upper()]
    return known is not Reason.OK and OUTCOME_OF[known] is not Outcome.UNKNOWN


def _percentiles(seconds: Sequence[float]) -> str:
    return ", ".join(f"{percent} % {percentile(seconds, percent) * 1000:.3f} ms" for percent in _PERCENTS)


def _latencies(seconds: float, rate: int, server: Targets) -> Iterator[str]:
    medians = []
    for one in (_SLOW_RATE, rate):
        done = run(Load("http", one * _SLOT, _SLOT, _TIMEOUT), seconds, server)
        yield from _told(done)
        medians.append(percentile(done.measured.latencies, 50) * 1000)
    drift = medians[1] - medians[0]
    met = "met" if abs(drift) <= _DRIFT_MS else "MISSED"
    yield f"  median latency {drift:+.3f} ms from {_SLOW_RATE}/s to {rate}/s, aim within {_DRIFT_MS} ms: {met}"


def _good(done: Run) -> float:
    """Return the measurements per second that were OK."""
    return done.before.counted(done.after, "peyvand_probe_outcomes_total", "outcome")["ok"] / done.took


def _told(done: Run) -> Iterator[str]:
    load, before, after, took = done.load, done.before, done.after, done.took
    yield (
        f"{load.scheme}: {load.targets} targets in slots of {load.slot} s, {load.rate:.0f} probes/s asked of "
        f"{load.probers} prober{'s' * (load.probers > 1)}, all due in the first {load.slot - load.timeout} s of a slot; "
        f"watched for {took:.0f} s, load average {os.getloadavg()[0]:.1f}"
    )
    yield f"  {'process':<15}{'CPU, % of a core':>18}{'RSS before, MiB':>17}{'after':>8}{'peak':>8}"
    used = {name: after.cpu[name] - before.cpu[name] for name in after.cpu}
    for name, cpu in used.items():
        memory = f"{before.resident[name]:>17.0f}{after.resident[name]:>8.0f}{done.peaks[name]:>8.0f}"
        yield f"  {name:<15}{cpu / took:>18.1%}{memory}"
    others = after.busy - before.busy - sum(used.values())
    yield f"  {'all else':<15}{others / took:>18.1%}"
    taken = done.taken
    late = sum(since(before.scorer, after.scorer, "peyvand_measurements_late_total").values())
    shed = sum(before.counted(after, "peyvand_probe_shed_total").values())
    yield (
        f"  per second: {_good(done):.0f} OK, {shed / took:.0f} shed; the server answered {done.answered / took:.0f}, "
        f"the scorer took in {taken / took:.0f} measurements of all outcomes, {late:.0f} of them too late"
    )
    yield f"  the server, which has the CPU first, kept up to {done.waiting} connections waiting for it to accept them"
    lags = before.counted(after, "peyvand_probe_schedule_lag_seconds_bucket", "le")
    bounds = ", ".join(f"{share:.0%} within {quantile_bound(lags, share)} s" for share in _SHARES)
    yield f"  turns come late: {bounds}; at most {done.inflight:.0f} probes of one prober were seen under way"
    yield from _measured(done)


def _measured(done: Run) -> Iterator[str]:
    """Yield what the bus kept of the whole slots in the middle."""
    measured = done.measured
    if not measured.reasons:
        yield "  no whole slot was measured"
        return
    each = ", ".join(f"{reason} {count}" for reason, count in measured.reasons.most_common())
    yield f"  in {measured.slots} whole slots: {each}"
    if measured.latencies:
        yield f"  latencies of OK as the prober saw them: {_percentiles(measured.latencies)}"
        yield f"  latencies of OK from the planned start: {_percentiles(measured.since_due)}"
    never = done.load.targets - len(measured.good)
    always = sum(count == measured.slots for count in measured.good.values())
    yield f"  of {done.load.targets} targets, all healthy, {always} were OK in every slot and {never} in none"
    for reason, count in measured.reasons.items():
        if _is_failure(reason):
            yield f"  !!! {count} PROBES OF HEALTHY TARGETS READ AS {reason.upper()}, as of {measured.samples[reason]}"
    missing = measured.slots * done.load.targets - measured.reasons.total()
    if missing:
        yield f"  !!! {missing} MEASUREMENTS ARE MISSING (below zero: too many)"
