"""Answers stay within the 4 MiB that clients accept, however long the texts of the register are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from peyvand.v1 import indicator_service_pb2 as asked
from services.api.rpc.handlers import MAX_ANSWER_BYTES
from services.client import connect
from services.core.model import Announcement, AnnouncementKind, Maintenance, Objection, ObjectionState
from tests.support.waiting import DEADLINE

START = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = "پیوند " * 20_000
"""220,000 bytes of Persian, somewhat less than a field of a CSV file may have."""

OBJECTIONS = tuple(
    Objection("deed-tax", START + timedelta(hours=n), None, TEXT, TEXT, str(n), "", ObjectionState.OPEN)
    for n in range(12)
)
MAINTENANCE = tuple(
    Maintenance("deed-tax", START + timedelta(hours=n), START + timedelta(hours=n + 1), f"{n} {TEXT}")
    for n in range(40)
)
ANNOUNCEMENTS = tuple(
    Announcement(f"news-{n:02}", AnnouncementKind.INCIDENT, START, None, "Late", "دیر", TEXT, TEXT) for n in range(20)
)


@pytest.fixture
def wordy(api):
    """An api whose register has notices of many megabytes."""
    links = sorted(api.register.links)
    spread = (replace(one, link=links[n % len(links)]) for n, one in enumerate(OBJECTIONS))
    api.register = replace(
        api.register,
        objections=tuple(sorted(spread, key=lambda one: (one.link, one.start))),
        maintenance=MAINTENANCE,
        announcements=ANNOUNCEMENTS,
    )
    api.take_register()
    return api


async def test_lists_come_whole_in_pages_that_clients_accept(wordy):
    """Every entry comes once to a client with the usual limits, though a page of 1,000 entries would be too long."""

    def texts(found: Any) -> list[str]:
        return [one.answer_en for one in found]

    async with connect(wordy.address, timeout=DEADLINE) as client:
        objections = [one async for one in client.objections()]
        assert sum(one.ByteSize() for one in objections) > MAX_ANSWER_BYTES
        assert texts(objections) == texts(wordy.register.objections)
        maintenance = [one async for one in client.maintenance()]
        assert sum(one.ByteSize() for one in maintenance) > MAX_ANSWER_BYTES
        assert [one.note for one in maintenance] == [one.note for one in MAINTENANCE]
        announcements = [one async for one in client.announcements()]
        assert sum(one.ByteSize() for one in announcements) > MAX_ANSWER_BYTES
        assert [one.id for one in announcements] == [one.id for one in ANNOUNCEMENTS]
        links = [one async for one in client.links()]
        assert sum(one.ByteSize() for one in links) > MAX_ANSWER_BYTES
        assert [one.link.id for one in links] == sorted(wordy.register.links)
        assert sorted(text for one in links for text in texts(one.objections)) == sorted(texts(objections))


async def test_an_answer_without_pages_that_is_too_long_is_refused_in_a_sentence(api, refusal):
    """An answer that no client with the usual limits would accept is refused, with how long it would be."""
    api.register = replace(api.register, objections=OBJECTIONS)
    api.take_register()
    code, info, sentence = await refusal(api.indicators.GetLink(asked.GetLinkRequest(link="deed-tax")))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ANSWER_TOO_LARGE")
    assert sentence == (
        f"the answer of GetLink would have {info.metadata['bytes']} bytes, more than {MAX_ANSWER_BYTES}: ask for fewer "
        "entries or a shorter time"
    )
    assert api.counted("GetLink", "INVALID_ARGUMENT") == 1
    assert (await api.indicators.GetLink(asked.GetLinkRequest(link="deed-civil"))).link.link.id == "deed-civil"
