"""The metrics of the scorer."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.core.bus import StreamState
from services.core.codec import ExchangeVolume, decode_columns, encode_measurements
from services.core.model import StreamPosition
from services.core.model.finding import Review
from services.core.model.indicator import IndicatorKind
from services.core.model.measurement import Measurement, MeasurementColumns, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.core.model.reconciliation import BusTraffic, Reconciliation, Traffic, Volume
from services.core.model.register import ExchangeRoute, Link, Register
from services.indicator.calendar import Calendar
from services.indicator.cells import SlotDetail
from services.indicator.evidence import Evidence
from services.indicator.index.error_budget import BurnCounter
from services.indicator.register_arrays import RegisterArrays
from services.register.directory.load import load_register
from services.scorer.exchange_metrics import PAIR_SERIES
from services.scorer.exchanges.reconciler import ReconciliationReport
from services.scorer.index.results import CompiledRegister, IndexResult
from services.scorer.index.scoring import Scoring
from services.scorer.metrics import ScorerMetrics
from services.scorer.series import BURN_SERIES, LINK_SERIES
from services.scorer.state.loading import LoadedState
from tests.support.registers import write_register
from tests.support.values.findings import SINCE, finding

EPOCH = 1_767_213_000  # 2026-01-01T00:00 in Tehran
SLOT = 300


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    return load_register(write_register(tmp_path_factory.mktemp("register")))


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def samples(registry: CollectorRegistry) -> dict[str, float]:
    """Series and values as they are exposed."""
    lines = generate_latest(registry).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {series: float(value) for series, value in pairs}


def measured(
    reasons: dict[str, Reason], slot: int = 0, *, vantage: str = "north", bus: Reason | None = None
) -> MeasurementColumns:
    """The measurements of a vantage of links, and of the data bus if it is given, in a slot after the epoch."""
    start = EPOCH + SLOT * slot
    targets = {Target(link): why for link, why in reasons.items()}
    if bus is not None:
        targets[Target("bus", endpoint=True)] = bus
    rows = [Measurement(target, vantage, start, start + 1.0, OUTCOME_OF[why], why) for target, why in targets.items()]
    return decode_columns(encode_measurements(rows))


def judged(
    register: Register, reasons: dict[str, Reason], slots: int = 1, bus: Reason | None = None
) -> tuple[Scoring, IndexResult]:
    """The index of the first slots after the epoch; the first slot is measured by both vantages."""
    scoring = Scoring(
        CompiledRegister.of(register),
        LoadedState(None, Evidence(Calendar.of(register.policy)), ()),
        StreamPosition("M", "", 0),
    )
    for vantage in ("north", "south"):
        scoring.take(measured(reasons, vantage=vantage, bus=bus), stored=EPOCH + 310.0, sequence=1)
    return scoring, scoring.judge(EPOCH // SLOT + slots)


def test_only_counters_exist_before_anything_is_known(registry: CollectorRegistry) -> None:
    """Counters are zero at the start; metrics are absent."""
    ScorerMetrics(registry)
    found = {series for series in samples(registry) if "_created" not in series and "refresh" not in series}
    assert found == {
        "peyvand_measurements_total",
        "peyvand_measurements_late_total",
        "peyvand_measurements_rejected_total",
        'peyvand_measurements_refused_total{fault="slot"}',
        'peyvand_measurements_refused_total{fault="target"}',
        'peyvand_measurements_refused_total{fault="time"}',
        "peyvand_summaries_rejected_total",
    }


def test_point_and_losses_are_absent_below_the_threshold(register: Register, registry: CollectorRegistry) -> None:
    """An index that is not publishable has bounds and a known share, and neither a point nor losses."""
    metrics = ScorerMetrics(registry)
    everything = dict.fromkeys(register.links, Reason.OK)
    metrics.index(judged(register, everything)[1])
    labels = '{id="country",kind="government",window="28"}'
    assert samples(registry)[f"peyvand_index{labels}"] == pytest.approx(11 / 12)
    metrics.index(judged(register, everything, slots=2)[1])
    found = samples(registry)
    assert f"peyvand_index{labels}" not in found
    assert not any(series.startswith("peyvand_index_loss") and "country" in series for series in found)
    assert found[f"peyvand_index_lower{labels}"] == pytest.approx(11 / 24)
    assert not any(series.startswith("peyvand_index_interval") and "country" in series for series in found)
    assert found[f"peyvand_index_known_share{labels}"] == pytest.approx(1 / 12 + 11 / 24)
    assert found["peyvand_index_as_of_timestamp_seconds"] == EPOCH + 2 * SLOT


def test_intervals_are_shown_of_the_government_and_of_sectors(register: Register, registry: CollectorRegistry) -> None:
    """The government and sectors have both ends around each point; agencies have none,
    since there may be thousands.
    """
    metrics = ScorerMetrics(registry)
    result = judged(register, dict.fromkeys(register.links, Reason.OK))[1]
    metrics.index(result)
    found = {one: value for one, value in samples(registry).items() if one.startswith("peyvand_index_interval")}
    snapshot = result.snapshot
    rows = [
        row
        for window in snapshot.windows
        for kind in (IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR)
        for row in snapshot.rows(kind, window)
        if row.interval is not None
    ]
    assert any(row.interval for row in snapshot.rows(IndicatorKind.CONSUMER, 28))
    assert {row.kind for row in rows} == {IndicatorKind.GOVERNMENT, IndicatorKind.SECTOR}
    wanted = {}
    for row in rows:
        assert row.interval is not None
        for bound, end in (("low", row.interval.low), ("high", row.interval.high)):
            labels = f'bound="{bound}",id="{row.id}",kind="{row.kind.label}",window="{row.window_days}"'
            wanted[f"peyvand_index_interval{{{labels}}}"] = end
    assert found == wanted


def test_of_many_agencies_those_with_the_most_links_have_series(
    register: Register, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no room for all, agencies with fewer links lack windows, then other figures, then the point.

    What is left out is counted; government and sectors are on the page over every window.
    """
    result = judged(register, dict.fromkeys(register.links, Reason.OK))[1]
    links = Counter(side for link in register.links.values() for side in (register.consumer(link), link.provider))
    largest = sorted(links, key=lambda agency: (-links[agency], agency))

    def shown(metric: str, window: int) -> set[str]:
        series = (re.match(rf'{metric}{{id="(.+)",kind="(.+)",window="{window}"}}', one) for one in samples(registry))
        return {found[1] for found in series if found and found[2] in ("consumer", "provider")}

    def left_out() -> list[float]:
        labels = "agency_index", "agency_figures", "agency_windows"
        return [samples(registry)[f'peyvand_scorer_series_left_out{{of="{of}"}}'] for of in labels]

    metrics = ScorerMetrics(registry)
    metrics.index(result)
    for window in (7, 28, 90):
        assert shown("peyvand_index", window) == shown("peyvand_index_lower", window) == set(largest)
    assert left_out() == [0, 0, 0]
    for agencies, figures, windows, room in ((3, 2, 0, 2 * 3 + 24 * 2), (2, 2, 1, 2 * 2 + 24 * 2 + 36)):
        monkeypatch.setattr("services.scorer.series.AGENCY_SERIES", agencies)
        monkeypatch.setattr("services.scorer.series.SHARED_SERIES", len(register.links) + room)
        metrics.index(result)
        assert shown("peyvand_index", 28) == set(largest[:agencies])
        assert shown("peyvand_index_lower", 28) == set(largest[:figures])
        for window in (7, 90):
            assert shown("peyvand_index", window) == shown("peyvand_index_upper", window) == set(largest[:windows])
            assert f'peyvand_index_lower{{id="country",kind="government",window="{window}"}}' in samples(registry)
        assert left_out() == [len(largest) - having for having in (agencies, figures, windows)]


def test_series_of_what_is_removed_go(register: Register, registry: CollectorRegistry) -> None:
    """A link that becomes unknown and an agency that leaves the register leave no series behind."""
    metrics = ScorerMetrics(registry)
    scoring, result = judged(register, {"birth-tax": Reason.STALE, "permit-tax": Reason.OK})

    def show(result: IndexResult, scoring: Scoring, slot: int) -> dict[str, float]:
        metrics.index(result)
        slots = range(EPOCH // SLOT + slot, EPOCH // SLOT + slot + 1)
        detail = scoring.evidence.detail(result.compiled.arrays, slots, result.compiled.arrays.targets)
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
    """Of more than ten thousand links the stage of those that burn is exposed, as alerts need it."""
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
        result = scoring.judge(first + slots)
        last = range(first + slots - 1, first + slots)
        metrics.burns(result.compiled.arrays, scoring.burns)
        detail = scoring.evidence.detail(result.compiled.arrays, last, result.compiled.arrays.targets)
        metrics.links(result.compiled, detail)
        return {series for series in samples(registry) if series.startswith("peyvand_link_stage")}

    assert shown(2) == set()
    assert shown(3) == {
        'peyvand_link_stage{consumer="civil-registry",link="birth-tax",over_bus="false",provider="tax-office"}'
    }
    assert samples(registry)['peyvand_scorer_series_left_out{of="link_stage"}'] == len(register.links) - 1


def test_links_are_counted_by_verdict(
    register: Register, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links in force are counted by their last verdict, for the government and the consumers that have series.

    Absent links are neither failed nor unknown, and before the first slot nothing is counted.
    """
    monkeypatch.setattr("services.scorer.metrics.LINK_SERIES", 0)
    later = replace(register.links["permit-tax"], required_from=date(2026, 2, 1))
    changed = replace(register, links={**register.links, "permit-tax": later})
    live = sorted(link.id for link in changed.links.values() if not link.absent and link is not later)
    late, unmeasured, *fine = live
    scoring, result = judged(changed, {late: Reason.LATE, **dict.fromkeys(fine, Reason.OK)})
    metrics = ScorerMetrics(registry)

    def show(detail: SlotDetail | None) -> dict[tuple[str, str, str], float]:
        metrics.links(replace(result.compiled, register=changed), detail)
        series = (
            (re.match(r'peyvand_links_now\{id="(.+)",kind="(.+)",verdict="(.+)"\}', one), value)
            for one, value in samples(registry).items()
        )
        return {(found[2], found[1], found[3]): value for found, value in series if found}

    assert show(None) == {}
    slot = range(EPOCH // SLOT, EPOCH // SLOT + 1)
    detail = scoring.evidence.detail(result.compiled.arrays, slot, result.compiled.arrays.targets)
    monkeypatch.setattr("services.scorer.metrics.REASON_SERIES", 1)
    found = show(detail)
    assert samples(registry)['peyvand_scorer_series_left_out{of="link_reason"}'] == 1
    government = {verdict: value for (kind, _, verdict), value in found.items() if kind == "government"}
    nothing = dict.fromkeys(("not_connected", "not_answered", "invalid", "stale"), 0.0)
    assert government == {**nothing, "ok": float(len(fine)), "late": 1.0, "unknown": 1.0, "absent": 1.0}

    def verdict(link: Link) -> str:
        return "absent" if link.absent else {late: "late", unmeasured: "unknown"}.get(link.id, "ok")

    inforce = [link for link in changed.links.values() if link is not later]
    wanted = Counter(("consumer", changed.consumer(link), verdict(link)) for link in inforce)
    assert {labels: value for labels, value in found.items() if labels[0] == "consumer"} == wanted
    assert len(consumers := sorted({consumer for _, consumer, _ in wanted})) > 1
    monkeypatch.setattr("services.scorer.series.AGENCY_SERIES", 1)
    largest = result.compiled.arrays.agencies[result.compiled.arrays.largest_agencies()[0]]
    assert {of for kind, of, _ in show(detail) if kind == "consumer"} == {largest} & set(consumers)


def test_of_many_burning_links_the_fastest_have_series(registry: CollectorRegistry) -> None:
    """Of more links than the limit those that burn fastest are exposed, by span; a link that burns no more has no
    series.
    """
    links = BURN_SERIES + 7
    names = [f"link-{at:05d}" for at in range(links)]
    arrays = cast(RegisterArrays, SimpleNamespace(links=names, slo=np.full(links, 0.95)))
    known = np.full((4, links), links + 2000)
    # Later links burn faster; of the first span only a few burn at all.
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
    """The stage of the policy's endpoint is that of the last settled slot; links over it are marked."""
    routed = replace(register, routes=(ExchangeRoute("client", "service", "birth-tax"),))
    metrics = ScorerMetrics(registry)
    for reason, stage in ((Reason.SERVER_ERROR, 1.0), (Reason.OK, 5.0), (None, None)):
        reasons = {"birth-tax": Reason.OK, "permit-tax": Reason.OK}
        scoring, result = judged(routed, reasons, bus=reason)
        slot = range(EPOCH // SLOT, EPOCH // SLOT + 1)
        detail = scoring.evidence.detail(result.compiled.arrays, slot, result.compiled.arrays.targets)
        metrics.links(result.compiled, detail)
        found = samples(registry)
        assert found.get('peyvand_data_bus_stage{endpoint="bus"}') == stage
        labels = 'consumer="{}",link="{}",over_bus="{}",provider="tax-office"'
        assert found[f"peyvand_link_stage{{{labels.format('civil-registry', 'birth-tax', 'true')}}}"] == 5.0
        assert found[f"peyvand_link_stage{{{labels.format('customs', 'permit-tax', 'false')}}}"] == 5.0


def test_largest_pairs_are_exposed(registry: CollectorRegistry) -> None:
    """Of too many pairs, those with the largest volume have series; earlier ones go."""
    metrics = ScorerMetrics(registry)
    pairs = [ExchangeVolume(f"a{n}", "b", False, n, n, 0, 0, 0) for n in range(PAIR_SERIES + 5)]
    metrics.exchanges.volumes(pairs)
    found = samples(registry)
    assert sum(series.startswith("peyvand_exchanges{") for series in found) == 3 * PAIR_SERIES
    assert found['peyvand_scorer_series_left_out{of="pairs"}'] == 5
    assert 'peyvand_exchanges{consumer="a4",meta="false",provider="b",result="ok"}' not in found
    assert found['peyvand_exchanges{consumer="a5",meta="false",provider="b",result="ok"}'] == 5.0
    metrics.exchanges.volumes([ExchangeVolume("a4", "b", True, 7, 4, 1, 2, 0)])
    found = {series: value for series, value in samples(registry).items() if series.startswith("peyvand_exchanges")}
    assert found == {
        'peyvand_exchanges{consumer="a4",meta="true",provider="b",result="ok"}': 4.0,
        'peyvand_exchanges{consumer="a4",meta="true",provider="b",result="bus_failure"}': 1.0,
        'peyvand_exchanges{consumer="a4",meta="true",provider="b",result="provider_failure"}': 2.0,
    }


def test_findings_are_counted_per_window(registry: CollectorRegistry) -> None:
    """Silent, disagreeing and unusual links are counted, zeros too, per window with exchanges; nothing before any."""
    metrics = ScorerMetrics(registry)
    metrics.exchanges.reconciled(ReconciliationReport(traffic=(Traffic(7, 0, 0, 0, (), ()),)))
    assert not any("finding" in series or "undeclared" in series for series in samples(registry))
    links = (
        Reconciliation("a", 7, 0, shared=False, silent=True),
        Reconciliation(
            "b", 7, 9, shared=False, silent=False, disagrees=True, volume=Volume(9, 1.0, None, unusual=True)
        ),
        Reconciliation("b", 28, 9, shared=False, silent=False),
    )
    metrics.exchanges.reconciled(
        ReconciliationReport(links, tuple(Traffic(days, 9, 2, 1, (BusTraffic("x", 9),), ()) for days in (7, 28)))
    )
    found = samples(registry)
    counts = {
        series.removeprefix("peyvand_link_findings"): value for series, value in found.items() if "finding" in series
    }
    assert counts == {
        f'{{finding="{finding}",window="{days}"}}': float(days == 7)
        for finding in ("silent", "disagreeing", "unusual")
        for days in (7, 28)
    }
    assert found['peyvand_undeclared_exchanges{window="28"}'] == 2.0
    assert found['peyvand_bus_exchanges{bus="x",window="7"}'] == 9.0


def test_the_structure_has_few_series(register: Register, registry: CollectorRegistry) -> None:
    """The structure has ten measures and two counts a window; a measure that does not apply has no series."""
    metrics = ScorerMetrics(registry)
    _, result = judged(register, dict.fromkeys(register.links, Reason.OK))
    metrics.index(result)
    found = samples(registry)
    structure = next(one for one in result.structures if one.window_days == 28)
    shown = {series for series in found if series.startswith("peyvand_structure") and 'window="28"' in series}
    assert len(shown) == 10
    assert found['peyvand_structure{measure="declared",window="28"}'] == pytest.approx(11 / 12)
    assert found['peyvand_structure{measure="pair_coverage",window="28"}'] == structure.pair_coverage
    assert found['peyvand_islands{window="28"}'] == len(structure.islands)
    assert found['peyvand_isolates{window="28"}'] == len(structure.isolates)
    metrics.index(judged(register, {"permit-tax": Reason.OK})[1])
    assert 'peyvand_structure{measure="silo_gap",window="28"}' not in samples(registry)


def test_links_that_are_not_ok_have_a_reason(register: Register, registry: CollectorRegistry) -> None:
    """A live link that failed or is unknown has the reason of its verdict; one that is OK, or absent, has none."""
    names = sorted(link.id for link in register.links.values() if not link.absent)
    late, unmeasured, *fine = names
    scoring, result = judged(register, {late: Reason.LATE, **dict.fromkeys(fine, Reason.OK)})
    metrics = ScorerMetrics(registry)
    slot = range(EPOCH // SLOT, EPOCH // SLOT + 1)
    detail = scoring.evidence.detail(result.compiled.arrays, slot, result.compiled.arrays.targets)
    metrics.links(replace(result.compiled, register=register), detail)
    found = {series for series in samples(registry) if series.startswith("peyvand_link_reason")}

    def series(name: str, reason: str) -> str:
        link = register.links[name]
        labels = f'consumer="{register.consumer(link)}",link="{name}",provider="{link.provider}",reason="{reason}"'
        return f"peyvand_link_reason{{{labels}}}"

    assert found == {series(late, "late"), series(unmeasured, "no_measurement")}
    assert set(names) < set(register.links)  # some are on paper


def test_vantages_have_series_while_they_are_expected(registry: CollectorRegistry) -> None:
    """Each expected vantage has its newest slot; one without anything to measure has no series."""
    metrics = ScorerMetrics(registry)
    metrics.vantages({"north": 900.0, "south": 600.0})
    metrics.vantages({"north": 1200.0})
    found = {series: value for series, value in samples(registry).items() if series.startswith("peyvand_vantage")}
    assert found == {'peyvand_vantage_newest_timestamp_seconds{vantage="north"}': 1200.0}


def test_streams_show_what_is_kept_of_them(registry: CollectorRegistry) -> None:
    """Messages, bytes, the limit and the newest sequence of each stream are series of their own; no limit is no series."""
    unlimited = StreamState("2026", 5, 9, 4, 700, 0.0)
    ScorerMetrics(registry).bus.streams({"MEASUREMENTS": replace(unlimited, limit=900), "EXCHANGES": unlimited})
    found = samples(registry)
    assert 'peyvand_stream_limit_bytes{stream="EXCHANGES"}' not in found
    assert {name: found[f'peyvand_stream_{name}{{stream="MEASUREMENTS"}}'] for name in _STREAM} == _STREAM


_STREAM = {"messages": 4.0, "bytes": 700.0, "limit_bytes": 900.0, "last_sequence": 9.0}


def test_findings_are_counted_by_kind_and_review(registry: CollectorRegistry) -> None:
    """Those that go on are counted, every kind from zero on; those that are over are not."""
    metrics = ScorerMetrics(registry)
    metrics.exchanges.found(
        [finding(), finding(since=SINCE + 3_600, review=Review.CONFIRMED), finding(since=0, ended_at=1)]
    )
    labels = {"kind": "silence"}
    values = {state: registry.get_sample_value("peyvand_findings", {**labels, "state": state}) for state in Review}
    assert values == {"open": 1.0, "confirmed": 1.0, "dismissed": 0.0}
    assert registry.get_sample_value("peyvand_findings", {"kind": "rise", "state": "open"}) == 0.0
