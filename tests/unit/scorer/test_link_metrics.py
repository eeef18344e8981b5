"""Links have series, and with too many links only the important ones do."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.core.model import StreamPosition
from services.core.model.outcome import Reason
from services.core.model.register import ExchangeRoute, Link, Register
from services.indicator.calendar import Calendar
from services.indicator.cells import SlotDetail
from services.indicator.evidence import Evidence
from services.indicator.index.error_budget import BurnCounter
from services.indicator.register_arrays import RegisterArrays
from services.scorer.index.results import CompiledRegister, IndexResult
from services.scorer.index.scoring import Scoring
from services.scorer.metrics import ScorerMetrics
from services.scorer.series import BURN_SERIES, LINK_SERIES
from services.scorer.state.loading import LoadedState
from tests.support.cases.scorer_metrics import EPOCH, SLOT, judged, measured, register, registry, samples

__all__ = ["register", "registry"]  # fixtures


def test_series_of_what_is_removed_go(register: Register, registry: CollectorRegistry) -> None:
    """A link that becomes unknown and an agency that leaves the register leave no series behind."""
    metrics = ScorerMetrics(registry)
    scoring, result = judged(register, {"birth-tax": Reason.STALE, "permit-tax": Reason.OK})

    def show(result: IndexResult, scoring: Scoring, slot: int) -> dict[str, float]:
        metrics.index(result)
        slots = range(EPOCH // SLOT + slot, EPOCH // SLOT + slot + 1)
        detail = scoring.evidence.detail(result.compiled.arrays, slots)
        metrics.links(result.compiled, detail)
        return samples(registry)

    stage = 'peyvand_link_stage{consumer="civil-registry",link="birth-tax",over_bus="false",provider="tax-office"}'
    found = show(result, scoring, 0)
    assert found[stage] == 4.0
    assert (found['peyvand_links{state="live"}'], found['peyvand_links{state="absent"}']) == (7.0, 1.0)
    assert stage not in show(result, scoring, 1)
    assert any('kind="consumer"' in series and 'id="customs"' in series for series in samples(registry))

    smaller = replace(
        register,
        links={name: link for name, link in register.links.items() if name != "permit-tax"},
        services={name: service for name, service in register.services.items() if name != "import-permit"},
    )
    found = show(judged(smaller, {"birth-tax": Reason.OK})[1], scoring, 0)
    assert not any('kind="consumer"' in series and 'id="customs"' in series for series in found)
    assert found['peyvand_links{state="live"}'] == 6.0


def test_beyond_the_limit_links_that_burn_have_series(
    register: Register, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more than ten thousand links, those that burn have a stage series, because alerts need it."""
    monkeypatch.setattr("services.scorer.metrics.LINK_SERIES", len(register.links) - 1)
    assert LINK_SERIES == 10_000
    metrics = ScorerMetrics(registry)
    why = {"birth-tax": Reason.SERVER_ERROR, "permit-tax": Reason.OK}
    scoring = Scoring(
        CompiledRegister.of(register),
        LoadedState(None, Evidence(Calendar.of(register.policy)), ()),
        StreamPosition("M", "", 0),
    )
    first = EPOCH // SLOT
    for slot in range(3):
        scoring.take(measured(why, slot), stored=EPOCH + 310.0 + SLOT * slot, sequence=slot)

    def shown(slots: int) -> set[str]:
        result = scoring.compute(scoring.count(first + slots))
        last = range(first + slots - 1, first + slots)
        metrics.burns(result.compiled.arrays, scoring.burns)
        detail = scoring.evidence.detail(result.compiled.arrays, last)
        metrics.links(result.compiled, detail)
        return {series for series in samples(registry) if series.startswith("peyvand_link_stage")}

    assert shown(2) == set()
    assert shown(3) == {
        'peyvand_link_stage{consumer="civil-registry",link="birth-tax",over_bus="false",provider="tax-office"}'
    }
    assert samples(registry)['peyvand_scorer_series_left_out{of="link_stage"}'] == len(register.links) - 1


def test_links_that_will_be_live_later_are_not_live(register: Register, registry: CollectorRegistry) -> None:
    """A link whose first day is in the future is not live, like an absent one, and has no reason for failing."""
    later = replace(register.links["birth-tax"], live_from=date(2027, 1, 1))
    changed = replace(register, links={**register.links, "birth-tax": later})
    scoring, result = judged(changed, dict.fromkeys(set(changed.links) - {"birth-tax"}, Reason.OK))
    slot = range(EPOCH // SLOT, EPOCH // SLOT + 1)
    ScorerMetrics(registry).links(result.compiled, scoring.evidence.detail(result.compiled.arrays, slot))
    found = samples(registry)
    absent = sum(link.absent for link in changed.links.values())
    assert found['peyvand_links{state="absent"}'] == absent
    government = result.compiled.arrays.government
    assert found[f'peyvand_links_now{{id="{government}",kind="government",verdict="not_live"}}'] == absent + 1
    assert not [series for series in found if series.startswith("peyvand_links_now") and "absent" in series]
    assert not [series for series in found if series.startswith("peyvand_link_reason") and "birth-tax" in series]


def test_links_are_counted_by_verdict(
    register: Register, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links in force are counted by their last verdict, for the government and the consumers that have series.

    Absent links are neither failed nor unknown.
    """
    monkeypatch.setattr("services.scorer.metrics.LINK_SERIES", 0)
    later = replace(register.links["permit-tax"], required_from=date(2026, 2, 1))
    changed = replace(register, links={**register.links, "permit-tax": later})
    live = sorted(link.id for link in changed.links.values() if not link.absent and link is not later)
    late, unmeasured, *fine = live
    scoring, result = judged(changed, {late: Reason.LATE, **dict.fromkeys(fine, Reason.OK)})
    metrics = ScorerMetrics(registry)

    def show(detail: SlotDetail) -> dict[tuple[str, str, str], float]:
        metrics.links(replace(result.compiled, register=changed), detail)
        series = (
            (re.match(r'peyvand_links_now\{id="(.+)",kind="(.+)",verdict="(.+)"\}', one), value)
            for one, value in samples(registry).items()
        )
        return {(found[2], found[1], found[3]): value for found, value in series if found}

    slot = range(EPOCH // SLOT, EPOCH // SLOT + 1)
    detail = scoring.evidence.detail(result.compiled.arrays, slot)
    monkeypatch.setattr("services.scorer.metrics.REASON_SERIES", 1)
    found = show(detail)
    assert samples(registry)['peyvand_scorer_series_left_out{of="link_reason"}'] == 1
    government = {verdict: value for (kind, _, verdict), value in found.items() if kind == "government"}
    nothing = dict.fromkeys(("not_connected", "not_answered", "invalid", "stale"), 0.0)
    assert government == {**nothing, "ok": float(len(fine)), "late": 1.0, "unknown": 1.0, "not_live": 1.0}

    def verdict(link: Link) -> str:
        return "not_live" if link.absent else {late: "late", unmeasured: "unknown"}.get(link.id, "ok")

    inforce = [link for link in changed.links.values() if link is not later]
    wanted = Counter(("consumer", changed.consumer(link), verdict(link)) for link in inforce)
    assert {labels: value for labels, value in found.items() if labels[0] == "consumer"} == wanted
    assert len(consumers := sorted({consumer for _, consumer, _ in wanted})) > 1
    monkeypatch.setattr("services.scorer.series.AGENCY_SERIES", 1)
    largest = result.compiled.arrays.agencies[result.compiled.arrays.largest_agencies()[0]]
    assert {of for kind, of, _ in show(detail) if kind == "consumer"} == {largest} & set(consumers)


def test_of_many_burning_links_the_fastest_have_series(registry: CollectorRegistry) -> None:
    """With more links than the limit, the fastest-burning ones are exposed by span. One that stops burning has none."""
    links = BURN_SERIES + 7
    names = [f"link-{at:05d}" for at in range(links)]
    arrays = cast(RegisterArrays, SimpleNamespace(links=names, slo=np.full(links, 0.95)))
    known = np.full((4, links), links + 2000)
    # Later links burn faster. Over the first span only a few burn at all.
    failed = known - np.arange(links)[::-1]
    failed[0] = 0
    failed[0, :3] = known[0, :3]
    metrics = ScorerMetrics(registry)
    metrics.burns(arrays, cast(BurnCounter, SimpleNamespace(known=known, failed=failed)))

    def shown() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for series in samples(registry):
            match = re.fullmatch(r'peyvand_link_burn\{link="(.+)",span="(.+)"\}', series)
            if match:
                found.setdefault(match[2], set()).add(match[1])
        return found

    fastest = set(names[-BURN_SERIES:])
    assert shown() == {"1h": set(names[:3]), "6h": fastest, "1d": fastest, "3d": fastest}
    assert samples(registry)['peyvand_scorer_series_left_out{of="link_burn"}'] == 3 * 7
    metrics.burns(arrays, cast(BurnCounter, SimpleNamespace(known=known, failed=np.zeros_like(known))))
    assert shown() == {}


def test_the_data_bus_has_a_stage_while_it_is_known(register: Register, registry: CollectorRegistry) -> None:
    """The bus endpoint of the policy has the stage of the last settled slot. Links over the bus are marked."""
    routed = replace(register, routes=(ExchangeRoute("client", "service", "birth-tax"),))
    metrics = ScorerMetrics(registry)
    for reason, stage in ((Reason.SERVER_ERROR, 1.0), (Reason.OK, 5.0), (None, None)):
        reasons = {"birth-tax": Reason.OK, "permit-tax": Reason.OK}
        scoring, result = judged(routed, reasons, bus=reason)
        slot = range(EPOCH // SLOT, EPOCH // SLOT + 1)
        detail = scoring.evidence.detail(result.compiled.arrays, slot)
        metrics.links(result.compiled, detail)
        found = samples(registry)
        assert found.get('peyvand_data_bus_stage{endpoint="bus"}') == stage
        labels = 'consumer="{}",link="{}",over_bus="{}",provider="tax-office"'
        assert found[f"peyvand_link_stage{{{labels.format('civil-registry', 'birth-tax', 'true')}}}"] == 5.0
        assert found[f"peyvand_link_stage{{{labels.format('customs', 'permit-tax', 'false')}}}"] == 5.0


def test_links_that_are_not_ok_have_a_reason(register: Register, registry: CollectorRegistry) -> None:
    """A live link that failed or is unknown has its verdict's reason. One that is OK or absent has none."""
    names = sorted(link.id for link in register.links.values() if not link.absent)
    late, unmeasured, *fine = names
    scoring, result = judged(register, {late: Reason.LATE, **dict.fromkeys(fine, Reason.OK)})
    metrics = ScorerMetrics(registry)
    slot = range(EPOCH // SLOT, EPOCH // SLOT + 1)
    detail = scoring.evidence.detail(result.compiled.arrays, slot)
    metrics.links(replace(result.compiled, register=register), detail)
    found = {series for series in samples(registry) if series.startswith("peyvand_link_reason")}

    def series(name: str, reason: str) -> str:
        link = register.links[name]
        labels = f'consumer="{register.consumer(link)}",link="{name}",provider="{link.provider}",reason="{reason}"'
        return f"peyvand_link_reason{{{labels}}}"

    assert found == {series(late, "late"), series(unmeasured, "no_measurement")}
    assert set(names) < set(register.links)  # some are on paper


def test_a_reason_of_a_newer_prober_is_shown_as_another_of_its_outcome(
    register: Register, registry: CollectorRegistry
) -> None:
    """A prober of a newer version may send reasons that this version does not know."""
    rows = measured({"birth-tax": Reason.STALE, "deed-tax": Reason.STATUS})
    newer = replace(rows, reason=np.array([95, 200], np.uint8))
    scoring = Scoring(
        CompiledRegister.of(register),
        LoadedState(None, Evidence(Calendar.of(register.policy)), ()),
        StreamPosition("M", "", 0),
    )
    scoring.take(newer, stored=EPOCH + 310.0, sequence=1)
    slot = range(EPOCH // SLOT, EPOCH // SLOT + 1)
    ScorerMetrics(registry).links(scoring.compiled, scoring.evidence.detail(scoring.arrays, slot))
    found = "\n".join(series for series in samples(registry) if series.startswith("peyvand_link_reason"))
    assert re.findall('link="(birth-tax|deed-tax)".*reason="(.+)"', found) == [
        ("birth-tax", "stale"),
        ("deed-tax", "status"),
    ]
