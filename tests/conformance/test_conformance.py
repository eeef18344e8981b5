"""Behaviours 1-30 of docs/probing.md, each case put to our prober and to blackbox_exporter where that is installed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.conformance.blackbox import Blackbox
from tests.conformance.case import BEHAVIOURS, CONFIG_ERROR, NOT_ASKED, Case, Place, Seen
from tests.conformance.ours import ask_ours
from tests.conformance.suite import CASES
from tests.conformance.table import OURS, THEIRS

_ASKED = [case for case in CASES if case.theirs is not NOT_ASKED]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_our_verdict(case: Case, place: Place, record_property: Callable[[str, object], None]) -> None:
    """Our prober gives the expected verdict and facts."""
    async with case.scene(place) as stage:
        seen = await ask_ours(case, stage, place)
    record_property(OURS, (case.id, seen.verdict.value, "" if seen.verdict is CONFIG_ERROR else seen.why))
    if case.reason is None:
        assert seen.verdict is CONFIG_ERROR, seen.why
    else:
        assert seen.why == case.reason.name
    _hold(seen, {**case.facts, **case.our_facts})


@pytest.mark.parametrize("case", _ASKED, ids=lambda case: case.id)
async def test_their_verdict(
    case: Case, place: Place, blackbox: Blackbox, record_property: Callable[[str, object], None]
) -> None:
    """blackbox_exporter gives the verdict and facts that the suite expects of it."""
    async with case.scene(place) as stage:
        seen = await blackbox.ask(case, stage)
    record_property(THEIRS, (case.id, seen.verdict.value, ""))
    assert seen.verdict is case.theirs, f"{blackbox.version}\n{seen.why}"
    _hold(seen, {**case.facts, **case.their_facts})


def _hold(seen: Seen, expected: dict[str, object]) -> None:
    assert {name: seen.facts.get(name) for name in expected} == expected, seen.why


def test_every_behaviour_has_a_case() -> None:
    """Each behaviour that users of blackbox_exporter rely on has a case, and the names of cases are unique."""
    assert {case.number for case in CASES} == set(BEHAVIOURS)
    assert [name for name, times in Counter(case.id for case in CASES).items() if times > 1] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_difference_has_a_reason(case: Case) -> None:
    """A case gives a reason exactly if the probers are expected to differ."""
    assert bool(case.differs) is not case.same
