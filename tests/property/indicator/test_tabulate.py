"""Every agency is in one band and every link in one group, and the groups' indexes are those of the oracle's kinds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.model.indicator import IndicatorKind
from services.indicator.index.tabulate import BANDS, quantile_bands, tabulate_links
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares
from tests.support.cases.api.indicator_answers import register_of, snapshot, truth_of
from tests.support.cases.indicator import Case, cases
from tests.support.oracles import index as oracle

SLACK = 1e-12


@given(st.lists(st.one_of(st.none(), st.integers(0, 12).map(float)), max_size=40))
def test_bands_divide_what_is_stated(values: list[float | None]) -> None:
    """Every value is in the one band whose limits hold it, limits never meet, and equal values share a band. There are
    no more bands than different values, and at most four. None is larger than a quarter and one value's repetitions.
    """
    band, spans = quantile_bands(values)
    stated = [value for value in values if value is not None]
    assert [at >= 0 for at in band] == [value is not None for value in values]
    for value, at in zip(values, band, strict=True):
        if value is not None:
            low, high = spans[at]
            assert low <= value <= high
    assert all(one[1] < other[0] for one, other in itertools.pairwise(spans))
    assert len(spans) <= min(BANDS, len(set(stated)))
    assert bool(spans) == bool(stated)
    for at in range(len(spans)):
        most = max(stated.count(value) for value in stated)
        assert (band == at).sum() <= len(stated) / BANDS + most + 1


@settings(max_examples=60)
@given(cases())
def test_a_table_by_sector_is_the_index_of_the_sectors(case: Case) -> None:
    """A table grouped by the agencies' sectors gives each sector's index, bounds and counts; levels count every
    service.
    """
    arrays = RegisterArrays.of(register_of(case.register))
    found = snapshot(case, arrays=arrays)
    links, columns = found.links[case.days], found.columns[IndicatorKind.SECTOR, case.days]
    level = found.columns[IndicatorKind.SERVICE, case.days].level
    shares = LinkShares.of(arrays, links.slots, links.counts, links.paper)
    rows = tabulate_links(shares, arrays.service_sector, len(arrays.sectors), level)
    for at, row in enumerate(rows):
        assert row.index.lower == pytest.approx(columns.lower[at], abs=SLACK)
        assert row.index.known_share == pytest.approx(columns.known_share[at], abs=SLACK)
        point = None if np.isnan(columns.point[at]) else pytest.approx(columns.point[at], abs=SLACK)
        assert row.index.point == point
        assert (row.index.links, row.absent) == (columns.links_required[at], columns.links_absent[at])
        assert row.services == (arrays.service_sector == at).sum()
        assert (row.inquiries_per_service is None) == (row.with_links == 0)
    assert sum(row.with_links for row in rows) == len(set(arrays.service[links.slots > 0].tolist()))
    assert sum(sum(row.levels) for row in rows) == (level >= 0).sum()


@settings(max_examples=60)
@given(cases())
def test_all_services_as_one_group_are_the_government(case: Case) -> None:
    """Such a group has the index and bounds that the oracle gives the government. Its burden is that of a brute force
    over the register: links required in some slot of the window, and those of them on paper, over the services that
    have any.
    """
    arrays = RegisterArrays.of(register_of(case.register))
    found = snapshot(case, arrays=arrays)
    links, level = found.links[case.days], found.columns[IndicatorKind.SERVICE, case.days].level
    shares = LinkShares.of(arrays, links.slots, links.counts, links.paper)
    (row,) = tabulate_links(shares, np.zeros(len(arrays.services), np.int64), 1, level)
    required = [link for link in case.links() if any(oracle.in_force(case.register, link, slot) for slot in case.slots)]
    burdened = {link["service"] for link in required}
    on_paper = [link for link in required if link["live_from"] is None]
    assert (row.services, row.with_links) == (len(case.register["services"]), len(burdened))
    assert row.agencies == len({service["agency"] for service in case.register["services"]})
    if not burdened:
        assert (row.inquiries_per_service, row.on_paper_per_service, row.index.links) == (None, None, 0)
        return
    assert row.inquiries_per_service == len(required) / len(burdened)
    assert row.on_paper_per_service == len(on_paper) / len(burdened)
    truth = truth_of(case).get(("government", case.register["government"]))
    if truth is None:  # nothing required has any weight
        assert (row.index.point, row.index.lower, row.index.upper) == (None, 0.0, 1.0)
        return
    assert row.index.point == (None if truth["point"] is None else pytest.approx(float(truth["point"]), abs=SLACK))
    for name in ("lower", "upper", "known_share"):
        assert getattr(row.index, name) == pytest.approx(float(truth[name]), abs=SLACK)
