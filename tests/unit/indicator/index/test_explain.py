from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from services.core.model.indicator import IndicatorKind, Losses
from services.indicator.index.explain import explain_index, gather_shares
from services.indicator.index.what_if import Imputation
from services.indicator.register_arrays import RegisterArrays
from tests.support.cases.api.indicator_answers import index_of, register_of, snapshot
from tests.support.cases.indicator import Case, cases
from tests.support.oracles import index as oracle


def explained(shares, kind, entity, **options):
    """Return the explanation of one set of links."""
    return explain_index(shares, Imputation.of(shares), kind, entity, **options)


def pieces(found, days):
    """Return the evidence of a window in two parts, as blocks of consumers arrive."""
    links, half = found.links[days], len(found.links[days].ids) // 2
    return [
        (links.ids[part], links.slots[part], links.counts[:, part]) for part in (slice(half, None), slice(None, half))
    ]


@settings(max_examples=60)
@given(cases())
def test_an_explanation_accounts_for_the_whole_loss(case: Case) -> None:
    """The estimate equals the index bit for bit. Losses by stage, provider and link each sum to 1 - estimate."""
    arrays = RegisterArrays.of(register_of(case.register))
    found = snapshot(case, arrays=arrays)
    shares = gather_shares(arrays, pieces(found, case.days), found.links[case.days].paper)
    everything = index_of(case)
    for kind in IndicatorKind:
        for entity in found.columns[kind, case.days].ids:
            explanation = explained(shares, kind, entity, limit=100)
            if kind is IndicatorKind.ENDPOINT or (kind.label, entity) not in everything:
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
            worst = [provider.loss for provider in explanation.providers]
            assert worst == sorted(worst, reverse=True)
            for parts in (explanation.providers, explanation.links):
                assert sum(part.loss for part in parts) == pytest.approx(lost, abs=1e-12)
                for part in parts:
                    split = [getattr(part.losses, name) for name in Losses.__slots__]
                    assert part.loss > 0
                    assert sum(split) == pytest.approx(part.loss, abs=1e-12)
            for cost in explanation.links:
                assert (cost.point is None) == shares.imputed[arrays.links.index(cost.link)]
                assert cost.known_share == everything["link", cost.link]["known_share"]


def rescored(case: Case, link: str) -> dict:
    """Return every indicator by the oracle when one link is live and OK in all its slots, by (kind, id)."""
    register = case.copy().register
    for row in register["links"]:
        row["live_from"] = "always" if row["id"] == link else row["live_from"]
    verdicts = oracle.verdicts(register, case.measurements)
    verdicts |= {(False, link, slot): 5 for slot in case.slots}
    return oracle.index(register, verdicts, days=case.days, end_slot=case.end_slot)


@settings(max_examples=40)
@given(cases())
def test_what_a_fixed_link_brings_equals_a_full_scoring(case: Case) -> None:
    """For every link, the index and L if fixed equal the oracle's for evidence in which that link is OK."""
    arrays = RegisterArrays.of(register_of(case.register))
    found = snapshot(case, arrays=arrays)
    shares = gather_shares(arrays, pieces(found, case.days), found.links[case.days].paper)
    scored = {link["id"]: rescored(case, link["id"]) for link in case.links()}
    for kind in IndicatorKind:
        for entity in found.columns[kind, case.days].ids:
            explanation = explained(shares, kind, entity, limit=100)
            for cost in explanation.links if explanation else ():
                truth = scored[cost.link][kind.label, entity]
                assert abs(cost.index_if_fixed - truth.estimate) <= 1e-12
                assert abs(cost.lower_if_fixed - truth.lower) <= 1e-12


def members(case: Case, kind: IndicatorKind, entity: str) -> list[str]:
    """Return the links of one set, in force or not."""
    consumer = {service["id"]: service["agency"] for service in case.register["services"]}
    sector = {agency["id"]: agency["sector"] for agency in case.register["agencies"]}

    def of(link: dict) -> str:
        owner = consumer[link["service"]]
        return {
            IndicatorKind.GOVERNMENT: case.register["government"],
            IndicatorKind.SECTOR: sector[owner],
            IndicatorKind.CONSUMER: owner,
            IndicatorKind.PROVIDER: link["provider"],
            IndicatorKind.SERVICE: link["service"],
            IndicatorKind.LINK: link["id"],
        }[kind]

    return [link["id"] for link in case.links() if of(link) == entity]


SETS = tuple(kind for kind in IndicatorKind if kind is not IndicatorKind.ENDPOINT)


def assert_listed_by_gain(case: Case, kinds: Sequence[IndicatorKind] = SETS) -> None:
    """Assert that the links of every set are listed by what the oracle gains from fixing each, the best first.

    Links without a known slot come last.
    """
    arrays = RegisterArrays.of(register_of(case.register))
    found = snapshot(case, arrays=arrays)
    shares = gather_shares(arrays, pieces(found, case.days), found.links[case.days].paper)
    before = oracle.index_of_measurements(case.register, case.measurements, days=case.days, end_slot=case.end_slot)
    then = {link["id"]: rescored(case, link["id"]) for link in case.links()}

    def seen(link: str) -> bool:
        return before[IndicatorKind.LINK.label, link].known_share > 0

    for kind in kinds:
        for entity in found.columns[kind, case.days].ids:
            estimate = getattr(before.get((kind.label, entity)), "estimate", None)
            if estimate is None:
                continue
            gain = {one: then[one][kind.label, entity].estimate - estimate for one in members(case, kind, entity)}
            for limit in (1, 2, 100):
                explanation = explained(shares, kind, entity, limit=limit)
                listed = [cost.link for cost in explanation.links]
                wanted = sorted(((seen(one), by) for one, by in gain.items() if by > 0), reverse=True)[:limit]
                assert len(listed) == len(wanted)
                for one, (known, best) in zip(listed, wanted, strict=True):
                    assert seen(one) == known
                    assert abs(gain[one] - best) <= Fraction(1, 10**12)


@settings(max_examples=60)
@given(cases())
def test_what_would_raise_it_most_comes_first(case: Case) -> None:
    """Of all links of a set, those with the largest gain are listed first. Unmeasured and imputed ones follow."""
    assert_listed_by_gain(case)


def test_a_link_from_which_others_are_imputed_comes_before_those_that_lose_as_much() -> None:
    """In a service of five, the one link known to fail is listed first, though twelve others lose more each."""
    services = {"wide": 5, **{f"s{n:02}": 2 for n in range(12)}}
    links = [(f"{service}-{n}", service) for service, many in services.items() for n in range(many)]
    register = {
        "government": "gov",
        "timezone": "UTC",
        "epoch": 1_700_000_000,
        "slot_seconds": 14_400,
        "threshold": Fraction(4, 5),
        "agencies": [{"id": "a0", "sector": "x"}, {"id": "a1", "sector": "x"}],
        "services": [{"id": service, "agency": "a0", "weight": 1} for service in services],
        "links": [
            {
                "id": link,
                "service": service,
                "provider": "a1",
                "required_from": None,
                "required_until": None,
                "live_from": "always",
                "vantages": (),
                "weight": 1,
            }
            for link, service in links
        ],
        "endpoints": [],
    }
    case = Case(register=register, measurements=[], days=1, end_slot=1_700_000_000 // 14_400 + 4)
    for link, _ in links:
        if not link.startswith("wide") or link == "wide-4":
            stage = 5 if link.endswith("-1") else 1
            case.measurements += [(False, link, "north", slot, slot * 14_400 * 10**6, stage) for slot in case.slots]
    assert_listed_by_gain(case, [IndicatorKind.GOVERNMENT])
    arrays = RegisterArrays.of(register_of(register))
    found = snapshot(case, arrays=arrays)
    shares = gather_shares(arrays, pieces(found, case.days), found.links[case.days].paper)
    explanation = explained(shares, IndicatorKind.GOVERNMENT, "gov")
    first, *others = [(cost.link, cost.index_if_fixed - explanation.estimate) for cost in explanation.links]
    assert first == ("wide-4", pytest.approx(1 / 13))
    assert others == [(f"s{n:02}-0", pytest.approx(1 / 26)) for n in range(9)]
    assert explanation.links[0].loss == pytest.approx(1 / 65)
    tied = explained(shares, IndicatorKind.SERVICE, "wide")
    assert [cost.link for cost in tied.links] == [f"wide-{n}" for n in (4, 0, 1, 2, 3)]


def test_a_hundred_fixed_links_equal_a_full_scoring() -> None:
    """Fixing any of 100 links drawn from 130, many unknown or absent, gives each set the index of a full scoring."""
    rng = np.random.default_rng(20260301)
    links, services, agencies = 130, 30, 8
    owner = rng.integers(agencies, size=services)
    service = rng.integers(services, size=links)
    register = {
        "government": "gov",
        "timezone": "UTC",
        "epoch": 1_700_000_000,
        "slot_seconds": 14_400,
        "threshold": Fraction(4, 5),
        "agencies": [{"id": f"a{n}", "sector": f"x{n % 3}"} for n in range(agencies)],
        "services": [{"id": f"s{n}", "agency": f"a{owner[n]}", "weight": n % 4 / 2} for n in range(services)],
        "links": [
            {
                "id": f"l{n}",
                "service": f"s{service[n]}",
                "provider": f"a{(owner[service[n]] + 1 + n % (agencies - 1)) % agencies}",
                "required_from": None,
                "required_until": None,
                "live_from": None if n % 7 == 0 else "always",
                "vantages": (),
                "weight": 1.0 + n % 3,
            }
            for n in range(links)
        ],
        "endpoints": [],
    }
    case = Case(register=register, measurements=[], days=1, end_slot=1_700_000_000 // 14_400 + 4)
    for n in range(links):
        if service[n] % 5 and rng.random() < 0.6:
            case.measurements += [
                (False, f"l{n}", "north", slot, slot * 14_400 * 10**6, int(rng.integers(6))) for slot in case.slots
            ]
    arrays = RegisterArrays.of(register_of(register))
    found = snapshot(case, arrays=arrays)
    shares = gather_shares(arrays, pieces(found, case.days), found.links[case.days].paper)
    promised = {
        (kind.label, entity, cost.link): cost
        for kind in (
            IndicatorKind.GOVERNMENT,
            IndicatorKind.SECTOR,
            IndicatorKind.CONSUMER,
            IndicatorKind.PROVIDER,
            IndicatorKind.SERVICE,
            IndicatorKind.LINK,
        )
        for entity in snapshot(case, arrays=arrays).columns[kind, case.days].ids
        for cost in getattr(explained(shares, kind, entity, limit=links), "links", ())
    }
    costs = [cost for key, cost in promised.items() if key[0] == "government"]
    assert any(cost.point is None for cost in costs)
    assert any(cost.point == 0 for cost in costs)
    for one in rng.permutation(len(costs))[:100]:
        truth = rescored(case, costs[one].link)
        for (label, entity, link), cost in promised.items():
            if link == costs[one].link:
                assert abs(cost.index_if_fixed - truth[label, entity].estimate) <= 1e-12
                assert abs(cost.lower_if_fixed - truth[label, entity].lower) <= 1e-12


@settings(max_examples=20)
@given(cases())
def test_evidence_of_unknown_links_is_left_out(case: Case) -> None:
    """Blocks with links outside the register change nothing. Links that are in no block are not in force."""
    arrays = RegisterArrays.of(register_of(case.register))
    found = snapshot(case, arrays=arrays)
    known, paper = pieces(found, case.days), found.links[case.days].paper
    stranger = (["zz"], np.array([10]), np.full((6, 1), 1))
    one, other = gather_shares(arrays, known, paper), gather_shares(arrays, [*known, stranger], paper)
    assert (one.omega == other.omega).all()
    assert (one.counts == other.counts).all()
    nothing = gather_shares(arrays, [], paper)
    assert nothing.slots.sum() == 0
    assert explained(nothing, IndicatorKind.GOVERNMENT, "gov") is None
    assert explained(one, IndicatorKind.SERVICE, "zz") is None


@settings(max_examples=20)
@given(cases())
def test_the_limit_cuts_the_tail(case: Case) -> None:
    """A limit leaves only the first links and providers. The estimate and the losses by stage cover the whole set."""
    arrays = RegisterArrays.of(register_of(case.register))
    found = snapshot(case, arrays=arrays)
    shares = gather_shares(arrays, pieces(found, case.days), found.links[case.days].paper)
    whole = explained(shares, IndicatorKind.GOVERNMENT, "gov", limit=100)
    short = explained(shares, IndicatorKind.GOVERNMENT, "gov", limit=1)
    if whole is not None and short is not None:
        assert (short.estimate, short.losses) == (whole.estimate, whole.losses)
        assert (short.providers, short.links) == (whole.providers[:1], whole.links[:1])
