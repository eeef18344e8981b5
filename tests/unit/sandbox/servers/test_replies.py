from __future__ import annotations

import json
from datetime import datetime
from email.utils import parsedate_to_datetime

import pytest

from services.sandbox.faults.faults import FaultMode, FaultScope
from services.sandbox.faults.timeline import FaultSpan
from services.sandbox.scenario.addresses import ServedLink
from services.sandbox.scenario.scenario import make_scenario
from services.sandbox.servers.replies import ReceivedRequest, bus_reply, inquiry_reply, page_reply
from services.sandbox.timing import slot_timing

NOW = 1_800_000_000.0
WIRES = make_scenario("small", seed=1, base_port=7500, times=slot_timing(5)).served_links
FAMILIES = ("person", "firm", "property")
ANYTHING = ReceivedRequest(b"/", b"")


def clock() -> float:
    return NOW


def a_wire(family: str) -> ServedLink:
    return next(served for served in WIRES if served.family.name == family)


def span(mode: FaultMode, cause: FaultScope = FaultScope.LINK, variant: int = 0) -> FaultSpan:
    return FaultSpan("link", 0, 1, mode, cause, variant)


def asked(served: ServedLink, subject: int = 0) -> ReceivedRequest:
    number = served.records[subject][served.family.key].encode()
    return (
        ReceivedRequest(b"/?x=" + number, b"")
        if served.family.method == "GET"
        else ReceivedRequest(b"/", b'{"n": "' + number + b'"}')
    )


def parse(response: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = response.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert int(headers["content-length"]) == len(body)
    return int(status.split()[1]), headers, body


def age(family: str, headers: dict[str, str], record: dict[str, object]) -> float:
    if family == "property":
        return NOW - parsedate_to_datetime(headers["last-modified"]).timestamp()
    updated = record["updated"]
    if isinstance(updated, str):
        return NOW - datetime.fromisoformat(updated).timestamp()
    assert isinstance(updated, int)
    return NOW - updated


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", [None, FaultMode.SLOW, FaultMode.STALE, FaultMode.WRONG_RECORD])
@pytest.mark.parametrize("subject", [0, 1])
def test_records(family, mode, subject):
    """An answer has the requested record, or another when wrong. It is within the age limit unless stale."""
    served = a_wire(family)
    reply = inquiry_reply(served, clock, span(mode) if mode else None, asked(served, subject))
    status, headers, body = parse(reply.response)
    record = json.loads(body)
    assert (status, reply.sent) == (200, mode or "ok")
    assert headers["content-type"].startswith("application/json")
    assert record["item"] == served.item
    expected = served.records[1 - subject if mode is FaultMode.WRONG_RECORD else subject]
    assert {field: record[field] for field in expected} == expected
    assert (age(family, headers, record) > served.max_age_s) == (mode is FaultMode.STALE)


def test_server_errors():
    """A 5xx has four forms if the server is the cause, and has X-Road-Error only if the bus is."""
    served = WIRES[0]
    forms = [
        parse(inquiry_reply(served, clock, span(FaultMode.HTTP_5XX, variant=n), asked(served)).response)
        for n in range(4)
    ]
    assert [status for status, _, _ in forms] == [500, 502, 503, 504]
    assert not any("x-road-error" in headers for _, headers, _ in forms)
    for reply in (
        inquiry_reply(served, clock, span(FaultMode.HTTP_5XX, FaultScope.BUS), asked(served)),
        bus_reply(span(FaultMode.HTTP_5XX, FaultScope.BUS), ANYTHING),
    ):
        status, headers, _ = parse(reply.response)
        assert (status, reply.sent) == (500, "http_5xx")
        assert headers["x-road-error"]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_number_is_not_found(family):
    """A request for another number gets 404, so that a probe with an unfilled template never passes."""
    reply = inquiry_reply(a_wire(family), clock, None, ReceivedRequest(b"/?x=${national_id}", b"{}"))
    assert (parse(reply.response)[0], reply.sent) == (404, "not_found")


def test_bus_and_pages():
    """The bus reports that it is up in JSON, and a portal has a title."""
    assert json.loads(parse(bus_reply(None, ANYTHING).response)[2]) == {"bus": "up"}
    assert b"<title>Post</title>" in parse(page_reply("Post", None, ANYTHING).response)[2]


def test_national_ids_check():
    """The last digit of every synthetic national id checks the other nine, as on a real card."""
    ids = [record["national_id"] for served in WIRES if served.family.name == "person" for record in served.records]
    assert ids
    for each in ids:
        digits = [int(digit) for digit in each]
        rest = sum(digit * (10 - place) for place, digit in enumerate(digits[:9])) % 11
        assert digits[9] == (rest if rest < 2 else 11 - rest)
