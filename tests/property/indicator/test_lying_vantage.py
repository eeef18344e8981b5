"""How far the reports of one vantage can move an index: invariant 15 of docs/method.md §8."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given

from tests.support.cases.api.indicator_answers import Measured, index_of
from tests.support.cases.indicator import SLACK, VANTAGES, Case, cases, examples
from tests.support.oracles import index as oracle

LIAR, HONEST, OTHER = VANTAGES


def _with_reports(case: Case, stage_of: Callable[[oracle.Measurement], int | None]) -> Measured:
    """Return the indexes if the liar reports this stage for every target in every slot, and the others what they saw."""
    seconds = case.register["slot_seconds"]
    targets = [(False, link["id"]) for link in case.register["links"]]
    targets += [(True, one["id"]) for one in case.register["endpoints"]]
    changed = case.copy()
    changed.measurements = [row for row in case.measurements if row[2] != LIAR]
    for target in targets:
        for slot in case.slots:
            row = (*target, LIAR, slot, slot * seconds * 10**6, None)
            changed.measurements.append((*row[:5], stage_of(row)))
    return index_of(changed)


def _lies(case: Case) -> Measured:
    return _with_reports(case, lambda _: case.rng.choice([None, 0, 1, 2, 3, 4, 5]))


def _honest(case: Case, *vantages: str) -> Measured:
    """Return the indexes by what these vantages saw."""
    some = case.copy()
    some.measurements = [row for row in case.measurements if row[2] in vantages]
    return index_of(some)


@examples
@given(cases())
def test_invariant_15_bounds_of_what_one_vantage_reports(case: Case) -> None:
    """Whatever one vantage reports, bounds stay within those by the lowest stage everywhere and by OK everywhere."""
    lowest, found, highest = _with_reports(case, lambda _: 0), _lies(case), _with_reports(case, lambda _: 5)
    for key, one in found.items():
        assert lowest[key]["lower"] - SLACK <= one["lower"], key
        assert one["upper"] <= highest[key]["upper"] + SLACK, key


@examples
@given(cases(whole=True))
def test_invariant_15_beside_another_vantage_nothing_is_raised(case: Case) -> None:
    """Beside one vantage that knows every slot, no report raises an index, since OK needs a strict majority."""
    for link in case.register["links"]:
        link["vantages"] = (LIAR, HONEST)
    case.register["endpoints"][1]["vantages"] = (HONEST,)
    case.measurements = [row for row in case.measurements if row[2] != OTHER]
    truth = _honest(case, HONEST)
    for key, one in _lies(case).items():
        assert one["point"] <= truth[key]["point"] + SLACK, key


@examples
@given(cases(whole=True))
def test_invariant_15_beside_two_vantages_only_what_they_dispute_moves(case: Case) -> None:
    """Beside two vantages that know every slot, an index stays between those of the lower and the higher stage of both,
    so it does not move at all where they agree.
    """
    for link in case.register["links"]:
        link["vantages"] = ()
    case.register["endpoints"][1]["vantages"] = ()
    found = _lies(case)
    lower = _honest(case, HONEST, OTHER)
    higher = _with_reports(case, lambda _: 5)
    for key, one in found.items():
        assert lower[key]["point"] - SLACK <= one["point"] <= higher[key]["point"] + SLACK, key
    agreed = case.copy()
    agreed.measurements = [row for row in case.measurements if row[2] == HONEST]
    agreed.measurements += [(*row[:2], OTHER, *row[3:]) for row in agreed.measurements]
    truth = _honest(agreed, HONEST)
    for key, one in _lies(agreed).items():
        assert abs(one["point"] - truth[key]["point"]) <= SLACK, key
