"""The whole pipeline asked for more than it can do, and at a moderate rate: what it does, and what overload reads as."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from services.core.model.outcome import OUTCOME_OF, Outcome, Reason
from services.core.settings import environment_variable
from tests.bench.loads.load import Load, Run, run
from tests.bench.meters.process import machine
from tests.bench.meters.scrape import quantile_bound, since

__all__ = ["saturation"]

_SLOT = 10
_TIMEOUT = 1  # launches are due in what is left of a slot
_LEAST = {"http": 5_000, "tls": 1_500}
"""OK measurements a second aimed at on two cores (docs/design.md §8); of TLS with X25519 offered first, as the trial
that the target comes from had it."""
_BEYOND = 10_000  # what is aimed at after that, over plain HTTP
_SLOW_RATE = 200
_DRIFT_MS = 0.5  # by how much the median latency may differ between a low and a moderate rate
_SHARES = (0.5, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One load: targets, how many probers, whether they offer X25519 first, and the OK/s aimed at, None where none is."""

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
    """Ask one prober, and two, for about what two cores can do or more, over plain HTTP and over fresh TLS, or over one of
    them; after plain HTTP compare the latencies that a prober sees at ``rate`` probes/s, which it can do, with those at
    200. ``inflight`` is that setting of the probers.
    """
    yield machine()
    if inflight is not None:
        os.environ[environment_variable("inflight")] = str(inflight)
    for name, loads in _ASKED.items():
        if scheme not in {None, name}:
            continue
        for asked in loads:
            os.environ[environment_variable("prefer_x25519")] = str(asked.x25519).lower()
            yield from _asked(name, asked, seconds)
        if name == "http":
            yield from _latencies(seconds, rate)


def _asked(scheme: str, asked: _Asked, seconds: float) -> Iterator[str]:
    if scheme == "tls":
        yield f"probers offer {'X25519 first' if asked.x25519 else 'what OpenSSL does by itself'}:"
    done = run(Load(scheme, asked.targets, _SLOT, _TIMEOUT, asked.probers), seconds)
    yield from _told(done)
    good = _good(done)
    if asked.aim is None:
        yield f"  {good:.0f} OK/s"
    else:
        yield f"  {good:.0f} OK/s, aim {asked.aim}: {'met' if good >= asked.aim else 'MISSED'}"


def _latencies(seconds: float, rate: int) -> Iterator[str]:
    medians = []
    for one in (_SLOW_RATE, rate):
        done = run(Load("http", one * _SLOT, _SLOT, _TIMEOUT), seconds)
        yield from _told(done)
        medians.append(done.measured.latency(50) * 1000)
    drift = medians[1] - medians[0]
    met = "met" if abs(drift) <= _DRIFT_MS else "MISSED"
    yield f"  median latency {drift:+.3f} ms from {_SLOW_RATE}/s to {rate}/s, aim within {_DRIFT_MS} ms: {met}"


def _good(done: Run) -> float:
    """Measurements per second that were OK."""
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
    taken = sum(since(before.scorer, after.scorer, "peyvand_measurements_total").values())
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
    """What the bus kept of the whole slots in the middle."""
    measured = done.measured
    if not measured.reasons:
        yield "  no whole slot was measured"
        return
    each = ", ".join(f"{reason} {count}" for reason, count in measured.reasons.most_common())
    yield f"  in {measured.slots} whole slots: {each}"
    if measured.latencies:
        seen = ", ".join(f"{percent} % {measured.latency(percent) * 1000:.3f} ms" for percent in (50, 90, 99))
        yield f"  latencies of OK as the prober saw them: {seen}"
    never = done.load.targets - len(measured.good)
    always = sum(count == measured.slots for count in measured.good.values())
    yield f"  of {done.load.targets} targets, all healthy, {always} were OK in every slot and {never} in none"
    for reason, count in measured.reasons.items():
        known = Reason[reason.upper()]
        if known is not Reason.OK and OUTCOME_OF[known] is not Outcome.UNKNOWN:
            yield f"  !!! {count} PROBES OF HEALTHY TARGETS READ AS {known.name}, as of {measured.samples[reason]}"
    missing = measured.slots * done.load.targets - measured.reasons.total()
    if missing:
        yield f"  !!! {missing} MEASUREMENTS ARE MISSING (below zero: too many)"
