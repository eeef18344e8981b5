"""Pairs of agencies and of sectors equal those of the oracle, and together make up the government."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from services.core.model.indicator import IndicatorKind
from services.core.model.outcome import LOSS_STAGES
from services.indicator.index.pairs import PairColumns
from services.indicator.register_arrays import RegisterArrays
from services.indicator.shares import LinkShares
from tests.support.cases.api.indicator_answers import register_of, snapshot
from tests.support.cases.indicator import Case, cases
from tests.support.oracles import index as oracle

SLACK = 1e-12


@settings(max_examples=60)
@given(cases())
def test_pairs_are_those_of_the_oracle(case: Case) -> None:
    """Each pair with weight has the oracle's point, bounds, losses and counts; there are no others, and they are in order."""
    arrays = RegisterArrays.of(register_of(case.register))
    links = snapshot(case, arrays=arrays).links[case.days]
    shares = LinkShares.of(arrays, links.slots, links.counts, links.paper)
    truth = oracle.pairs_of_measurements(case.register, case.measurements, days=case.days, end_slot=case.end_slot)
    provider_sector = arrays.agency_sector[arrays.provider]
    found = {}
    for kind, ids, consumer, provider in (
        ("pair", arrays.agencies, arrays.consumer, arrays.provider),
        ("sectors", arrays.sectors, arrays.sector, provider_sector),
    ):
        pairs = PairColumns.of(shares, consumer, provider)
        names = [(ids[one], ids[other]) for one, other in zip(pairs.consumer, pairs.provider, strict=True)]
        assert names == sorted(names)
        rows = pairs.rows(np.arange(len(names)))
        found.update({(kind, " ".join(name)): row for name, row in zip(names, rows, strict=True)})
    assert found.keys() == truth.keys()
    for key, row in found.items():
        expected = truth[key]
        point = None if expected.point is None else pytest.approx(float(expected.point), abs=SLACK)
        assert row.index.point == point
        for name in ("lower", "upper", "known_share"):
            assert getattr(row.index, name) == pytest.approx(float(getattr(expected, name)), abs=SLACK)
        losses = [getattr(row.losses, stage) for stage in LOSS_STAGES]
        assert losses == pytest.approx([float(loss) for loss in expected.losses], abs=SLACK)
        counts = (row.index.links, row.links_known, row.links_absent)
        assert counts == (expected.required, expected.known, expected.absent)


@settings(max_examples=60)
@given(cases())
def test_pairs_make_up_the_government(case: Case) -> None:
    """Weighted by their links, the lower bounds and known shares of all pairs are the government's."""
    arrays = RegisterArrays.of(register_of(case.register))
    found = snapshot(case, arrays=arrays)
    links, government = found.links[case.days], found.columns[IndicatorKind.GOVERNMENT, case.days]
    shares = LinkShares.of(arrays, links.slots, links.counts, links.paper)
    means = PairColumns.of(shares, arrays.consumer, arrays.provider).means
    if not government.applies[0]:
        assert len(means.total) == 0
        return
    for name in ("lower", "known_share"):
        mean = (means.total * getattr(means, name)).sum() / means.total.sum()
        assert mean == pytest.approx(getattr(government, name)[0], abs=SLACK)
