"""Measure what probing costs as links grow: prober, nats-server and scorer, each link probed every five minutes.

A few targets are probed at the rate of so many links, since it is the rate that costs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.bench.growth.figures import PROBED_SECONDS
from tests.bench.growth.points import point
from tests.bench.loads.load import Load, run
from tests.bench.meters.process import machine
from tests.bench.targets.target import serving

__all__ = ["SIZES", "probing"]

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
"""Numbers of links."""

_SLOT: Final = 10
_TIMEOUT: Final = 1
_MOST: Final = {"http": 5_000, "tls": 1_000}
"""Probes per second that one prober does where the server shares its two cores."""
_PARTS: Final = ("prober", "nats-server", "scorer")


def probing(sizes: Sequence[int], seconds: float) -> Iterator[str]:
    """Measure the rate of each number of links for ``seconds``, over plain HTTP and fresh TLS."""
    yield machine()
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder, serving(Path(folder), pairs=2) as server:
        yield f"{'links':>21}{'probes/s':>10}" + "".join(f"{name + ', %':>16}" for name in (*_PARTS, "together"))
        for scheme, most in _MOST.items():
            for links in sizes:
                rate = links / PROBED_SECONDS
                if rate > most:
                    yield f"{scheme:<5}{links:>16,}{rate:>10,.0f}   more than one prober does beside its target"
                    continue
                done = run(Load(scheme, round(rate * _SLOT), _SLOT, _TIMEOUT), seconds, server)
                used = [(done.after.cpu[name] - done.before.cpu[name]) / done.took * 100 for name in _PARTS]
                each = "".join(f"{value:>16.2f}" for value in (*used, sum(used)))
                yield f"{scheme:<5}{links:>16,}{done.answered / done.took:>10.1f}{each}"
                yield point(f"probing_{scheme}", links, sum(used))
