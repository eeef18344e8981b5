"""Run the whole pipeline under a given load, and watch its steady state from outside."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench.loads.register import write_register
from tests.bench.loads.second_prober import second_prober
from tests.bench.meters.dumped import Dumped, dumped
from tests.bench.meters.process import busy_seconds, cpu_seconds, give_way, peak_mib, resident_mib, waiting_for
from tests.bench.meters.scrape import Samples, scrape, since
from tests.bench.targets.target import Targets
from tests.support.system import System

__all__ = ["Load", "Moment", "Run", "run"]

_START_SECONDS = 300.0
_WARM_SLOTS = 5  # every target is prepared at its first probe, which under overload takes some slots
_SCRAPE_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_PARTS = ("nats-server", "scorer")


@dataclass(frozen=True, slots=True)
class Load:
    """The load on the pipeline. ``scheme`` is http or tls; ``slot`` and ``timeout`` are in seconds."""

    scheme: str
    targets: int
    slot: int
    timeout: int
    probers: int = 1

    @property
    def rate(self) -> float:
        """The probes per second that are asked for."""
        return self.targets / self.slot


@dataclass(frozen=True, slots=True)
class Moment:
    """Use and counts up to one moment: seconds of CPU by the machine (``busy``) and by process, MiB by process."""

    time: float
    busy: float
    cpu: Mapping[str, float]
    resident: Mapping[str, float]
    probers: Sequence[Samples]
    scorer: Samples

    def counted(self, later: Moment, name: str, label: str = "") -> dict[str, float]:
        """Return what all probers together counted from here to a later moment, by the value of one label."""
        counts: dict[str, float] = {}
        for before, after in zip(self.probers, later.probers, strict=True):
            for value, count in since(before, after, name, label).items():
                counts[value] = counts.get(value, 0.0) + count
        return counts


@dataclass(frozen=True, slots=True)
class Run:
    """One steady state from ``before`` to ``after``.

    ``peaks`` is by process, in MiB. ``inflight`` is the most probes of one prober seen in flight, ``waiting`` the most
    connections seen that the server had not accepted yet. The server ``answered`` so many requests. ``measured``
    has the measurements of whole slots.
    """

    load: Load
    before: Moment
    after: Moment
    peaks: Mapping[str, float]
    inflight: float
    waiting: int
    answered: int
    measured: Dumped

    @property
    def took(self) -> float:
        """Seconds it lasted."""
        return self.after.time - self.before.time

    @property
    def taken(self) -> float:
        """Measurements that the scorer ingested."""
        return sum(since(self.before.scorer, self.after.scorer, "peyvand_measurements_total").values())

    @property
    def scorer_us(self) -> float:
        """CPU of the scorer for a measurement, in µs, publishing included."""
        return (self.after.cpu["scorer"] - self.before.cpu["scorer"]) / max(self.taken, 1.0) * 1e6


def run(load: Load, seconds: float, server: Targets) -> Run:
    """Bring the pipeline into steady state under this load, and watch it for whole slots that take ``seconds`` or more.

    It probes the first pair of ports of the server. The second answers control probes.
    """
    slots = max(3, -(-int(seconds) // load.slot))
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="peyvand-bench-")))
        port = server.ports[0].secure if load.scheme == "tls" else server.ports[0].plain
        register = write_register(
            folder / "register",
            f"{'https' if load.scheme == 'tls' else 'http'}://127.0.0.1:{port}",
            f"http://127.0.0.1:{server.ports[1].plain}/",
            server.authority,
            load.targets,
            load.slot,
            timeout_seconds=load.timeout,
        )
        limit = 2 * _START_SECONDS + (_WARM_SLOTS + slots) * load.slot
        system = System(folder / "data", ("--for", f"{limit:.0f}s"), register=register)
        system.start()
        ends.callback(system.stop)
        system.until(lambda: _scored(system), what="the first measurement was scored", seconds=_START_SECONDS)
        children = system.children()
        pids, wheres = {"prober": children["prober"]}, [system.metrics("prober")]
        if load.probers > 1:
            second = ends.enter_context(second_prober(system, folder / "second"))
            pids["second prober"] = second.pid
            wheres.append(second.metrics)
        pids |= {name: children[name] for name in _PARTS}
        for pid in pids.values():
            give_way(pid)  # a target on another machine would not have to share its CPU with us
        pids["server"] = server.pid
        _follow(system, wheres, port, time.monotonic() + _WARM_SLOTS * load.slot)
        answered, before = server.answered()[port], _moment(system, wheres, pids)
        first = (int(time.time()) // load.slot + 1) * load.slot
        inflight, waiting = _follow(system, wheres, port, before.time + slots * load.slot)
        after, answered = _moment(system, wheres, pids), server.answered()[port] - answered
        peaks = {name: peak_mib(pid) for name, pid in pids.items()}
        # Measurements of the last slot may still be on their way.
        measured = dumped(system, first, first + (slots - 2) * load.slot, load.slot, load.timeout)
    return Run(load, before, after, peaks, inflight, waiting, answered, measured)


def _scored(system: System) -> bool:
    lines = system.page("scorer", "/metrics")[1].splitlines()
    return any(float(line.split()[-1]) for line in lines if line.startswith("peyvand_measurements_total"))


def _moment(system: System, wheres: Sequence[str], pids: Mapping[str, int]) -> Moment:
    return Moment(
        time.monotonic(),
        busy_seconds(),
        {name: cpu_seconds(pid) for name, pid in pids.items()},
        {name: resident_mib(pid) for name, pid in pids.items()},
        [scrape(where) for where in wheres],
        scrape(system.metrics("scorer")),
    )


def _follow(system: System, wheres: Sequence[str], port: int, end: float) -> tuple[float, int]:
    """Scrape until ``end``.

    Return the most probes of one prober in flight at once, and the most connections to the port not accepted yet.
    """
    inflight, waiting = 0.0, 0
    scraped = time.monotonic()
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK_SECONDS))
        waiting = max(waiting, waiting_for(port))
        if time.monotonic() - scraped < _SCRAPE_SECONDS:
            continue
        scraped = time.monotonic()
        under_way = [sum(since({}, scrape(where), "peyvand_probe_inflight").values()) for where in wheres]
        inflight = max(inflight, *under_way)
        scrape(system.metrics("scorer"))
    return inflight, waiting
