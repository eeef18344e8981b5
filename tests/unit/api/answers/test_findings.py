"""Findings over a real gRPC server: ListFindings, GetLink, GetTraffic, and what each role sees of them."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest

from peyvand.v1 import block_pb2, finding_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.access.roles import ROLE_KEY
from services.core.blocks.compression import parse_block
from services.core.blocks.read import BlockReader
from services.core.model import FindingKind, FindingScope, Review
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.values.block_columns import encoded
from tests.support.values.findings import FLOW, SINCE, finding
from tests.support.values.reconciliations import traffic

SILENT = finding(review=Review.CONFIRMED, note="a certificate expired")
AT_PROVIDER = finding(
    FindingKind.PROVIDER_FAILURES,
    FindingScope.PROVIDER,
    "tax-office",
    SINCE + 3_600,
    flows=("bus land-registry tax-office/title-deed/tax-clearance", "bus someone tax-office/x/y"),
    flow_count=2,
)
OVER = finding(since=SINCE - 86_400, ended_at=SINCE - 3_600, review=Review.DISMISSED)


@pytest.fixture
def found(api):
    """The api with three findings in the government's block."""
    block = replace(blocks_of(api.register)["government"], findings=(SILENT, AT_PROVIDER, OVER), traffic=(traffic(28),))
    api.take("government", block)
    return api


async def _ids(api, role="", **filters):
    metadata = [(ROLE_KEY, role)] if role else []
    answer = await api.indicators.ListFindings(messages.ListFindingsRequest(**filters), metadata=metadata)
    return [one.id for one in answer.findings]


async def test_findings_come_newest_first_and_match_every_filter(found):
    """Ongoing findings are listed, and ended ones on request. A kind, an agency and a link filter them."""
    assert await _ids(found) == [AT_PROVIDER.id, SILENT.id]
    assert await _ids(found, ended=True) == [AT_PROVIDER.id, SILENT.id, OVER.id]
    assert await _ids(found, kind=finding_pb2.FINDING_KIND_SILENCE) == [SILENT.id]
    assert await _ids(found, agency="tax-office") == [AT_PROVIDER.id]
    assert await _ids(found, agency="land-registry") == [AT_PROVIDER.id, SILENT.id]
    assert await _ids(found, link="deed-civil") == [SILENT.id]
    assert await _ids(found, link="deed-tax", kind=finding_pb2.FINDING_KIND_SILENCE) == []


async def test_an_answer_says_how_many_may_be_false_and_what_people_said(found):
    """The answer has the policy's budget, the counts of reviews, and the findings in pages."""
    first = await found.indicators.ListFindings(messages.ListFindingsRequest(ended=True, page_size=2))
    assert (first.false_findings_per_week, first.confirmed, first.dismissed) == (1.0, 1, 1)
    assert first.as_of.seconds == AS_OF
    request = messages.ListFindingsRequest(ended=True, page_size=2, page_token=first.next_page_token)
    second = await found.indicators.ListFindings(request)
    assert [one.id for one in second.findings] == [OVER.id]
    assert not second.next_page_token


async def test_a_finding_is_a_sentence_with_the_names_of_the_register(found):
    """Both languages name agencies as the register does, and times in the policy's timezone."""
    answer = await found.indicators.ListFindings(messages.ListFindingsRequest())
    provider, flow = answer.findings
    assert flow.sentence_en == (
        "Calls by Land Registry to service civil-status of Civil Registry stopped at 15:30 on 27 November 2026: 184 to 231 "
        "were expected since then, and there were none. Probes of the same links pass: answers would come, but nobody asks. Look for the "
        "cause on the asking side. If nothing had changed, chance would bring such a difference at most once in "
        "20,000,000 cases. It goes on."
    )
    assert flow.sentence_fa.startswith(
        "از ساعت ۱۵:۳۰ روز ۶ آذر ۱۴۰۵، فراخوانی سرویس civil-status سازمان ثبت احوال توسط سازمان ثبت اسناد متوقف شده است"
    )
    assert provider.sentence_en.startswith(
        "Calls to the services of Tax Office have failed at the provider more often since 16:30"
    )
    assert list(flow.agencies) == ["civil-registry", "land-registry"]
    assert list(flow.links) == ["deed-civil"]


async def test_a_link_and_the_traffic_have_what_goes_on(found):
    """GetLink has the ongoing findings that touch the link, and GetTraffic has all ongoing ones."""
    link = await found.indicators.GetLink(messages.GetLinkRequest(link="deed-civil"))
    assert [one.id for one in link.findings] == [SILENT.id]
    carried = await found.indicators.GetTraffic(messages.GetTrafficRequest())
    assert [one.id for one in carried.findings] == [AT_PROVIDER.id, SILENT.id]


@pytest.mark.parametrize("field", ["kind", "scope", "probes", "review"])
async def test_a_finding_of_a_newer_scorer_is_left_out(found, field):
    """A value that this version does not know hides one finding, and none of the answers that it would be in."""
    block = replace(blocks_of(found.register)["government"], findings=(SILENT, AT_PROVIDER), traffic=(traffic(28),))
    message = parse_block(block_pb2.IndicatorBlock, encoded(block))
    setattr(message.findings[0], field, 99)
    found.state.model.replace_block("government", BlockReader.of(message.SerializeToString()))
    assert await _ids(found) == [AT_PROVIDER.id]
    link = await found.indicators.GetLink(messages.GetLinkRequest(link="deed-civil"))
    assert (link.link.link.id, len(link.findings)) == ("deed-civil", 0)
    agency = await found.indicators.GetAgency(messages.GetAgencyRequest(agency="land-registry"))
    assert [one.id for one in agency.findings] == [AT_PROVIDER.id]


async def test_the_public_sees_agencies_and_no_system(found):
    """The public does not see findings of flows. In other findings it sees no flow, no link and no note."""
    assert await _ids(found, role="public", ended=True) == [AT_PROVIDER.id]
    answer = await found.indicators.ListFindings(messages.ListFindingsRequest(), metadata=[(ROLE_KEY, "public")])
    (one,) = answer.findings
    assert (list(one.flows), list(one.links), one.note, one.flow_count) == ([], [], "", 2)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _ids(found, role="public", link="deed-civil")
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_system_without_an_agency_is_not_shown_to_the_public(found):
    """A finding of a party without an agency names a system. Only auditors and the agencies of its flows see it."""
    unlisted = finding(
        FindingKind.PROVIDER_FAILURES,
        FindingScope.PROVIDER,
        "GOV/1234/hidden-system",
        flows=("bus land-registry GOV/1234/hidden-system/x",),
    )
    asking = finding(
        FindingKind.PROVIDER_FAILURES, FindingScope.CONSUMER, "GOV/1234/hidden-system", SINCE - 60, flows=()
    )
    block = replace(
        blocks_of(found.register)["government"], findings=(AT_PROVIDER, unlisted, asking), traffic=(traffic(28),)
    )
    found.take("government", block)
    assert await _ids(found) == [AT_PROVIDER.id, unlisted.id, asking.id]
    assert await _ids(found, role="public") == [AT_PROVIDER.id]
    assert await _ids(found, role="agency:customs") == [AT_PROVIDER.id]
    assert await _ids(found, role="agency:land-registry") == [AT_PROVIDER.id, unlisted.id]
    public = [(ROLE_KEY, "public")]
    carried = await found.indicators.GetTraffic(messages.GetTrafficRequest(), metadata=public)
    assert "hidden-system" not in str(carried.findings)


async def test_an_agency_sees_its_own_flows_and_no_other(found):
    """A consumer sees its own flows under a finding of its provider. An agency without flows sees only the finding."""
    land = [(ROLE_KEY, "agency:land-registry")]
    provider, flow = (await found.indicators.ListFindings(messages.ListFindingsRequest(), metadata=land)).findings
    assert list(provider.flows) == [AT_PROVIDER.flows[0]]
    assert (list(flow.flows), flow.note) == ([FLOW], "a certificate expired")
    customs = [(ROLE_KEY, "agency:customs")]
    (only,) = (await found.indicators.ListFindings(messages.ListFindingsRequest(), metadata=customs)).findings
    assert (only.id, list(only.flows)) == (AT_PROVIDER.id, [])


async def test_wrong_questions_are_refused(found, refusal):
    """A kind, an agency or a link that does not exist is named in the refusal."""
    for request, reason in (
        (messages.ListFindingsRequest(kind=finding_pb2.FindingKind.ValueType(99)), "KIND_UNKNOWN"),
        (messages.ListFindingsRequest(agency="nobody"), "AGENCY_UNKNOWN"),
        (messages.ListFindingsRequest(link="no-link"), "LINK_UNKNOWN"),
    ):
        _, info, _ = await refusal(found.indicators.ListFindings(request))
        assert info.reason == reason
