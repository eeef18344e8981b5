"""Announcements, objections, maintenance and legal bases over a real gRPC server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import grpc
import pytest

from peyvand.v1 import indicator_pb2, register_pb2
from peyvand.v1 import indicator_service_pb2 as asked
from peyvand.v1 import register_service_pb2 as messages
from services.core.blocks.target_blocks import encode_recent_blocks
from services.core.bus import group_of, recent_key
from services.core.model import Maintenance, Objection, ObjectionState
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import recent_block
from tests.support.registers import ANNOUNCEMENTS, LEGAL_BASES, OBJECTIONS, write_register

MAINTENANCE = """\
subject,from,to,note
customs,2026-03-02,2026-03-03,servers move
deed-tax,2026-03-01,2026-03-02,new version
customs,2026-03-01,2026-03-02,عصر
portal,2026-03-05,2026-03-06,
"""


@pytest.fixture
def noted(api, tmp_path):
    """An api whose register has announcements, objections, maintenance and legal bases."""
    files = {"announcements_yaml": ANNOUNCEMENTS, "objections_csv": OBJECTIONS, "links_csv": LEGAL_BASES}
    api.register = load_register(write_register(tmp_path / "noted", maintenance_csv=MAINTENANCE, **files))
    api.take_register()
    return api


async def test_announcements_are_listed(noted):
    """Every field arrives, an open end is unset, and pages follow each other."""
    first = await noted.registers.ListAnnouncements(messages.ListAnnouncementsRequest(page_size=1))
    (upgrade,) = first.announcements
    assert (upgrade.id, upgrade.kind) == ("bus-upgrade", register_pb2.ANNOUNCEMENT_KIND_MAINTENANCE)
    assert (getattr(upgrade, "from").ToJsonString(), upgrade.until.ToJsonString()) == (
        *("2026-02-28T20:30:00Z", "2026-03-01T20:30:00Z"),
    )
    assert (upgrade.title_en, upgrade.title_fa) == ("The data bus is upgraded", "ارتقای گذرگاه داده")
    assert (upgrade.text_en, upgrade.text_fa) == ("Answers may be *late*.", "پاسخ‌ها شاید *دیر* برسند.")
    assert (list(upgrade.agencies), list(upgrade.links)) == (["civil-registry", "tax-office"], ["deed-tax"])
    assert [(update.text_en, update.text_fa) for update in upgrade.updates] == [
        ("Half is done.", "نیمی انجام شد."),
        ("Done.", "انجام شد."),
    ]
    rest = await noted.registers.ListAnnouncements(messages.ListAnnouncementsRequest(page_token=first.next_page_token))
    (late,) = rest.announcements
    assert (late.id, late.HasField("until"), rest.next_page_token) == ("late-answers", False, "")


async def test_objections_are_listed_and_stand_beside_the_evidence(noted):
    """Objections are filtered by link and agency. They also appear in a link's answer, in lists and in explanations."""
    every = (await noted.registers.ListObjections(messages.ListObjectionsRequest())).objections
    assert [(one.link, one.state) for one in every] == [
        ("deed-civil", register_pb2.OBJECTION_STATE_ACCEPTED),
        ("deed-tax", register_pb2.OBJECTION_STATE_OPEN),
    ]
    accepted, still_open = every
    assert (accepted.answer_en, accepted.text_fa) == (
        *("It is replaced in the next register.", "رکورد آزمون پس گرفته شده بود."),
    )
    assert (accepted.HasField("to"), still_open.HasField("to"), still_open.answer_fa) == (True, False, "")
    for filters, links in (
        ({"link": "deed-tax"}, ["deed-tax"]),
        ({"agency": "civil-registry"}, ["deed-civil"]),
        ({"agency": "land-registry"}, ["deed-civil", "deed-tax"]),
        ({"link": "deed-tax", "agency": "civil-registry"}, []),
    ):
        answer = await noted.registers.ListObjections(messages.ListObjectionsRequest(**cast(Any, filters)))
        assert [one.link for one in answer.objections] == links
    link = await noted.indicators.GetLink(asked.GetLinkRequest(link="deed-tax"))
    assert list(link.link.objections) == [still_open]
    listed = await noted.indicators.ListLinks(asked.ListLinksRequest())
    assert {one.link.id: len(one.objections) for one in listed.links if one.objections} == {
        "deed-civil": 1,
        "deed-tax": 1,
    }
    noted.bucket.values[recent_key(group_of("land-registry"), 0)] = encode_recent_blocks(
        [recent_block(noted.register)]
    )[0]
    explained = await noted.indicators.ExplainIndicator(
        asked.ExplainIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_LINK, id="deed-tax")
    )
    assert list(explained.findings.objections) == [still_open]


async def test_an_objection_changes_no_number(noted, api):
    """The indicator of a link with an accepted objection is that of the same evidence without one."""
    status = (await noted.indicators.GetLink(asked.GetLinkRequest(link="deed-civil"))).link
    assert status.objections[0].state == register_pb2.OBJECTION_STATE_ACCEPTED
    assert status.indicator.point == pytest.approx(0.9)


async def test_maintenance_is_listed(noted):
    """Maintenance is listed by subject and time, always with an end."""
    every = (await noted.registers.ListMaintenance(messages.ListMaintenanceRequest())).maintenance
    assert [(one.subject, one.note) for one in every] == [
        *(("customs", "عصر"), ("customs", "servers move"), ("deed-tax", "new version"), ("portal", "")),
    ]
    assert all(one.HasField("from") and one.HasField("to") for one in every)
    one = await noted.registers.ListMaintenance(messages.ListMaintenanceRequest(subject="portal"))
    assert [item.subject for item in one.maintenance] == ["portal"]


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0)])
async def test_pages_go_on_when_notices_are_added_and_removed(noted, before, after):
    """Between two pages another register comes into force, with more notices or fewer: those that stay come once each."""

    async def pages(method, request, field, earlier, notices):
        found: list[Any] = []
        token = ""
        for more, asked_for in ((before, {"page_size": before + 2}), (after, {})):
            noted.register = replace(noted.register, **{field: (*earlier[:more], *notices)})
            noted.take_register()
            page = await method(request(page_token=token, **asked_for))
            found, token = [*found, *getattr(page, field)], page.next_page_token
        return found

    start, texts = datetime(2026, 3, 1, tzinfo=UTC), ["a", "b", "c", "d"]
    objections = [Objection("deed-tax", start, None, text, text, "", "", ObjectionState.OPEN) for text in texts]
    earlier = [replace(one, link="birth-tax") for one in objections]
    called = noted.registers.ListObjections, messages.ListObjectionsRequest
    found = await pages(*called, "objections", earlier, objections)
    assert sorted(one.text_en for one in found if one.link == "deed-tax") == texts

    work = [Maintenance("deed-tax", start, start + timedelta(days=1), text) for text in texts]
    planned = [replace(one, subject="customs") for one in work]
    found = await pages(noted.registers.ListMaintenance, messages.ListMaintenanceRequest, "maintenance", planned, work)
    assert sorted(one.note for one in found if one.subject == "deed-tax") == texts


async def test_legal_bases_are_shown_and_counted(noted):
    """A link shows its legal basis, and the register counts the links that have one."""
    link = (await noted.indicators.GetLink(asked.GetLinkRequest(link="birth-tax"))).link.link
    assert (link.legal_basis.law, link.legal_basis.article, link.legal_basis.date) == (
        *("قانون مدیریت خدمات", "ماده ۴۰", "2007-09-30"),
    )
    other = (await noted.indicators.GetLink(asked.GetLinkRequest(link="deed-tax"))).link.link
    assert not other.HasField("legal_basis")
    register = await noted.registers.GetRegister(messages.GetRegisterRequest())
    assert (register.links_with_legal_basis, register.legal_basis_share) == (2, 0.25)


async def test_unknown_filters_are_refused(noted, refusal):
    """A link, agency or subject that the register does not have is NOT_FOUND."""
    for call, reason in (
        (noted.registers.ListObjections(messages.ListObjectionsRequest(link="no")), "LINK_UNKNOWN"),
        (noted.registers.ListObjections(messages.ListObjectionsRequest(agency="no")), "AGENCY_UNKNOWN"),
        (noted.registers.ListMaintenance(messages.ListMaintenanceRequest(subject="no")), "SUBJECT_UNKNOWN"),
    ):
        code, info, _ = await refusal(call)
        assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, reason)
