"""docs/traffic.md, from what the trial found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from tests.calibration.page import machine
from tests.calibration.traffic.figures import (
    ALLOWED,
    BUDGET,
    ENOUGH,
    ENOUGH_WITHOUT_FLOOR,
    WITHIN,
    Causes,
    Figure,
    Found,
    Rate,
)
from tests.calibration.traffic.scenarios import FAULTS, SCENARIOS, SEED, TRAINING_WEEKS, WHOLE, Extent
from tests.calibration.traffic.simple import SIMPLE

__all__ = ["rate_line", "traffic_page"]

_HEAD = """\
# Findings on simulated traffic

Written by `{command}` in {minutes:.0f} minutes, {cpu:.0f} of processor time; nobody edits this page.
{machine}.
Seed {seed}.

What is [found in exchanges](method.md#12-findings-in-exchanges) is tried on made-up governments: {flows:,} flows of 2 exchanges a day to 200 a second between
50 consumers and 75 services, hour by hour. Scenarios, faults and seeds are older than the method, and so are three simple detectors
that see the same counts:

* *mean ± 3σ* of the same hour of the last eight weeks, from three weeks on;
* *X-Road Metrics*: the rule of its analyser, |z| with a probability below .05, by hour and weekday and by day, after three months; hours without
  exchanges are not seen, and what it says comes ten days later;
* *median and MAD*: median ± 3 median absolute deviations of the last eight weeks, at least those of a Poisson count.

Simple detectors judge volumes only, ours every kind of finding. Their alarms on a flow less than a day apart count once."""


def rate_line(rate: Rate) -> str:
    """One scenario, for a person who waits."""
    others = ", ".join(f"{name} {rate.rate[name]:,.0f}" for name in SIMPLE)
    kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(rate.by_kind.items())) or "none"
    return f"{rate.scenario:15} {rate.rate['ours']:.2f} a week ({rate.low['ours']:.2f}-{rate.high['ours']:.2f}): {kinds}; {others}  {_verdict(rate)}"


def _verdict(rate: Rate) -> str:
    return "ok" if rate.high["ours"] < ALLOWED * BUDGET else "FAILS"


def traffic_page(
    rates: Sequence[Rate],
    found: Mapping[str, Mapping[str, Sequence[Found]]],
    causes: Mapping[str, Sequence[Causes]],
    extent: Extent,
    command: str,
    seconds: float,
    cpu: float,
) -> Iterator[str]:
    """Yield the lines of the page."""
    yield _HEAD.format(
        command=command, minutes=seconds / 60, cpu=cpu / 60, machine=machine(), seed=SEED, flows=extent.flows
    )
    if extent != WHOLE:
        yield ""
        yield "**A first look** (`--quick`), not the whole trial: fewer flows, weeks and faults than the figures below ask for."
    yield ""
    yield "## False findings"
    yield f"A week, of the whole government, where nothing is wrong. The budget is {BUDGET:.0f}; the upper bound must be below {ALLOWED}. The interval of"
    yield f"95 % is the wider of a Poisson count's and that of weeks as they differ. After {TRAINING_WEEKS} weeks of training."
    yield ""
    yield f"| scenario | flow-weeks | ours | interval | | {' | '.join(SIMPLE)} |"
    yield f"|---|---|---|---|---|{'---|' * len(SIMPLE)}"
    for rate in rates:
        others = " | ".join(f"{rate.rate[name]:,.0f}" for name in SIMPLE)
        yield (
            f"| {rate.scenario} | {rate.flow_weeks:,} | {rate.rate['ours']:.2f} | {rate.low['ours']:.2f} to {rate.high['ours']:.2f} | "
            f"{_verdict(rate)} | {others} |"
        )
    yield ""
    yield "Ours by kind: " + _kinds(rates) + "."
    yield ""
    yield "## Faults of one flow"
    yield f"Each in a small government of eight flows, among {extent.islands} of them. Cases count in which the flow is expected to exchange {ENOUGH:.0f} times the"
    yield f"floor in the eight weeks after the fault, or {ENOUGH_WITHOUT_FLOOR:,.0f} where no floor is stated. The *floor* is how many expected exchanges"
    yield "any method needs with power .95 at 10⁻⁶, by Poisson counts. *Within* is the share found before the multiple of the floor that is asked"
    yield f"for had passed ({', '.join(f'{name}: {multiple}' for name, multiple in WITHIN.items())}), or in the step in which it did; *delay* is"
    yield "the median, in multiples of the floor and in hours. *Change point* is the median distance of the stated beginning from the true one, in"
    yield "steps. *Alone*: one finding was made of it, and no other in its government. In brackets are intervals of 95 %: Wilson's of shares, and"
    yield "of medians those of a binomial count."
    for scenario, by_detector in found.items():
        yield ""
        yield f"### {scenario}"
        yield "| fault | detector | cases | found | within | delay, floors | delay, hours | change point | alone |"
        yield "|---|---|---|---|---|---|---|---|---|"
        for fault in FAULTS:
            for who, rows in by_detector.items():
                for one in rows:
                    if one.fault == fault and one.cases:
                        yield _found_line(who, one)
    yield ""
    yield "A simple detector that alarms all the time finds every fault soon, and its reader has no way to know. *Within* is asked to be .95:"
    yield "where all hours stray by more than counts do, as in *country*, no method reaches it ([ADR 119](adr/0119-a-finding-ends-by-its-flows.md))."
    yield ""
    yield "## Faults of a cause"
    yield f"All flows of a service, provider, consumer or bus stop, fall by half, or fail by 20 points more, in one of {extent.cause_islands} governments of 40 flows. *One*:"
    yield "one finding was made of it in the end; *from the first*: none was withdrawn for a wider one. *Right*: it was charged to"
    yield "what had failed, not to something else with the same flows."
    for scenario, of_scenario in causes.items():
        yield ""
        yield f"### {scenario}"
        yield "| cause | cases | found | one | from the first | right |"
        yield "|---|---|---|---|---|---|"
        yield from [
            f"| {one.cause} | {one.cases} | {' | '.join(map(_share, (one.found, one.one, one.one_at_first, one.right)))} |"
            for one in of_scenario
        ]
    yield ""
    yield "## Scenarios"
    yield "Their parameters are in tests/calibration/traffic/scenarios.py."
    yield ""
    yield from [f"* {one.name}: {one.about}{' (known weak spot)' if one.weak else ''}." for one in SCENARIOS]


def _kinds(rates: Sequence[Rate]) -> str:
    total: dict[str, int] = {}
    for rate in rates:
        for kind, number in rate.by_kind.items():
            total[kind] = total.get(kind, 0) + number
    return ", ".join(f"{kind} {number}" for kind, number in sorted(total.items())) or "none"


def _found_line(who: str, one: Found) -> str:
    off, alone = (_median(one.off), _share(one.alone)) if who == "ours" else ("", "")
    return (
        f"| {one.fault.name} | {who} | {one.cases} | {_share(one.found)} | {_share(one.within)} | "
        f"{_median(one.multiple)} | {_median(one.hours)} | {off} | {alone} |"
    )


def _share(share: Figure) -> str:
    return _with_interval(share, lambda value: "1" if value == 1 else f"{value:.3f}".removeprefix("0"))


def _median(median: Figure) -> str:
    return _with_interval(median, _number)


def _with_interval(figure: Figure, write: Callable[[float], str]) -> str:
    if np.isnan(figure.value):
        return ""
    interval = "" if np.isnan(figure.low) else f" ({write(figure.low)} to {write(figure.high)})"
    return f"{write(figure.value)}{interval}"


def _number(value: float) -> str:
    return "never" if np.isinf(value) else f"{value:.2g}" if value < 10 else f"{value:,.0f}"
