"""Compare the pipeline with blackbox_exporter and Prometheus: both probe the same server at the same time."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from services.core.settings import environment_variable
from tests.bench.loads.register import write_register
from tests.bench.meters.process import busy_seconds, cpu_seconds, machine, peak_mib
from tests.bench.meters.scrape import Samples, quantile_bound, scrape, since
from tests.bench.targets import incumbent
from tests.bench.targets.target import Targets, serving
from tests.support.system import System

__all__ = ["compare_all"]

_START_SECONDS = 120.0
_WARM_SECONDS = 40.0  # Prometheus pays for each new series once; the steady state is compared
_SCRAPE_SECONDS = 15.0  # as Prometheus does; what a scrape costs is part of the figures
_PARTS = ("prober", "nats-server", "scorer")


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What is probed by both, whether both offer X25519 first over TLS, and the ratio aimed at (docs/design.md §8)."""

    name: str
    scheme: str
    most: float
    x25519: bool = False


_COMPARISONS = (
    _Comparison("plain HTTP", "http", 0.22),
    _Comparison("fresh TLS", "tls", 0.46),
    _Comparison("fresh TLS, X25519 first", "tls", 0.46, x25519=True),
)


@dataclass(frozen=True, slots=True)
class _Used:
    """CPU seconds by process, requests answered by port and our counters, at one moment."""

    time: float
    busy: float
    cpu: Mapping[str, float]
    answered: Mapping[int, int]
    prober: Samples


def _compare(
    comparison: _Comparison, *, targets: int, interval: int, seconds: float
) -> Generator[str, None, float | None]:
    """Probe ``targets`` once per ``interval`` seconds for ``seconds``, by both if both are installed; yield the cost.

    Returns the ratio, None if blackbox_exporter and Prometheus are not installed.
    """
    scheme = comparison.scheme
    os.environ[environment_variable("prefer_x25519")] = str(comparison.x25519).lower()
    yield f"{comparison.name}: {targets} targets every {interval} s, {targets / interval:.0f} probes/s, for {seconds:.0f} s"
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="peyvand-bench-")))
        server = ends.enter_context(serving(folder, pairs=3))
        ours, theirs = (pair.secure if scheme == "tls" else pair.plain for pair in server.ports[:2])
        urls = [f"{'https' if scheme == 'tls' else 'http'}://127.0.0.1:{port}" for port in (ours, theirs)]
        control = f"http://127.0.0.1:{server.ports[2].plain}/"
        register = write_register(folder / "register", urls[0], control, server.authority, targets, interval)
        limit = f"{_START_SECONDS + _WARM_SECONDS + 2 * seconds:.0f}s"
        system = System(folder / "data", ("--for", limit), register=register)
        system.start()
        ends.callback(system.stop)
        pids: dict[str, int] = {}
        if incumbent.available():
            paths = [f"{urls[1]}/{number}" for number in range(targets)]
            pids |= ends.enter_context(
                incumbent.probing(folder, paths, interval, server.authority, x25519=comparison.x25519)
            )
        system.until(lambda: _has_index(system), what="the first index", seconds=_START_SECONDS)
        pids |= {name: pid for name, pid in system.children().items() if name in _PARTS}
        _scrape_until(system, time.monotonic() + _WARM_SECONDS)
        before = _used(system, pids, server)
        _scrape_until(system, time.monotonic() + seconds)
        after = _used(system, pids, server)
        peaks = {name: peak_mib(pid) for name, pid in pids.items()}
        return (yield from _told(comparison.most, before, after, peaks, (ours, theirs)))


def _has_index(system: System) -> bool:
    return "\npeyvand_index_lower{" in system.page("scorer", "/metrics")[1]


def _used(system: System, pids: Mapping[str, int], server: Targets) -> _Used:
    return _Used(
        time.monotonic(),
        busy_seconds(),
        {name: cpu_seconds(pid) for name, pid in pids.items()},
        server.answered(),
        scrape(system.metrics("prober")),
    )


def _scrape_until(system: System, end: float) -> None:
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _SCRAPE_SECONDS))
        for name in ("prober", "scorer"):
            scrape(system.metrics(name))


def _told(
    most: float, before: _Used, after: _Used, peaks: Mapping[str, float], ports: tuple[int, int]
) -> Generator[str, None, float | None]:
    took = after.time - before.time
    probes = [after.answered[port] - before.answered[port] for port in ports]
    costs: list[float] = []
    groups = [_PARTS, ("blackbox_exporter", "prometheus")]
    yield f"  {'process':<18}{'µs CPU per probe':>18}{'peak RSS, MiB':>15}"
    for count, group in zip(probes, groups, strict=True):
        if not count:
            yield "  blackbox_exporter and Prometheus are not installed: apt-get install prometheus-blackbox-exporter prometheus"
            continue
        each = {name: (after.cpu[name] - before.cpu[name]) / count * 1e6 for name in group}
        costs.append(sum(each.values()))
        for name, cost in each.items():
            yield f"  {name:<18}{cost:>18.0f}{peaks[name]:>15.0f}"
        yield f"  {'together':<18}{costs[-1]:>18.0f}{sum(peaks[name] for name in group):>15.0f}   {count / took:.1f} probes/s"
    reasons = since(before.prober, after.prober, "peyvand_probe_reasons_total", "reason")
    yield "  ours by reason: " + ", ".join(f"{name} {count:.0f}" for name, count in reasons.items() if count)
    lags = since(before.prober, after.prober, "peyvand_probe_schedule_lag_seconds_bucket", "le")
    yield f"  our probes start late: 50 % within {quantile_bound(lags, 0.5)} s, 99 % within {quantile_bound(lags, 0.99)} s"
    others = after.busy - before.busy - sum(after.cpu[name] - before.cpu[name] for name in after.cpu)
    yield f"  all else on this machine, the server included: {others / took:.0%} of a core"
    if len(costs) < 2:
        return None
    ratio = costs[0] / costs[1]
    yield f"  ratio {ratio:.3f}, aim {most:.2f}: {'met' if ratio <= most else 'MISSED'}"
    return ratio


def compare_all(targets: int, interval: int, seconds: float, rounds: int) -> Iterator[str]:
    """Compare over plain HTTP and over fresh TLS connections, in alternation, and yield the median of each."""
    yield machine()
    ratios: dict[str, list[float]] = {comparison.name: [] for comparison in _COMPARISONS}
    for _ in range(rounds):
        for comparison in _COMPARISONS:
            ratio = yield from _compare(comparison, targets=targets, interval=interval, seconds=seconds)
            if ratio is not None:
                ratios[comparison.name].append(ratio)
    for name, found in ratios.items():
        if len(found) > 1:
            yield f"{name}: ratio {median(found):.3f} in the median of {len(found)}, from {min(found):.3f} to {max(found):.3f}"
