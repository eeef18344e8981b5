from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from services.core.evidence import Kind, Losses
from services.indicator.explain import explain, gather
from services.indicator.index import Frame
from tests.property.indicator_cases import Case, cases, index_of, register_of, snapshot


def pieces(found, days):
    """The evidence of a window cut in two, as blocks of consumers arrive."""
    links, half = found.links[days], len(found.links[days].ids) // 2
    return [
        (links.ids[part], links.slots[part], links.counts[:, part]) for part in (slice(half, None), slice(None, half))
    ]


@settings(max_examples=60, deadline=None)
@given(cases())
def test_an_explanation_accounts_for_the_whole_loss(case: Case) -> None:
    """For every set of links: the estimate is the index's bit for bit; losses by stage, provider and link each sum to 1 - estimate."""
    frame = Frame.of(register_of(case.register))
    found = snapshot(case, frame=frame)
    shares = gather(frame, pieces(found, case.days))
    everything = index_of(case)
    for kind in Kind:
        for entity in found.columns[kind, case.days].ids:
            explanation = explain(frame, shares, kind, entity, limit=100)
            if kind is Kind.ENDPOINT or (kind.label, entity) not in everything:
                assert explanation is None
                continue
            assert explanation is not None
            one = everything[kind.label, entity]
            assert explanation.estimate == one["estimate"]
            if explanation.estimate is None:
                assert (explanation.losses, explanation.providers, explanation.links) == (Losses(), (), ())
                continue
            stages = [getattr(explanation.losses, name) for name in Losses.__slots__]
            assert stages == pytest.approx(list(one["losses"]), abs=1e-12)
            lost = 1 - explanation.estimate
            for parts in (explanation.providers, explanation.links):
                assert sum(part.loss for part in parts) == pytest.approx(lost, abs=1e-12)
                assert [part.loss for part in parts] == sorted((part.loss for part in parts), reverse=True)
                for part in parts:
                    split = [getattr(part.losses, name) for name in Losses.__slots__]
                    assert part.loss > 0
                    assert sum(split) == pytest.approx(part.loss, abs=1e-12)
            for cost in explanation.links:
                assert (cost.point is None) == (everything["link", cost.link]["known"] == 0)
                assert cost.known_share == everything["link", cost.link]["known_share"]


@settings(max_examples=40, deadline=None)
@given(cases(whole=True))
def test_index_if_fixed_is_the_index_with_the_link_ok(case: Case) -> None:
    """Where nothing is imputed, fixing a link in the evidence gives exactly the index the explanation promised."""
    frame = Frame.of(register_of(case.register))
    shares = gather(frame, pieces(snapshot(case, frame=frame), case.days))
    explanation = explain(frame, shares, Kind.GOVERNMENT, "gov")
    for cost in explanation.links if explanation else ():
        fixed = case.copy()
        fixed.measurements = [(*row[:5], 5) if row[:2] == (False, cost.link) else row for row in case.measurements]
        assert index_of(fixed)["government", "gov"]["point"] == pytest.approx(cost.index_if_fixed, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(cases())
def test_evidence_of_unknown_links_is_left_out(case: Case) -> None:
    """Blocks that know more links than the frame change nothing; links that no block knows are not in force."""
    frame = Frame.of(register_of(case.register))
    known = pieces(snapshot(case, frame=frame), case.days)
    stranger = (["zz"], np.array([10]), np.full((6, 1), 1))
    one, other = gather(frame, known), gather(frame, [*known, stranger])
    assert (one.omega == other.omega).all()
    assert (one.counts == other.counts).all()
    assert gather(frame, []).slots.sum() == 0
    assert explain(frame, gather(frame, []), Kind.GOVERNMENT, "gov") is None
    assert explain(frame, one, Kind.SERVICE, "zz") is None


@settings(max_examples=20, deadline=None)
@given(cases())
def test_the_limit_cuts_the_tail(case: Case) -> None:
    """A limit names the costliest only; the estimate and the losses by stage stay those of the whole."""
    frame = Frame.of(register_of(case.register))
    shares = gather(frame, pieces(snapshot(case, frame=frame), case.days))
    whole = explain(frame, shares, Kind.GOVERNMENT, "gov", limit=100)
    short = explain(frame, shares, Kind.GOVERNMENT, "gov", limit=1)
    if whole is not None and short is not None:
        assert (short.estimate, short.losses) == (whole.estimate, whole.losses)
        assert (short.providers, short.links) == (whole.providers[:1], whole.links[:1])
