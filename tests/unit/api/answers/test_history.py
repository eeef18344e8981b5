"""GetHistory over a real gRPC server and a real bus, and ``peyvand history`` against them."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import grpc
import pytest
import typer
from google.protobuf.timestamp_pb2 import Timestamp
from typer.testing import CliRunner

from peyvand.v1 import indicator_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.paging import page_token
from services.cli.commands import ask as ask_commands
from services.core.bus.names import INDICATORS, indicator_subject
from services.core.bus.topology import initialise_streams
from services.core.codec import indicator_to_message
from services.core.codec.units import to_timestamp
from services.core.errors import SettingsError
from services.core.model.indicator import IndicatorKind
from tests.support.cases.api.histories import FIRST, HOUR, filled, kept, kept_alone, one_loop, published
from tests.support.waiting import DEADLINE

__all__ = ["filled", "kept", "kept_alone", "one_loop"]  # the fixtures


async def asked(api, **question):
    """Return every hour of the answer, page after page, and the number of pages."""
    hours, pages, token = [], 0, ""
    while True:
        request = messages.GetHistoryRequest(page_token=token, **{"kind": IndicatorKind.GOVERNMENT, **question})
        page = await api.indicators.GetHistory(request)
        assert len(page.indicators) <= (question.get("page_size") or 100)
        hours += [(one.as_of.seconds - FIRST) / HOUR for one in page.indicators]
        pages, token = pages + 1, page.next_page_token
        if not token:
            return hours, pages


@pytest.mark.parametrize(("size", "pages"), [(0, 1), (59, 2), (60, 1), (7, 9), (1, 60), (1001, 1)])
async def test_every_publication_is_told_once_whatever_the_page(kept, size, pages):
    """All pages together hold each hour once, oldest first; a repeated publication is returned as first published."""
    assert await asked(kept, page_size=size) == ([float(hour) for hour in range(60)], pages)
    page = await kept.indicators.GetHistory(
        messages.GetHistoryRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT, id="country")
    )
    assert page.indicators[30].point == 0.53


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [(None, 3, [0, 1, 2]), (57, None, [57, 58, 59]), (10, 12, [10, 11]), (0.5, 1.5, [1]), (60, None, []), (-9, 0, [])],
)
async def test_from_and_to_are_honoured(kept, start, end, hours):
    """Only indicators as of a time in [from, to) are returned, in pages too."""
    span = {name: to_timestamp(FIRST + at * HOUR) for name, at in (("from", start), ("to", end)) if at is not None}
    assert (await asked(kept, page_size=2, **span))[0] == hours


@pytest.mark.parametrize(("step", "size"), [(1, 0), (24, 0), (24, 1), (7, 2), (100_000, 0)])
async def test_the_last_of_each_step_is_returned(kept, step, size):
    """With a step, the last publication of each step is returned, whatever the page size."""
    last = {(FIRST + hour * HOUR) // (step * HOUR): float(hour) for hour in range(60)}
    assert (await asked(kept, step_seconds=step * HOUR, page_size=size))[0] == list(last.values())


async def test_an_agency_has_its_history_beside_it(kept):
    """Only on request, GetAgency has what was published of each role since a time, the last of each step."""
    since: dict[str, Any] = {"history_from": to_timestamp(FIRST + HOUR), "history_step_seconds": 3 * HOUR}
    for more, hours in (
        ({}, []),
        (since, [hour for hour in (1, 2, 3, 4, 5) if (FIRST // HOUR + hour) % 3 == 2 or hour == 5]),
    ):
        whole = await kept.indicators.GetAgency(messages.GetAgencyRequest(agency="tax-office", **more))
        assert [(one.as_of.seconds - FIRST) / HOUR for one in whole.provider.history] == hours
        assert not whole.consumer.history


async def test_windows_kinds_and_entities_are_kept_apart(kept):
    """Each entity and window has its own history, also an agency that left the register."""
    assert (await asked(kept, window_days=7))[0] == [0, 1, 2]
    assert (await asked(kept, kind=IndicatorKind.SERVICE, id="title-deed"))[0] == [0, 24]
    assert (await asked(kept, kind=IndicatorKind.CONSUMER, id="abolished"))[0] == [0]
    assert (await asked(kept, kind=IndicatorKind.CONSUMER, id="tax-office"))[0] == []


@pytest.mark.parametrize(
    ("question", "code", "reason"),
    [
        ({"kind": IndicatorKind.LINK, "id": "deed-tax"}, grpc.StatusCode.FAILED_PRECONDITION, "HISTORY_IN_ARCHIVE"),
        ({"kind": IndicatorKind.ENDPOINT, "id": "bus"}, grpc.StatusCode.FAILED_PRECONDITION, "HISTORY_IN_ARCHIVE"),
        ({"kind": IndicatorKind.CONSUMER, "id": "nobody"}, grpc.StatusCode.NOT_FOUND, "AGENCY_UNKNOWN"),
        ({"kind": IndicatorKind.CONSUMER, "id": "a.>"}, grpc.StatusCode.NOT_FOUND, "AGENCY_UNKNOWN"),
        ({"kind": IndicatorKind.CONSUMER}, grpc.StatusCode.INVALID_ARGUMENT, "ID_MISSING"),
        ({"window_days": 5}, grpc.StatusCode.INVALID_ARGUMENT, "WINDOW_UNKNOWN"),
        ({"page_token": "no"}, grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"),
        ({"from": to_timestamp(9), "to": to_timestamp(9)}, grpc.StatusCode.INVALID_ARGUMENT, "TIME_RANGE_INVALID"),
        ({"from": Timestamp(seconds=10**12)}, grpc.StatusCode.INVALID_ARGUMENT, "TIME_RANGE_INVALID"),
    ],
)
async def test_what_has_no_history_is_refused(kept, refusal, question, code, reason):
    """Links and endpoints, unknown entities and windows, and bad pages and times each have their status and reason."""
    request = messages.GetHistoryRequest(**{"kind": IndicatorKind.GOVERNMENT, **question})
    answered, info, _ = await refusal(kept.indicators.GetHistory(request))
    assert (answered, info.reason) == (code, reason)


@pytest.mark.parametrize(
    ("kind", "entity", "whose", "command", "instead"),
    [
        (
            IndicatorKind.LINK,
            "deed-tax",
            "link `deed-tax`",
            "link deed-tax",
            ", or GetLink for its slots of the last 48 hours",
        ),
        (IndicatorKind.LINK, "", "any link", "link ID", ", or GetLink for its slots of the last 48 hours"),
        (IndicatorKind.ENDPOINT, "bus", "endpoint `bus`", "endpoint bus", ""),
        (IndicatorKind.ENDPOINT, "", "any endpoint", "endpoint ID", ""),
    ],
)
async def test_who_asks_for_a_history_that_is_not_kept_is_told_what_there_is(
    kept, refusal, kind, entity, whose, command, instead
):
    """The error says that no history is kept of a link or endpoint, named or not, and what to request instead."""
    request = messages.GetHistoryRequest(kind=indicator_pb2.IndicatorKind.ValueType(kind), id=entity)
    assert (await refusal(kept.indicators.GetHistory(request)))[2] == (
        f"no history is kept of {whose}: ask ExplainIndicator (`peyvand explain {command}`) for its last failures{instead}"
    )


async def test_a_token_belongs_to_its_question(kept, refusal):
    """The token of one window is refused by another."""
    page = await kept.indicators.GetHistory(
        messages.GetHistoryRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT, page_size=5)
    )
    request = messages.GetHistoryRequest(
        kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT, window_days=7, page_token=page.next_page_token
    )
    code, info, _ = await refusal(kept.indicators.GetHistory(request))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


@pytest.mark.parametrize(
    "position",
    [
        "",
        "x",
        "1",
        "1 x",
        "-1 5",
        "0 5",
        "1 1 1",
        "1 inf",
        "1 nan",
        "1 1e9",
        f"{2**64} 5",
        f"{10**15 - 1} 5",
        f"1 {10**12}",
        "١ ٥",
    ],
)
async def test_a_forged_token_is_refused(kept, refusal, position):
    """A token with the query's fingerprint but an impossible position is refused in one sentence."""
    forged = page_token(("GetHistory", "government", "country", "28", "0.0", "inf"), position)
    request = messages.GetHistoryRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT, page_token=forged)
    code, info, sentence = await refusal(kept.indicators.GetHistory(request))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    assert sentence.startswith("page_token is not one of ours")


async def test_a_forged_token_within_bounds_reads_on_or_nothing(kept):
    """A page begins at a forged position that is possible. Beyond the last message there is nothing."""
    query = ("GetHistory", "government", "country", "28", "0.0", "inf")
    for position, count in (
        ("59 0", 60),
        (f"59 {FIRST + 58 * HOUR}", 2),
        ("4102444800000 0", 0),
        (f"1 {10**12 - 1}", 0),
    ):
        request = messages.GetHistoryRequest(
            kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT, page_token=page_token(query, position)
        )
        assert len((await kept.indicators.GetHistory(request)).indicators) == count


async def test_a_token_is_good_in_a_recreated_stream(kept_alone, nats):
    """Between two pages the stream is recreated: the next page has what the new one holds after the page before."""
    request = messages.GetHistoryRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT, page_size=20)
    request.page_token = (await kept_alone.indicators.GetHistory(request)).next_page_token
    async with nats.connect("admin") as admin:
        await admin.jetstream.delete_stream(INDICATORS)
        await initialise_streams(admin)
    async with nats.connect("scorer") as scorer:
        for hour in range(10, 36):
            row = indicator_to_message(published(hour)).SerializeToString()
            await scorer.publish(indicator_subject("government", "country", 28), row, message_id="")
    page = await kept_alone.indicators.GetHistory(request)
    assert [(one.as_of.seconds - FIRST) / HOUR for one in page.indicators] == list(range(20, 36))


async def test_a_bus_that_does_not_answer_is_told_within_the_deadline(kept_alone, nats, refusal):
    """Without a bus the call fails before its own deadline; once the bus is back, so is the history."""
    nats.kill()
    request = messages.GetHistoryRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
    code, info, _ = await refusal(kept_alone.indicators.GetHistory(request, timeout=2))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "HISTORY_UNREACHABLE")
    nats.start()
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                answer = await kept_alone.indicators.GetHistory(request, timeout=2)
            except grpc.aio.AioRpcError:
                continue
            break
    assert len(answer.indicators) == 60


@pytest.fixture
def history(kept):
    """Run ``peyvand history``; return its output."""
    app = typer.Typer()
    app.command("history")(ask_commands.history)

    async def run(*words, width="100"):
        environment = {"COLUMNS": width, "NO_COLOR": "1", "TERM": "dumb"}
        runner = CliRunner(env=environment)
        result = await asyncio.to_thread(runner.invoke, app, [*words, "--api", kept.address])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return run


@pytest.mark.parametrize("width", ["80", "120"])
async def test_a_person_sees_how_the_index_went(history, width):
    """Bars per hour, extremes and the last index of each day, in the policy's timezone, fit the terminal."""
    text = await history(width=width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= int(width)
    assert "published 60 times from 2026-09-21 17:30 to 2026-09-24 04:30 Asia/Tehran" in " ".join(text.split())
    assert "▁" in text
    assert "█" in text
    rows = [line for line in lines if re.match(r" *2026-\S+ +\d\d:\d\d ", line)]
    assert [row.split()[0] for row in rows] == ["2026-09-24", "2026-09-23", "2026-09-22", "2026-09-21"]
    assert "+0.5 pp" in rows[0]


async def test_json_has_every_publication(history):
    """With --json each publication of the requested days is one line."""
    text = await history("government", "--from", "2026-09-22", "--to", "2026-09-23T00:00+03:30", "--json")
    hours = [json.loads(line)["as_of"] for line in text.splitlines()]
    assert (len(hours), hours[0], hours[-1]) == (24, "2026-09-21T21:00:00Z", "2026-09-22T20:00:00Z")
    assert "nothing was published" in await history("--from", "2027-01-01")
    with pytest.raises(SettingsError, match="neither a day"):
        await history("--from", "tomorrow")
