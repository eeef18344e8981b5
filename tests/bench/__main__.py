"""``python -m tests.bench``: what probing, the whole pipeline and exchange logs cost on this machine. Stops by itself."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterable

from tests.bench import bench_probe
from tests.bench.adoption import adoption
from tests.bench.api import api
from tests.bench.archive import PARTS, archive
from tests.bench.console import console
from tests.bench.exchanges.exchange import exchange
from tests.bench.exchanges.following import following
from tests.bench.findings import findings
from tests.bench.growth.charts import draw
from tests.bench.growth.limits import limits
from tests.bench.growth.points import FOLDER, with_points
from tests.bench.national import national
from tests.bench.passages import passages
from tests.bench.pipeline import compare_all
from tests.bench.probing import SIZES, probing
from tests.bench.publishing import publishing
from tests.bench.saturation import saturation
from tests.bench.scale import scale
from tests.bench.sensitivity import sensitivity
from tests.bench.start import start
from tests.bench.structure import measure_structure
from tests.bench.visible import visible

BENCHMARKS: dict[str, Callable[[argparse.Namespace], Iterable[str]]] = {
    "pipeline": lambda asked: compare_all(asked.targets, asked.interval, asked.seconds, asked.rounds),
    "saturation": lambda asked: saturation(asked.seconds, asked.rate or 1000, asked.inflight, asked.scheme),
    "probing": lambda asked: probing([asked.links] if asked.links else SIZES, asked.seconds),
    "structure": lambda asked: measure_structure(asked.agencies, asked.links or 1_000_000),
    "national": lambda asked: national(asked.minutes, asked.slot),
    "scale": lambda asked: scale(asked.links, asked.days),
    "publishing": lambda asked: publishing(asked.links or 100_000),
    "api": lambda asked: api(asked.links or 10_000),
    "console": lambda asked: console(asked.links or 10_000),
    "visible": lambda asked: visible(asked.links or 10_000),
    "archive": lambda asked: archive(asked.links or 10_000, asked.days or 28, asked.parts),
    "sensitivity": lambda asked: sensitivity(asked.links or 10_000, asked.days or 28, asked.slot),
    "exchange": lambda asked: exchange(asked.records),
    "following": lambda asked: following(asked.rate or 600, asked.seconds),
    "findings": lambda asked: findings(asked.flows),
    "passages": lambda asked: passages(asked.seconds),
    "adoption": lambda asked: adoption(asked.links or 10_000),
    "start": lambda _: start(),
    "limits": lambda _: limits(),
    "growth": lambda _: draw(FOLDER),
}
APART = ("scale", "publishing", "api", "console", "visible", "archive", "sensitivity")  # they need gigabytes
DRAWS = "growth"  # measures nothing


def main() -> None:
    """Run the named benchmark, or all but those in APART."""
    parser = argparse.ArgumentParser("python -m tests.bench", description=__doc__)
    parser.add_argument(
        "benchmark",
        nargs="?",
        choices=("probe", *BENCHMARKS),
        help=f"which one (default: all but {', '.join(APART)})",
    )
    parser.add_argument("--minutes", type=float, default=3.0, help="national: how long to measure (default: 3)")
    parser.add_argument("--slot", type=int, default=60, help="national, sensitivity: seconds of a slot (default: 60)")
    parser.add_argument("--targets", type=int, default=2000, help="pipeline: how many (default: 2000)")
    parser.add_argument("--interval", type=int, default=10, help="pipeline: seconds between probes (default: 10)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=60.0,
        help="pipeline, probing, saturation, following, passages: how long to measure (default: 60)",
    )
    parser.add_argument("--rounds", type=int, default=1, help="pipeline: how often to compare (default: 1)")
    parser.add_argument(
        "--rate",
        type=int,
        help="saturation: probes/s of its last part (default: 1000); following: records/s (default: 600)",
    )
    parser.add_argument("--agencies", type=int, default=10_000, help="structure: how many (default: 10000)")
    parser.add_argument(
        "--links",
        type=int,
        help="structure, sensitivity, scale, probing, publishing, api, archive, console, visible: how many (default:"
        " 1000000, 10000; scale: 10000, 100000 and 1000000 in turn; probing: 1000 as well; publishing: 100000; api,"
        " archive, console, visible: 10000)",
    )
    parser.add_argument("--flows", type=int, default=10_000, help="findings: how many (default: 10000)")
    parser.add_argument("--inflight", type=int, help="saturation: probes under way at once before a prober sheds")
    parser.add_argument("--scheme", choices=("http", "tls"), help="saturation: only over this (default: both)")
    parser.add_argument("--days", type=int, help="sensitivity, archive, scale: how many (default: 28; scale: 90)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="archive: some of it (default: all)")
    parser.add_argument(
        "--records",
        type=int,
        nargs="+",
        default=[1_000_000],
        help="exchange: how many, for each log (default: 1000000)",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep points of how cost grows in docs/performance, and draw its pictures",
    )
    arguments, rest = parser.parse_known_args()
    if rest and arguments.benchmark != "probe":
        parser.error(f"unrecognised: {' '.join(rest)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that started processes end
    if arguments.benchmark in {None, "probe"}:
        bench_probe.main(rest)
    for name, figures in BENCHMARKS.items():
        if arguments.benchmark == name or (arguments.benchmark is None and name not in (*APART, DRAWS)):
            _print(with_points(figures(arguments), folder=FOLDER if arguments.keep else None))
    if arguments.keep and arguments.benchmark != DRAWS:
        _print(draw(FOLDER))


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)  # noqa: T201  # a person reads this


if __name__ == "__main__":
    main()
