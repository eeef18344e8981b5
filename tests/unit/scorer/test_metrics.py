"""The scorer's metrics show what is known and have a limited number of series."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from services.core.bus import StreamState
from services.core.codec import ExchangeVolume
from services.core.model.finding import Review
from services.core.model.indicator import IndicatorKind
from services.core.model.outcome import Reason
from services.core.model.reconciliation import BusTraffic, Reconciliation, Traffic, Volume
from services.core.model.register import Register
from services.scorer.exchange_metrics import PAIR_SERIES
from services.scorer.exchanges.reconciler import ReconciliationReport
from services.scorer.metrics import ScorerMetrics
from tests.support.cases.scorer_metrics import EPOCH, SLOT, judged, register, registry, samples
from tests.support.values.findings import SINCE, finding

__all__ = ["register", "registry"]  # fixtures


def test_only_counters_exist_before_anything_is_known(registry: CollectorRegistry) -> None:
    """At startup only counters are exposed."""
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
    """An index that is not publishable has bounds and a known share, but neither a point nor losses."""
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
    """The government and sectors have both ends around each point. Agencies have none, as there may be thousands."""
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
    """Without room for all, agencies with fewer links lack windows, then other figures, then the point.

    Series that are left out are counted. The government and sectors are exposed over every window.
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


def test_largest_pairs_are_exposed(registry: CollectorRegistry) -> None:
    """With too many pairs, those with the largest volume have series. Earlier ones disappear."""
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
    """Silent, disagreeing and unusual links are counted, also zeros, for each window with exchanges."""
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
    """The structure has ten measures and two counts a window. A measure that does not apply has no series."""
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


def test_vantages_have_series_while_they_are_expected(registry: CollectorRegistry) -> None:
    """Each expected vantage has its newest slot. A vantage without targets has no series."""
    metrics = ScorerMetrics(registry)
    metrics.vantages({"north": 900.0, "south": 600.0})
    metrics.vantages({"north": 1200.0})
    found = {series: value for series, value in samples(registry).items() if series.startswith("peyvand_vantage")}
    assert found == {'peyvand_vantage_newest_timestamp_seconds{vantage="north"}': 1200.0}


def test_streams_show_what_is_kept_of_them(registry: CollectorRegistry) -> None:
    """Each stream has series for messages, bytes, limit and newest sequence. Without a limit there is none for it."""
    unlimited = StreamState("2026", 5, 9, 4, 700, 0.0)
    ScorerMetrics(registry).bus.streams({"MEASUREMENTS": replace(unlimited, limit=900), "EXCHANGES": unlimited})
    found = samples(registry)
    assert 'peyvand_stream_limit_bytes{stream="EXCHANGES"}' not in found
    assert {name: found[f'peyvand_stream_{name}{{stream="MEASUREMENTS"}}'] for name in _STREAM} == _STREAM


_STREAM = {"messages": 4.0, "bytes": 700.0, "limit_bytes": 900.0, "last_sequence": 9.0}


def test_findings_are_counted_by_kind_and_review(registry: CollectorRegistry) -> None:
    """Open findings are counted, with every kind from zero on. Findings that have ended are not."""
    metrics = ScorerMetrics(registry)
    metrics.exchanges.found(
        [finding(), finding(since=SINCE + 3_600, review=Review.CONFIRMED), finding(since=0, ended_at=1)]
    )
    labels = {"kind": "silence"}
    values = {state: registry.get_sample_value("peyvand_findings", {**labels, "state": state}) for state in Review}
    assert values == {"open": 1.0, "confirmed": 1.0, "dismissed": 0.0}
    assert registry.get_sample_value("peyvand_findings", {"kind": "rise", "state": "open"}) == 0.0
