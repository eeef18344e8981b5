"""``python -m tests.bench``: what probing and the whole pipeline cost on this machine. Stops by itself."""

from __future__ import annotations

import argparse

from tests.bench import bench_probe
from tests.bench.national import national


def main() -> None:
    """Run the benchmark that is named, or all of them."""
    parser = argparse.ArgumentParser("python -m tests.bench", description=__doc__)
    parser.add_argument("benchmark", nargs="?", choices=("probe", "national"), help="which one (default: all)")
    parser.add_argument("--minutes", type=float, default=3.0, help="national: how long to measure (default: 3)")
    parser.add_argument("--slot", type=int, default=60, help="national: seconds of a slot, so the pace (default: 60)")
    arguments, rest = parser.parse_known_args()
    if rest and arguments.benchmark != "probe":
        parser.error(f"unrecognised: {' '.join(rest)}")
    if arguments.benchmark != "national":
        bench_probe.main(rest)
    if arguments.benchmark != "probe":
        for line in national(arguments.minutes, arguments.slot):
            print(line, flush=True)  # noqa: T201  # a person reads this


if __name__ == "__main__":
    main()
