"""Levels 0 to 4 of services equal those computed by hand and by brute force."""

from __future__ import annotations

from hypothesis import given, settings

from services.core.model.indicator import IndicatorKind
from tests.support.cases.api.indicator_answers import indicator_of, snapshot
from tests.support.cases.indicator import Case, cases
from tests.support.oracles import index as oracle
from tests.unit.indicator.index.test_index import a_case, measure


def level(case):
    """Return the level of service s over the case's window."""
    return indicator_of(snapshot(case), IndicatorKind.SERVICE, "s").level


def test_each_level_is_reached_by_what_was_seen():
    """The levels are: isolated, some link works, all connect, E at 95 % and at 99 %. Unseen slots count against E."""
    case = a_case([("k", "s", "b", "always", 1), ("l", "s", "c", None, 1)], hours=100)
    assert level(case) == 0
    measure(case, "k", [5] + [0] * 99)
    assert level(case) == 1  # l is on paper
    case = a_case([("k", "s", "b", "always", 1), ("l", "s", "c", "always", 1)], hours=100)
    measure(case, "k", [5] * 100)
    measure(case, "l", [1] + [None] * 99)
    assert level(case) == 2
    for unseen, expected in ((6, 2), (5, 3), (2, 3), (1, 4), (0, 4)):
        case.measurements = [row for row in case.measurements if row[1] == "k"]
        measure(case, "l", [5] * (100 - unseen))
        assert level(case) == expected, unseen
    assert indicator_of(snapshot(case), IndicatorKind.GOVERNMENT, "gov").level is None


def test_connecting_everywhere_is_not_enough():
    """A service in which no link ever works is isolated, however well all links connect."""
    case = a_case([("k", "s", "b", "always", 1)])
    measure(case, "k", [3] * 10)
    assert level(case) == 0


@settings(max_examples=60)
@given(cases())
def test_levels_equal_a_brute_force(case: Case) -> None:
    """Every service's level equals the one computed slot by slot. Services that are not applicable have none."""
    verdicts = oracle.verdicts(case.register, case.measurements)
    slots = oracle.window(case.register, case.days, case.end_slot)
    found = oracle._Index(case.register, verdicts, slots)
    shown = snapshot(case)
    for service in case.register["services"]:
        stages = [found.stages[link["id"]] for link in found.in_force if link["service"] == service["id"]]
        one = shown.indicator(IndicatorKind.SERVICE, service["id"], case.days)
        if one is None:
            continue
        total, up, _ = found.joint(service["id"])
        steps = [
            any(5 in row for row in stages),
            all(any(stage is not None and stage > 0 for stage in row) for row in stages),
            up >= 0.95 * total - 1e-9,
            up >= 0.99 * total - 1e-9,
        ]
        assert one.level == next((at for at, step in enumerate(steps) if not step), 4)
