from __future__ import annotations

from dataclasses import astuple
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from services.core.model.indicator import IndicatorKind, Losses, StrictShare
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index.index import compute_indicators
from services.indicator.method_version import METHOD_VERSION
from services.indicator.register_arrays import RegisterArrays
from tests.support.cases.api.indicator_answers import indicator_of, register_of, snapshot
from tests.support.cases.indicator import Case

HOUR = 3600
FIRST = int(datetime(2024, 5, 13, tzinfo=ZoneInfo("UTC")).timestamp()) // HOUR


def a_case(links, *, services=(("s", "a", 1), ("t", "b", 1)), hours=10):
    register = {
        "government": "gov",
        "timezone": "UTC",
        "epoch": FIRST * HOUR,
        "slot_seconds": HOUR,
        "threshold": Fraction(4, 5),
        "agencies": [{"id": one, "sector": "x" if one == "a" else "y"} for one in "abc"],
        "services": [{"id": one, "agency": agency, "weight": weight} for one, agency, weight in services],
        "links": [
            {
                "id": name,
                "service": service,
                "provider": provider,
                "required_from": None,
                "required_until": None,
                "live_from": live,
                "vantages": (),
                "weight": weight,
            }
            for name, service, provider, live, weight in links
        ],
        "endpoints": [{"id": "portal", "vantages": ()}],
    }
    return Case(register=register, measurements=[], days=7, end_slot=FIRST + hours)


def measure(case, target, stages, *, endpoint=False):
    """Add one stage per slot from the first on. None leaves the slot unmeasured."""
    case.measurements += [
        (endpoint, target, "north", FIRST + hour, (FIRST + hour) * HOUR * 10**6, stage)
        for hour, stage in enumerate(stages)
        if stage is not None
    ]


def test_a_worked_example():
    """Every number for two services, with one link on paper and one silent, equals that computed by hand."""
    case = a_case(
        [
            ("k", "s", "b", "always", 1),
            ("l", "s", "c", None, 1),
            ("m", "t", "c", "always", 3),
            ("n", "t", "a", "always", 1),
        ]
    )
    measure(case, "k", [5] * 8 + [3, 0])
    measure(case, "m", [5] * 6 + [1, 1] + [None, None])
    found = snapshot(case)
    government = indicator_of(found, IndicatorKind.GOVERNMENT, "gov")
    # ω: k ½, l ½, m ¾, n ¼. q̂: k .8, l 0, m .75, n is imputed from t: .75.
    assert government.lower == pytest.approx((0.5 * 0.8 + 0.75 * 0.6) / 2)
    assert government.known_share == pytest.approx((0.5 + 0.5 + 0.75 * 0.8) / 2)
    assert government.upper == pytest.approx(government.lower + 1 - government.known_share)
    assert government.point == pytest.approx((0.5 * 0.8 + 0.75) / 2)
    assert astuple(government.losses) == pytest.approx(
        astuple(
            Losses(
                not_connected=(0.5 * 0.1 + 0.5) / 2,
                not_answered=0.25 / 2,
                invalid=0,
                late=0.5 * 0.1 / 2,
                stale=0,
            )
        )
    )
    assert (government.links_required, government.links_known, government.links_absent) == (4, 3, 1)
    # s is down in every slot, because one of its links is on paper. t is known only where m failed.
    assert government.strict is not None
    assert (government.strict.point, government.strict.lower) == (0.0, 0.0)
    assert government.strict.upper == pytest.approx(0.8 / 2)
    assert indicator_of(found, IndicatorKind.SERVICE, "t").strict == StrictShare(point=0.0, lower=0.0, upper=0.8)
    assert indicator_of(found, IndicatorKind.SERVICE, "t").point is None
    assert indicator_of(found, IndicatorKind.CONSUMER, "a").point == pytest.approx(0.4)
    assert indicator_of(found, IndicatorKind.PROVIDER, "c").point == pytest.approx(0.75 * 0.75 / 1.25)
    assert indicator_of(found, IndicatorKind.PROVIDER, "c").strict is None
    assert indicator_of(found, IndicatorKind.SECTOR, "x").point == pytest.approx(0.4)
    assert indicator_of(found, IndicatorKind.LINK, "k").point == pytest.approx(0.8)
    assert indicator_of(found, IndicatorKind.LINK, "l").losses == Losses(not_connected=1.0)
    assert found.links[7].omega.tolist() == pytest.approx([0.25, 0.25, 0.375, 0.125])
    assert found.links[7].share.tolist() == pytest.approx([0.8, 0, 0.75, 0.75])


def test_the_point_is_published_from_the_threshold_on():
    """The point is published at exactly the threshold, but not one slot below it. The bounds are published anyway."""
    # With these weights the sum behind κ rounds to just below .8.
    for known, published in ((8, True), (7, False)):
        case = a_case([("k", "s", "b", "always", 0.1), ("l", "s", "c", "always", 0.7), ("m", "s", "c", "always", 0.2)])
        for link in "klm":
            measure(case, link, [5] * known)
        found = snapshot(case)
        for kind, entity in (
            (IndicatorKind.GOVERNMENT, "gov"),
            (IndicatorKind.SERVICE, "s"),
            (IndicatorKind.LINK, "k"),
        ):
            one = indicator_of(found, kind, entity)
            assert (one.point is not None) == published
            assert one.lower == pytest.approx(known / 10)
            assert one.upper == 1.0


def test_without_any_knowledge_there_is_no_point_and_no_loss():
    """Without measurements, the bounds are 0 and 1, there is no point or loss, and E is unset between 0 and 1."""
    case = a_case([("k", "s", "b", "always", 1)])
    found = snapshot(case)
    for kind, entity in (
        (IndicatorKind.GOVERNMENT, "gov"),
        (IndicatorKind.LINK, "k"),
        (IndicatorKind.ENDPOINT, "portal"),
    ):
        one = indicator_of(found, kind, entity)
        assert (one.point, one.lower, one.upper, one.known_share, one.losses) == (None, 0.0, 1.0, 0.0, Losses())
    assert indicator_of(found, IndicatorKind.GOVERNMENT, "gov").strict == StrictShare(None, 0.0, 1.0)


def test_what_is_not_applicable_has_no_indicator():
    """An agency without services, a service without links, and one with weightless links have no index."""
    case = a_case(
        [("k", "s", "b", "always", 1), ("z", "u", "b", "always", 0)],
        services=[("s", "a", 1), ("t", "b", 1), ("u", "a", 1)],
    )
    measure(case, "z", [5] * 10)
    found = snapshot(case)
    assert found.indicator(IndicatorKind.CONSUMER, "b", 7) is None
    assert found.indicator(IndicatorKind.PROVIDER, "c", 7) is None
    assert found.indicator(IndicatorKind.SERVICE, "t", 7) is None
    assert found.indicator(IndicatorKind.SERVICE, "u", 7) is None
    assert found.indicator(IndicatorKind.SERVICE, "nobody", 7) is None
    # The weightless link still has an index of its own but gives none to its service and agencies.
    assert indicator_of(found, IndicatorKind.LINK, "z").point == 1.0
    assert indicator_of(found, IndicatorKind.GOVERNMENT, "gov").lower == 0.0


def test_before_the_epoch_there_is_no_index():
    """A window without a slot has no indicators at all."""
    case = a_case([("k", "s", "b", "always", 1)], hours=0)
    found = snapshot(case)
    assert [one for kind in IndicatorKind for one in found.rows(kind, 7)] == []


def test_a_weightless_service_has_an_index_and_no_say():
    """A service of weight 0 has an index of its own and counts for nothing above it."""
    case = a_case([("k", "s", "b", "always", 1), ("m", "t", "c", "always", 1)], services=[("s", "a", 1), ("t", "b", 0)])
    measure(case, "k", [5] * 10)
    measure(case, "m", [0] * 10)
    found = snapshot(case)
    assert indicator_of(found, IndicatorKind.SERVICE, "t").point == 0.0
    assert indicator_of(found, IndicatorKind.GOVERNMENT, "gov").point == 1.0
    assert indicator_of(found, IndicatorKind.GOVERNMENT, "gov").strict == StrictShare(1.0, 1.0, 1.0)
    assert found.indicator(IndicatorKind.CONSUMER, "b", 7) is None


def test_endpoints_are_measured_beside_the_index():
    """An endpoint has its own share, bounds and losses, and is part of no other number, even under a link's id."""
    case = a_case([("portal", "s", "b", "always", 1)])
    measure(case, "portal", [5] * 5 + [1] * 4, endpoint=True)
    found = snapshot(case)
    one = indicator_of(found, IndicatorKind.ENDPOINT, "portal")
    assert one.point == pytest.approx(5 / 9)
    assert (one.lower, one.known_share) == (0.5, 0.9)
    assert one.losses.not_answered == pytest.approx(4 / 9)
    assert one.strict is None
    assert indicator_of(found, IndicatorKind.GOVERNMENT, "gov").known_share == 0.0


def test_a_snapshot_says_what_it_was_computed_from():
    """Every row has versions, evidence sequence and the end of the last slot. Rows are in the requested order."""
    case = a_case([("k", "s", "b", "always", 1), ("m", "t", "c", "always", 1)])
    arrays = RegisterArrays.of(register_of(case.register))
    evidence = Evidence(Calendar.of(register_of(case.register).policy))
    found = compute_indicators(FrozenEvidence.of(arrays, evidence, case.end_slot), evidence_sequence=17)
    assert found.windows == (7, 28, 90)
    assert [one.id for one in found.rows(IndicatorKind.LINK, 28)] == ["k", "m"]
    assert [one.id for one in found.rows(IndicatorKind.LINK, 28, ["m", "?", "k"])] == ["m", "k"]
    one = indicator_of(found, IndicatorKind.LINK, "k", 90)
    assert (one.as_of, one.window_days, one.evidence_sequence) == ((FIRST + 10) * HOUR, 90, 17)
    assert (one.register_version, one.probe_version, one.method_version) == ("r" * 64, "p" * 64, METHOD_VERSION)
