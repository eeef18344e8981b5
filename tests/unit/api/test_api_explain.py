"""ExplainIndicator over a real gRPC server, against sums made by hand."""

from __future__ import annotations

import grpc
import pytest

from peyvand.v1 import indicator_service_pb2 as messages
from services.core.evidence import Kind
from tests.api_pictures import AS_OF, blocks_of

STAGES = ("not_connected", "not_answered", "invalid", "late", "stale")


def total(losses):
    return sum(getattr(losses, stage) for stage in STAGES)


async def explained(api, **asked):
    return await api.indicators.ExplainIndicator(messages.ExplainIndicatorRequest(**asked))


async def test_the_government_is_explained_by_stage_provider_and_link(api):
    """Losses sum to 1 - estimate three times over; the estimate is the published point; the costliest come first."""
    answer = await explained(api, kind=Kind.GOVERNMENT, limit=100)
    assert answer.estimate == pytest.approx(answer.indicator.point, abs=1e-12)
    lost = 1 - answer.estimate
    assert total(answer.losses) == pytest.approx(lost, abs=1e-12)
    assert sum(one.loss for one in answer.providers) == pytest.approx(lost, abs=1e-12)
    assert sum(one.loss for one in answer.links) == pytest.approx(lost, abs=1e-12)
    costs = [one.loss for one in answer.links]
    assert costs == sorted(costs, reverse=True)
    assert len(answer.links) == 8
    # transfer-customs is absent and half of its service, which is one of six shares (title-deed weighs 2).
    worst = answer.links[0]
    assert (worst.link.id, worst.link.absent, worst.link.consumer) == ("transfer-customs", True, "land-registry")
    assert worst.loss == pytest.approx(1 / 12, abs=1e-12)
    assert worst.losses.not_connected == pytest.approx(worst.loss, abs=1e-12)
    assert worst.index_if_fixed == pytest.approx(answer.estimate + 1 / 12, abs=1e-12)
    assert answer.losses.late == pytest.approx(lost - 1 / 12, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "entity", "links"),
    [
        (Kind.SECTOR, "economy", {"clearance-customs", "clearance-land", "permit-tax"}),
        (Kind.CONSUMER, "tax-office", {"clearance-customs", "clearance-land"}),
        (Kind.PROVIDER, "tax-office", {"birth-tax", "deed-tax", "permit-tax"}),
        (Kind.SERVICE, "title-deed", {"deed-civil", "deed-tax"}),
        (Kind.LINK, "deed-tax", {"deed-tax"}),
    ],
)
async def test_every_kind_is_explained_by_its_own_links(api, kind, entity, links):
    """A sector, agency, service or link is explained by the links that make it up and by no other."""
    answer = await explained(api, kind=kind, id=entity, limit=100)
    assert {one.link.id for one in answer.links} == links
    assert answer.estimate == pytest.approx(answer.indicator.point, abs=1e-12)


async def test_the_limit_cuts_both_lists(api):
    """At most as many providers and links are named as asked for, ten by default."""
    answer = await explained(api, kind=Kind.GOVERNMENT, limit=2)
    assert (len(answer.providers), len(answer.links)) == (2, 2)
    assert len((await explained(api, kind=Kind.GOVERNMENT)).links) == 8


async def test_an_explanation_never_mixes_two_refreshes(api):
    """While only some blocks of a refresh are in, the previous refresh is explained, with its as_of; then the new one."""
    newer = blocks_of(api.register, as_of=AS_OF + 300, ok={"birth-tax": 0, "deed-tax": 0})
    government = newer.pop("government")
    before = await explained(api, kind=Kind.GOVERNMENT)
    for key, block in newer.items():
        api.picture.model.take_block(key, block)
        during = await explained(api, kind=Kind.GOVERNMENT)
        assert during.indicator.as_of.seconds == AS_OF
        assert during.estimate == before.estimate
    api.picture.model.take_block("government", government)
    after = await explained(api, kind=Kind.GOVERNMENT)
    assert after.indicator.as_of.seconds == AS_OF + 300
    assert after.estimate == pytest.approx(after.indicator.point, abs=1e-12)
    assert after.estimate < before.estimate


async def test_an_agency_that_left_the_register_holds_nothing_up(api):
    """A block left behind by an agency the register no longer has does not keep newer explanations back."""
    left_behind = blocks_of(api.register)["consumer.customs"]
    api.picture.model.take_block("consumer.abolished", left_behind)
    api.take_blocks(as_of=AS_OF + 300)
    assert (await explained(api, kind=Kind.GOVERNMENT)).indicator.as_of.seconds == AS_OF + 300


async def test_what_cannot_be_explained_is_refused(api, empty_api, refusal):
    """A limit too large, an unknown link and evidence that has not come yet get their status."""
    ask = api.indicators.ExplainIndicator
    code, info, _ = await refusal(ask(messages.ExplainIndicatorRequest(kind=Kind.GOVERNMENT, limit=1001)))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "LIMIT_TOO_LARGE")
    code, info, _ = await refusal(ask(messages.ExplainIndicatorRequest(kind=Kind.LINK, id="no")))
    assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, "LINK_UNKNOWN")
    api.picture.model.whole.clear()
    code, info, _ = await refusal(ask(messages.ExplainIndicatorRequest(kind=Kind.GOVERNMENT)))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "EVIDENCE_UNPUBLISHED")
