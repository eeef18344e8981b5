"""Probe kind http against real servers: what is expected of an answer. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from email.utils import formatdate
from time import time

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import Expect, FreshnessSource, HeaderExpectation, JsonExpectation, Patterns
from tests.support.servers.http_server import Request, answer, ask, says, serving


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_10_bodies_are_decoded_only_when_asked(encoding: str, pack: object) -> None:
    """A compressed body is decoded if its coding is accepted, else judged as it is; both lengths are reported."""
    plain = b'{"clear": true}' * 20
    packed = pack(plain)  # type: ignore[operator]
    expect = Expect(body=Patterns(must=('"clear": true',)))
    async with serving(says(200, packed, {"Content-Encoding": encoding})) as server:
        asked = await ask(server.url(), expect, headers={"Accept-Encoding": f"{encoding}, br"})
        unasked = await ask(server.url(), expect)
    assert asked.judgement.reason is Reason.OK
    assert (asked.observation.raw_length, asked.observation.body_length) == (len(packed), len(plain))
    assert unasked.judgement.reason is Reason.BODY
    assert unasked.observation.body == packed


@pytest.mark.parametrize(
    ("asked", "claimed", "decoded"),
    [
        ("gzip", "x-gzip", True),
        ("x-gzip", "GZIP", True),
        ("br, *;q=0.1", "x-gzip", True),
        ("gzip;q=0", "gzip", False),
        ("x-gzip ; Q=0.000, *", "gzip", False),
        ("deflate, *;q=0", "gzip", False),
    ],
)
async def test_10_names_and_weights_of_codings(asked: str, claimed: str, decoded: bool) -> None:
    """x-gzip is gzip in requests and answers, and a coding of weight 0 is not asked for (RFC 9110, 8.4.1.3 and 12.4.2)."""
    packed = gzip.compress(b"clear", mtime=0)
    async with serving(says(200, packed, {"Content-Encoding": claimed})) as server:
        result = await ask(server.url(), headers={"Accept-Encoding": asked})
    assert server.requests[0].header("accept-encoding") == asked
    assert result.observation.body == (b"clear" if decoded else packed)


@pytest.mark.parametrize("body", [b"not gzip at all", gzip.compress(b"cut short" * 50, mtime=0)[:-12]])
async def test_11_a_wrong_encoding_claim_fails(body: bytes) -> None:
    """A body that is not the gzip it claims to be, or is cut off, is INVALID/ENCODING."""
    async with serving(says(200, body, {"Content-Encoding": "gzip"})) as server:
        result = await ask(server.url(), headers={"Accept-Encoding": "gzip"})
    assert result.judgement.reason is Reason.ENCODING


async def test_12_an_unknown_encoding_passes_through() -> None:
    """A body in an unknown coding is judged as received."""
    async with serving(says(200, b"zzz", {"Content-Encoding": "rot13"})) as server:
        result = await ask(
            server.url(), Expect(body=Patterns(must=("^zzz$",))), headers={"Accept-Encoding": "gzip, rot13"}
        )
    assert result.judgement.reason is Reason.OK


async def test_13_lengths_are_reported_on_failures_too() -> None:
    """A failed answer still reports its length."""
    async with serving(says(500, b"x" * 1234)) as server:
        result = await ask(server.url())
    assert result.judgement.reason is Reason.SERVER_ERROR
    assert (result.observation.raw_length, result.observation.body_length) == (1234, 1234)


@pytest.mark.parametrize(("size", "reason"), [(1000, Reason.OK), (1001, Reason.BODY_LIMIT)])
@pytest.mark.parametrize("packed", [False, True])
async def test_14_the_body_limit_counts_decoded_bytes(size: int, reason: Reason, packed: bool) -> None:
    """A body passes up to exactly its limit, counted after decoding; one byte more is INVALID/BODY_LIMIT."""
    body = b"\0" * size
    headers = {"Content-Encoding": "gzip"} if packed else {}
    async with serving(says(200, gzip.compress(body) if packed else body, headers)) as server:
        result = await ask(server.url(), headers={"Accept-Encoding": "gzip"} if packed else {}, body_limit=1000)
    assert result.judgement.reason is reason


async def test_14_a_bomb_does_not_go_off() -> None:
    """A small body that would decode into gigabytes ends at the limit."""
    async with serving(says(200, gzip.compress(b"\0" * (64 << 20)), {"Content-Encoding": "gzip"})) as server:
        result = await ask(server.url(), headers={"Accept-Encoding": "gzip"}, body_limit=100_000)
    assert result.judgement.reason is Reason.BODY_LIMIT


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"all clear", Reason.OK), (b"all clear but error", Reason.BODY), (b"clear of errands, not a11", Reason.BODY)],
)
async def test_15_16_body_patterns(body: bytes, reason: Reason) -> None:
    """Any forbidden pattern fails; every required one must match."""
    async with serving(says(200, body)) as server:
        result = await ask(server.url(), Expect(body=Patterns(must=("all", "cle.r"), must_not=("error", "fatal"))))
    assert result.judgement.reason is reason


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"CONTENT-TYPE": "application/json; charset=utf-8"}, Reason.OK),
        ({"content-type": "text/html"}, Reason.HEADER),
        ({}, Reason.HEADER),
    ],
)
async def test_17_header_patterns(headers: dict[str, str], reason: Reason) -> None:
    """Header names are case-insensitive; a header that does not match, or is absent, fails."""
    async with serving(says(200, b"", headers)) as server:
        result = await ask(server.url(), Expect(headers={"Content-Type": HeaderExpectation("application/json.*")}))
    assert result.judgement.reason is reason


async def test_17_any_of_several_values() -> None:
    """Of several headers with one name, one that matches is enough."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nVia: one\r\nVia: two\r\nContent-Length: 0\r\n\r\n")

    async with serving(handle) as server:
        result = await ask(server.url(), Expect(headers={"via": HeaderExpectation("^two$")}))
    assert result.judgement.reason is Reason.OK


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"id": "1", "clear": true}', Reason.OK),
        (b'\xef\xbb\xbf{"id": "1", "clear": true}', Reason.OK),
        (b'{"id": "1", "clear": 1}', Reason.JSON),
        (b'{"id": "1"}', Reason.JSON),
        (b'{"id": "2", "clear": true}', Reason.JSON),
        (b"<html>", Reason.JSON),
    ],
)
async def test_18_json_paths(body: bytes, reason: Reason) -> None:
    """A path that finds nothing, another type or another value fails, and so does what is not JSON."""
    expect = Expect(json=(JsonExpectation("$.id", equals="${id}"), JsonExpectation("$.clear", type="boolean")))
    async with serving(says(200, body)) as server:
        result = await ask(server.url(), expect, params={"id": "1"})
    assert result.judgement.reason is reason


async def test_test_record() -> None:
    """A known person's record must be returned as registered, numbers as numbers; else INVALID/TEST_RECORD."""
    expect = Expect(record={"person.name": "${name}", "$.person.born": "${born}"})
    async with serving(says(200, '{"person": {"name": "علي", "born": 1350}}'.encode())) as server:
        right = await ask(server.url(), expect, params={"name": "علی", "born": 1350})
        wrong = await ask(server.url(), expect, params={"name": "رضا", "born": 1350})
    assert right.judgement.reason is Reason.OK
    assert wrong.judgement.reason is Reason.TEST_RECORD
    assert "رضا" not in wrong.judgement.detail


async def test_late() -> None:
    """A right answer that is slower than the link allows is LATE, with its latency."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.06)
        writer.write(answer())

    async with serving(handle) as server:
        result = await ask(server.url(), latency=0.03)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.LATE, Reason.LATE)
    assert result.observation.latency is not None
    assert 0.05 < result.observation.latency < 1


async def test_stale_by_json_and_by_header() -> None:
    """Data older than the link allows is STALE, by a JSON path or by a header; newer data is OK, with its age."""
    old = time() - 7200
    body = f'{{"updated": {int(old * 1000)}}}'.encode()
    async with serving(says(200, body, {"Last-Modified": formatdate(old, usegmt=True)})) as server:
        for fresh in (FreshnessSource(path="$.updated"), FreshnessSource(header="Last-Modified")):
            stale = await ask(server.url(), Expect(fresh=fresh), max_age=3600)
            young = await ask(server.url(), Expect(fresh=fresh), max_age=8000)
            assert stale.judgement.reason is Reason.STALE
            assert young.judgement.reason is Reason.OK
            assert young.judgement.data_age == pytest.approx(7200, abs=3)


async def test_the_age_by_a_header_in_persian() -> None:
    """The age of data is read from a header that holds a Jalali date in Persian digits, as UTF-8."""
    async with serving(says(200, b"", {"X-Updated": "۱۴۰۳/۰۵/۱۲"})) as server:
        result = await ask(server.url(), Expect(fresh=FreshnessSource(header="X-Updated")), max_age=3600)
    assert result.judgement.reason is Reason.STALE
    assert result.judgement.data_age == pytest.approx(time() - 1_722_630_600, abs=86_400)


async def test_age_unreadable() -> None:
    """Data whose age is required and cannot be read is INVALID/AGE_UNREADABLE."""
    async with serving(says(200, b'{"updated": "yesterday"}')) as server:
        for fresh in (
            FreshnessSource(path="$.updated"),
            FreshnessSource(path="$.missing"),
            FreshnessSource(header="Date"),
        ):
            result = await ask(server.url(), Expect(fresh=fresh), max_age=3600)
            assert result.judgement.reason is Reason.AGE_UNREADABLE


async def test_check_error() -> None:
    """A check that cannot run, here for absurdly deep JSON, is INVALID/CHECK_ERROR, never a pass."""
    body = b'{"a":' * 300 + b"1" + b"}" * 300
    async with serving(says(200, body)) as server:
        result = await ask(server.url(), Expect(json=(JsonExpectation("$..zzz"),)))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.CHECK_ERROR)
