"""ExplainIndicator over a real gRPC server, against sums made by hand."""

from __future__ import annotations

from dataclasses import replace

import grpc
import numpy as np
import pytest

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.answers.link_shares import WindowEvidenceCache, gather_consumer
from services.core.blocks.target_blocks import encode_recent_blocks, encode_slot_blocks
from services.core.bus import group_of, recent_key, slot_key
from services.core.errors import BusError
from services.core.model.indicator import IndicatorKind, Losses
from services.core.model.outcome import Outcome, Reason
from services.indicator.index.explain import explain_index
from tests.support.cases.api.blocks import AS_OF, COUNTED_FROM, blocks_of, recent_block, slot_block_of
from tests.support.values.reconciliations import LAST_HOUR, LOOKED_AT, disagreeing, silent

STAGES = ("not_connected", "not_answered", "invalid", "late", "stale")


def total(losses):
    return sum(getattr(losses, stage) for stage in STAGES)


async def explained(api, **asked):
    return await api.indicators.ExplainIndicator(messages.ExplainIndicatorRequest(**asked))


async def test_the_government_is_explained_by_stage_provider_and_link(api):
    """Losses by stage, provider and link each sum to 1 - estimate, which is the published point; the costliest lead."""
    answer = await explained(api, kind=IndicatorKind.GOVERNMENT, limit=100)
    assert answer.estimate == pytest.approx(answer.indicator.point, abs=1e-12)
    lost = 1 - answer.estimate
    assert total(answer.losses) == pytest.approx(lost, abs=1e-12)
    assert sum(one.loss for one in answer.providers) == pytest.approx(lost, abs=1e-12)
    assert sum(one.loss for one in answer.links) == pytest.approx(lost, abs=1e-12)
    costs = [one.loss for one in answer.links]
    assert costs == sorted(costs, reverse=True)
    assert len(answer.links) == 8
    # transfer-customs is absent. It is half of its service, which has one of six shares (title-deed weighs 2).
    worst = answer.links[0]
    assert (worst.link.id, worst.link.absent, worst.link.consumer) == ("transfer-customs", True, "land-registry")
    assert worst.loss == pytest.approx(1 / 12, abs=1e-12)
    assert worst.losses.not_connected == pytest.approx(worst.loss, abs=1e-12)
    assert worst.index_if_fixed == pytest.approx(answer.estimate + 1 / 12, abs=1e-12)
    assert answer.losses.late == pytest.approx(lost - 1 / 12, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "entity", "links"),
    [
        (IndicatorKind.SECTOR, "economy", {"clearance-customs", "clearance-land", "permit-tax"}),
        (IndicatorKind.CONSUMER, "tax-office", {"clearance-customs", "clearance-land"}),
        (IndicatorKind.PROVIDER, "tax-office", {"birth-tax", "deed-tax", "permit-tax"}),
        (IndicatorKind.SERVICE, "title-deed", {"deed-civil", "deed-tax"}),
        (IndicatorKind.LINK, "deed-tax", {"deed-tax"}),
    ],
)
async def test_every_kind_is_explained_by_its_own_links(api, kind, entity, links):
    """A sector, agency, service or link is explained by its own links and by no other."""
    answer = await explained(api, kind=kind, id=entity, limit=100)
    assert {one.link.id for one in answer.links} == links
    assert answer.estimate == pytest.approx(answer.indicator.point, abs=1e-12)


async def test_a_link_is_explained_by_its_consumers_block_as_by_all(api):
    """A link's explanation from its consumer's few links is the same, to the last bit, as from the whole window."""
    model = api.state.model
    whole = await WindowEvidenceCache(model).of_window(28)
    for link in api.register.links:
        part = gather_consumer(model.view, model.whole, link, 28)
        assert part is not None
        assert whole is not None
        assert len(part.view.register.links) < len(api.register.links)
        found, other = (explain_index(one.shares, one.imputation, IndicatorKind.LINK, link) for one in (part, whole))
        assert found == other


async def test_a_link_that_was_not_measured_is_explained_as_published(api):
    """An unmeasured link is imputed from links of other consumers, so its share and losses are taken from its block."""
    key, block, model = "consumer.land-registry", blocks_of(api.register)["consumer.land-registry"], api.state.model
    unmeasured = tuple(replace(one, verdicts=one.verdicts * 0) for one in block.links)
    api.take(key, replace(block, links=unmeasured))
    whole = await WindowEvidenceCache(model).of_window(28)
    shares, arrays = whole.shares, whole.view.arrays
    at = arrays.links.index("deed-tax")
    assert shares.imputed[at]

    places = [arrays.links.index(link) for link in block.links[0].ids]
    losses = Losses(*shares.profile[:, at].tolist())
    api.take(
        key,
        replace(
            block,
            indicators=tuple(
                replace(row, point=float(shares.share[at]), losses=losses) if row.id == "deed-tax" else row
                for row in block.indicators
            ),
            links=tuple(replace(one, share=shares.share[places]) for one in unmeasured),
        ),
    )
    part = gather_consumer(model.view, model.whole, "deed-tax", 28)
    assert part is not None
    assert len(part.view.register.links) < len(api.register.links)
    found, other = (explain_index(one.shares, one.imputation, IndicatorKind.LINK, "deed-tax") for one in (part, whole))
    assert found is not None
    assert other is not None
    assert other.links[0].index_if_fixed == pytest.approx(1.0, abs=1e-12)
    assert found == replace(other, links=(replace(other.links[0], index_if_fixed=1.0),))
    alike = np.flatnonzero((arrays.provider == arrays.provider[at]) & ~shares.imputed & (shares.connected > 0))
    sources = alike if len(alike) else np.flatnonzero(~shares.imputed & (shares.connected > 0))
    answer = await explained(api, kind=IndicatorKind.LINK, id="deed-tax")
    assert answer.estimate == pytest.approx(np.average(shares.share[sources], weights=shares.omega[sources]), abs=1e-12)
    assert (answer.links[0].HasField("point"), answer.links[0].index_if_fixed) == (False, 1.0)


async def test_the_limit_cuts_both_lists(api):
    """At most as many providers and links are named as requested, ten by default."""
    answer = await explained(api, kind=IndicatorKind.GOVERNMENT, limit=2)
    assert (len(answer.providers), len(answer.links)) == (2, 2)
    assert len((await explained(api, kind=IndicatorKind.GOVERNMENT)).links) == 8


async def test_an_explanation_never_mixes_two_refreshes(api):
    """While blocks of a refresh are missing, the previous refresh is explained, with its as_of; then the new one."""
    newer = blocks_of(api.register, as_of=AS_OF + 300, ok={"birth-tax": 0, "deed-tax": 0})
    government = newer.pop("government")
    before = await explained(api, kind=IndicatorKind.GOVERNMENT)
    for key, block in newer.items():
        api.take(key, block)
        during = await explained(api, kind=IndicatorKind.GOVERNMENT)
        assert during.indicator.as_of.seconds == AS_OF
        assert during.estimate == before.estimate
    api.take("government", government)
    after = await explained(api, kind=IndicatorKind.GOVERNMENT)
    assert after.indicator.as_of.seconds == AS_OF + 300
    assert after.estimate == pytest.approx(after.indicator.point, abs=1e-12)
    assert after.estimate < before.estimate


async def test_an_agency_that_left_the_register_holds_nothing_up(api):
    """A block of an agency that left the register does not hold back newer explanations."""
    left_behind = blocks_of(api.register)["consumer.customs"]
    api.take("consumer.abolished", left_behind)
    api.take_blocks(as_of=AS_OF + 300)
    assert (await explained(api, kind=IndicatorKind.GOVERNMENT)).indicator.as_of.seconds == AS_OF + 300


async def test_what_cannot_be_explained_is_refused(api, empty_api, refusal):
    """A limit too large, an unknown link and evidence that is not published yet have their own status."""
    ask = api.indicators.ExplainIndicator
    code, info, _ = await refusal(
        ask(messages.ExplainIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT, limit=1001))
    )
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "LIMIT_TOO_LARGE")
    code, info, _ = await refusal(
        ask(messages.ExplainIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_LINK, id="no"))
    )
    assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, "LINK_UNKNOWN")
    api.state.model.whole.clear()
    code, info, _ = await refusal(ask(messages.ExplainIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "EVIDENCE_UNPUBLISHED")


async def test_a_link_is_explained_by_its_evidence(api):
    """An explained link has slots, reasons with shares and times, the latest per vantage, last failures and burns."""
    slot = AS_OF // 300 - 4
    cells = {
        ("deed-tax", slot, "north"): (Outcome.INVALID, Reason.STATUS),
        ("deed-tax", slot + 1, "south"): (Outcome.OK, Reason.OK),
        ("deed-tax", slot + 1, "north"): (Outcome.LATE, Reason.LATE),
        ("deed-tax", slot + 2, "north"): (Outcome.OK, Reason.OK),
        ("deed-tax", slot + 3, "north"): (Outcome.INVALID, Reason.STATUS),
    }
    chunk = slot // 64
    here = {key: value for key, value in cells.items() if key[1] // 64 == chunk}
    api.bucket.values |= {
        slot_key(group_of("land-registry"), chunk): encode_slot_blocks(
            [slot_block_of(api.register, "land-registry", chunk, here)]
        )[0],
        recent_key(group_of("land-registry"), 0): encode_recent_blocks([recent_block(api.register)])[0],
    }
    found = (await explained(api, kind=IndicatorKind.LINK, id="deed-tax")).findings
    assert (found.slots, found.ok, found.late) == (100, 90, 10)
    assert len(here) == 5, "the slots of this test lie in one chunk"
    assert [(one.reason, one.slots, one.share) for one in found.reasons] == [
        (Reason.STATUS, 2, 0.5),
        (Reason.LATE, 1, 0.25),
    ]
    assert (found.reasons_from.seconds, found.reasons_to.seconds) == (chunk * 64 * 300, (chunk + 1) * 64 * 300)
    assert [(one.vantage, one.outcome, one.reason) for one in found.latest] == [
        ("north", Outcome.OK, Reason.OK),
        ("south", Outcome.UNKNOWN, Reason.SHED),
    ]
    assert found.latest[0].latency.ToMicroseconds() == 20_000
    assert found.latest[0].phases.tls.ToMicroseconds() == 3_000
    assert not found.latest[0].phases.HasField("transfer")
    assert found.latest[0].certificate_expiry.seconds == 1_900_000_000
    assert not found.latest[1].HasField("time")
    (failure,) = found.failures
    assert (failure.link, failure.detail, failure.slot_start.seconds) == ("deed-tax", "status 503", AS_OF - 600)
    burns = {one.span: (one.known, one.failed, round(one.burn, 9), one.burning) for one in found.burns}
    assert burns["1h"] == (10, 5, 50.0, True)
    assert burns["6h"] == (10, 0, 0.0, False)


async def test_evidence_that_cannot_be_decoded_is_left_out(api):
    """A link is explained by the blocks that can be decoded, without those that cannot."""
    chunk = AS_OF // 300 // 64 - 1
    block = slot_block_of(
        api.register, "land-registry", chunk, {("deed-tax", chunk * 64, "north"): (Outcome.OK, Reason.OK)}
    )
    recent = recent_block(api.register)
    api.bucket.values |= {
        slot_key(group_of("land-registry"), chunk): encode_slot_blocks([block])[0],
        recent_key(group_of("land-registry"), 0): encode_recent_blocks([recent])[0],
    }
    whole = await explained(api, kind=IndicatorKind.LINK, id="deed-tax")
    elsewhere = replace(recent.latest, numbers=recent.latest.numbers + 2 * (np.arange(14) == 1)[:, None])
    api.bucket.values |= {
        slot_key(group_of("land-registry"), chunk + 1): b"\xff\xff\xff",
        recent_key(group_of("land-registry"), 1): encode_recent_blocks([replace(recent, latest=elsewhere)])[0],
        recent_key(group_of("land-registry"), 2): b"\xff\xff\xff",
    }
    assert await explained(api, kind=IndicatorKind.LINK, id="deed-tax") == whole


async def test_a_link_is_explained_by_what_its_agencies_exchanged(api):
    """The volume of the pair is that of the longest window, with the span that it counts over, for every window.
    The link's own exchanges are those of the requested window, with the time of the check and their last hour.
    """
    block = blocks_of(api.register)["consumer.land-registry"]
    api.take("consumer.land-registry", replace(block, reconciliations=(disagreeing(window_days=7), silent())))
    for window in (7, 28):
        found = (await explained(api, kind=IndicatorKind.LINK, id="deed-civil", window_days=window)).findings
        one = found.exchanges
        assert (one.consumer, one.provider) == ("land-registry", "civil-registry")
        assert (one.count, one.ok, one.bus_failures, one.provider_failures) == (40, 38, 1, 1)
        assert (one.slots_from.seconds, one.slots_to.seconds) == (COUNTED_FROM, AS_OF)
        assert one.last_slot.seconds == AS_OF - 300
        assert found.HasField("reconciliation") == (window == 7)
    week = (await explained(api, kind=IndicatorKind.LINK, id="deed-civil", window_days=7)).findings.reconciliation
    assert (week.exchanges, week.window_days) == (1234, 7)
    assert (week.as_of.seconds, week.last_hour.seconds) == (LOOKED_AT, LAST_HOUR)
    never = (await explained(api, kind=IndicatorKind.LINK, id="deed-tax")).findings
    assert not never.HasField("exchanges")
    assert (never.reconciliation.silent, never.reconciliation.as_of.seconds) == (True, LOOKED_AT)
    assert not never.reconciliation.HasField("last_hour")


async def test_an_absent_link_failed_for_being_absent(api):
    """Every slot of a link on paper has the reason ABSENT, and measurements that no probe made are not shown."""
    chunk = AS_OF // 300 // 64 - 1
    block = slot_block_of(api.register, "land-registry", chunk, {})
    api.bucket.values[slot_key(group_of("land-registry"), chunk)] = encode_slot_blocks([block])[0]
    found = (await explained(api, kind=IndicatorKind.LINK, id="transfer-customs")).findings
    assert [(one.reason, one.slots, one.share) for one in found.reasons] == [(Reason.ABSENT, 64, 1.0)]
    assert (found.slots, found.not_connected, len(found.latest), len(found.burns)) == (100, 100, 0, 0)


async def test_evidence_out_of_reach_is_said(api, refusal):
    """Without the bus a link's explanation is UNAVAILABLE; the government's needs no bus."""
    api.bucket.error = BusError("gone")
    request = messages.ExplainIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_LINK, id="deed-tax")
    code, info, _ = await refusal(api.indicators.ExplainIndicator(request))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "EVIDENCE_UNREACHABLE")
    assert not (await explained(api, kind=IndicatorKind.GOVERNMENT)).HasField("findings")


@pytest.mark.parametrize(
    ("known_share", "point", "late", "estimate"),
    [(1.0, 0.9, 0.1, 0.9), (0.5, None, 0.1, 0.9), (0.5, None, 0.0, 1.0), (0.5, None, 1.0, 0.0), (0.0, None, 0.0, 0.0)],
)
async def test_an_endpoint_is_explained_although_too_little_is_known(api, known_share, point, late, estimate):
    """The estimate and the losses are of the same slots, those that are known; nothing known is no estimate."""
    key = "consumer.tax-office"
    block = blocks_of(api.register)[key]
    portal = replace(
        block.indicators[0],
        kind=IndicatorKind.ENDPOINT,
        id="portal",
        window_days=28,
        point=point,
        known_share=known_share,
        losses=Losses(late=late),
        strict=None,
    )
    api.take(key, replace(block, indicators=(*block.indicators, portal)))
    answer = await explained(api, kind=IndicatorKind.ENDPOINT, id="portal")
    assert answer.indicator.HasField("point") == (point is not None)
    assert answer.estimate == pytest.approx(estimate, abs=1e-12)
    assert total(answer.losses) == late
