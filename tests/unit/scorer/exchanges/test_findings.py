"""Findings from the exchanges of a scorer are the same live and after a restart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.core.codec import decode_columns, encode_measurements
from services.core.model import FindingKind, FindingReview, FindingScope, ProbeView, Review
from services.core.model.exchange import DURATION_BUCKETS, ExchangeSummary
from services.core.model.measurement import Measurement, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.core.model.reconciliation import Reconciliation, Volume
from services.scorer.evidence_lock import EvidenceLock
from services.scorer.exchanges.findings import FindingWatch, with_findings
from services.scorer.exchanges.reconciler import LATE_SECONDS, ReconciliationReport
from services.scorer.index.results import CompiledRegister
from tests.support.cases.watched_exchanges import ASKING, EPOCH, FLOWS, HOUR, STOPPED, made, take
from tests.support.values.findings import finding


async def test_a_flow_that_stops_is_found(tmp_path: Path) -> None:
    """A stop is found within hours, beside passing probes, and again after a restart. A review stays with it."""
    scoring, exchanges = made(tmp_path)
    watch = FindingWatch(exchanges, EvidenceLock())
    take(exchanges, scoring, range(EPOCH // HOUR, STOPPED // HOUR))
    slot = scoring.calendar.slot_of
    assert await watch.look(scoring, slot(STOPPED + LATE_SECONDS)) == ()
    take(exchanges, scoring, range(STOPPED // HOUR, STOPPED // HOUR + 4))
    rows = [
        Measurement(Target("clearance-customs"), "north", at, at + 1.0, OUTCOME_OF[Reason.OK], Reason.OK)
        for at in range(STOPPED, STOPPED + 4 * HOUR, 300)
    ]
    scoring.evidence.take(decode_columns(encode_measurements(rows)))
    end = slot(STOPPED + 4 * HOUR + LATE_SECONDS)
    (found,) = await watch.look(scoring, end)
    assert (found.kind, found.scope, found.since) == (FindingKind.SILENCE, FindingScope.FLOW, STOPPED)
    assert found.flows == ("xroad tax-office customs/tax-clearance/imports",)
    assert (found.seen, found.ended_at, found.probes) == (0, None, ProbeView.PASS)
    assert STOPPED < found.found_at <= STOPPED + 4 * HOUR
    assert await FindingWatch(exchanges, EvidenceLock()).look(scoring, end) == (found,)
    assert await watch.look(scoring, end) == (found,)
    review = FindingReview(found.id, Review.CONFIRMED, "a certificate expired")
    scoring.adopt(CompiledRegister.of(replace(scoring.register, reviews=(review,))))
    assert await watch.look(scoring, end) == (replace(found, review=Review.CONFIRMED, note=review.note),)
    exchanges.close()


async def test_probes_beside_an_ended_finding_are_those_that_count(tmp_path: Path) -> None:
    """Measurements that come after the end of a finding count, and so does another register, as after a restart."""
    scoring, exchanges = made(tmp_path)
    watch, slot = FindingWatch(exchanges, EvidenceLock()), scoring.calendar.slot_of
    over = STOPPED + 30 * HOUR
    take(exchanges, scoring, range(EPOCH // HOUR, over // HOUR))
    ((client, service), *_) = FLOWS.items()
    for start in range(STOPPED + 10 * HOUR, over, HOUR):
        row = ExchangeSummary(client, service, start, 2, count=20, ok=20)
        exchanges.take([(start + HOUR, "xroad", [row])], calendar=scoring.calendar)
    seen = []

    async def look() -> None:
        for one in (watch, FindingWatch(exchanges, EvidenceLock())):
            (found,) = await one.look(scoring, slot(over + LATE_SECONDS))
            assert found.ended_at is not None
            seen.append(found.probes)

    await look()
    rows = [
        Measurement(Target("clearance-customs"), "north", at, at + 1.0, OUTCOME_OF[Reason.OK], Reason.OK)
        for at in range(STOPPED, over, 300)
    ]
    scoring.evidence.take(decode_columns(encode_measurements(rows)))
    await look()
    for _ in scoring.evidence.closing(slot(over + 48 * HOUR)):
        pass
    await look()
    link = replace(scoring.register.links["clearance-customs"], vantages=("south",))
    links = {**scoring.register.links, link.id: link}
    scoring.adopt(CompiledRegister.of(replace(scoring.register, links=links)))
    await look()
    assert seen == [view for view in (ProbeView.NONE, ProbeView.PASS, ProbeView.PASS, ProbeView.NONE) for _ in "12"]
    exchanges.close()


def departing(client: str, start: int, count: int) -> dict[str, Any]:
    """Return details of exchanges. Those of two clients depart when the third's stop."""
    departs = start >= STOPPED
    slow = count if departs and client == "land-registry" else count // 10
    return {
        "duration_buckets": tuple({14: count - slow, 22: slow}.get(bucket, 0) for bucket in range(DURATION_BUCKETS)),
        "response_bytes": 1_000 * count,
        "repeats": count // 2 if departs and client == "civil-registry" else 0,
    }


def larger(client: str, start: int, count: int) -> dict[str, Any]:
    """Return the details of exchanges if one client's become large instead."""
    size = 4_000 if start >= STOPPED and client == "land-registry" else 1_000
    return {**departing(client, 0, count), "response_bytes": size * count}


@pytest.mark.parametrize(
    ("details", "kinds"),
    [
        (departing, {FindingKind.SILENCE: 0, FindingKind.SLOW: 1, FindingKind.REPEATS: 2}),
        (larger, {FindingKind.SILENCE: 0, FindingKind.SIZE: 1}),
    ],
)
async def test_durations_sizes_and_repeats_are_found(
    tmp_path: Path, details: Callable[[str, int, int], dict[str, Any]], kinds: dict[FindingKind, int]
) -> None:
    """Each finding is about its flow, live and after a restart."""
    scoring, exchanges = made(tmp_path)
    hours = range(EPOCH // HOUR, STOPPED // HOUR + 8)
    take(exchanges, scoring, hours, details=details)
    end = scoring.calendar.slot_of(hours.stop * HOUR + LATE_SECONDS)
    found = await FindingWatch(exchanges, EvidenceLock()).look(scoring, end)
    names = [f"xroad {client} {service}" for client, service in FLOWS.items()]
    assert {one.kind: names.index(one.subject) for one in found} == kinds
    assert len(found) == len(kinds)
    assert all(abs(one.since - STOPPED) <= HOUR for one in found)
    exchanges.close()


def test_links_of_volume_findings_are_unusual(tmp_path: Path) -> None:
    """An open fall marks the links of its flows in every window. Failures and ended findings mark none."""
    scoring, exchanges = made(tmp_path)
    exchanges.close()
    links = ("clearance-customs", "deed-civil", "birth-tax")
    report = ReconciliationReport(
        tuple(Reconciliation(one, 7, 9, shared=False, silent=False, volume=Volume(9, None, None)) for one in links)
    )
    flows = [f"xroad {client} {service}" for client, service in FLOWS.items()]
    found = [
        finding(FindingKind.FALL, flows=(flows[0],)),
        finding(FindingKind.PROVIDER_FAILURES, flows=(flows[1],)),
        finding(FindingKind.SILENCE, flows=(flows[2],), ended_at=STOPPED),
    ]
    marked = with_findings(report, scoring, found)
    assert [one.volume is not None and one.volume.unusual for one in marked.links] == [True, False, False]


async def test_findings_wait_until_a_step_is_whole(tmp_path: Path) -> None:
    """An hour is judged LATE_SECONDS after its end, so that exchanges still on their way are no fall."""
    scoring, exchanges = made(tmp_path)
    watch = FindingWatch(exchanges, EvidenceLock())
    take(exchanges, scoring, range(EPOCH // HOUR, STOPPED // HOUR))
    assert await watch.look(scoring, scoring.calendar.slot_of(STOPPED + HOUR + LATE_SECONDS - 300)) == ()
    exchanges.close()


async def test_without_exchanges_nothing_is_found(tmp_path: Path) -> None:
    """Nothing is found before the first exchange or while no log is read at all."""
    scoring, exchanges = made(tmp_path)
    watch = FindingWatch(exchanges, EvidenceLock())
    assert await watch.look(scoring, scoring.calendar.slot_of(STOPPED)) == ()
    take(exchanges, scoring, range(EPOCH // HOUR, STOPPED // HOUR - 2))
    assert await watch.look(scoring, scoring.calendar.slot_of(STOPPED + 48 * HOUR)) == ()
    exchanges.close()


@pytest.mark.parametrize("answering", [2, 1, 0])
async def test_a_bus_that_stops_is_found_where_its_servers_answer(tmp_path: Path, answering: int) -> None:
    """If all servers answer queries, which are exchanges too, the bus is silent. If some do not, it is unknown."""
    scoring, exchanges = made(tmp_path)
    stopped = STOPPED // HOUR
    take(exchanges, scoring, range(EPOCH // HOUR, stopped))
    for hour in range(EPOCH // HOUR, stopped + 6):
        servers = 2 if hour < stopped else answering
        rows = [
            ExchangeSummary("X/G/1/m", f"X/G/{n}/{ASKING}", hour * HOUR, 1, meta=True, count=60, ok=60 * (n < servers))
            for n in range(2)
        ]
        exchanges.take([((hour + 1) * HOUR, "xroad", rows)], calendar=scoring.calendar)
    end = scoring.calendar.slot_of((stopped + 6) * HOUR + LATE_SECONDS)
    found = await FindingWatch(exchanges, EvidenceLock()).look(scoring, end)
    assert [(one.kind, one.scope, one.since) for one in found] == (
        [(FindingKind.SILENCE, FindingScope.BUS, STOPPED)] if answering == 2 else []
    )
    exchanges.close()


async def test_another_budget_begins_anew(tmp_path: Path) -> None:
    """With another budget, everything that is kept is judged again."""
    scoring, exchanges = made(tmp_path)
    watch = FindingWatch(exchanges, EvidenceLock())
    take(exchanges, scoring, range(EPOCH // HOUR, STOPPED // HOUR + 20), least=2, spread=3)
    end = scoring.calendar.slot_of(STOPPED + 20 * HOUR + LATE_SECONDS)
    (first,) = await watch.look(scoring, end)
    policy = scoring.register.policy
    findings = replace(policy.findings, false_findings_per_week=0.01)
    register = replace(scoring.register, policy=replace(policy, findings=findings))
    scoring.adopt(CompiledRegister.of(register))
    (stricter,) = await watch.look(scoring, end)
    assert (stricter.id, stricter.kind) == (first.id, FindingKind.SILENCE)
    assert stricter.found_at > first.found_at
    exchanges.close()
