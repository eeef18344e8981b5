"""Probe kind http against real servers. Numbers are the behaviours of PROBING.md."""

from __future__ import annotations

import asyncio
import gzip
import os
import resource
import socket
import struct
import zlib
from email.utils import formatdate
from pathlib import Path
from time import monotonic, time

import pytest
from prober_servers import (
    Request,
    answer,
    ask,
    forever,
    name_server,
    says,
    serving,
    silent,
    unaccepting,
)

from services.core.definition import Auth, Body, Expect, Fresh, HeaderExpectation, JsonExpectation
from services.core.model import Egress
from services.core.outcome import Outcome, Reason
from services.prober.egress import EgressRules
from services.prober.network import Network


@pytest.mark.parametrize(
    ("status", "reason"), [(200, Reason.OK), (204, Reason.OK), (404, Reason.STATUS), (304, Reason.STATUS)]
)
async def test_01_only_2xx_passes_by_default(status: int, reason: Reason) -> None:
    """Without listed statuses a 2xx answer is OK and any other is INVALID/STATUS."""
    async with serving(says(status)) as server:
        result = await ask(server.url())
    assert result.judgement.reason is reason
    assert result.observation.status == status


@pytest.mark.parametrize(
    ("status", "reason"), [(404, Reason.OK), (503, Reason.OK), (401, Reason.OK), (200, Reason.STATUS)]
)
async def test_02_listed_statuses_replace_the_default(status: int, reason: Reason) -> None:
    """Listed statuses pass, even those that would mean a failure, and 200 fails when it is not listed."""
    async with serving(says(status)) as server:
        result = await ask(server.url(), Expect(status=(404, 503, 401)))
    assert result.judgement.reason is reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [(500, Reason.SERVER_ERROR), (503, Reason.SERVER_ERROR), (401, Reason.AUTH_REFUSED), (403, Reason.AUTH_REFUSED)],
)
async def test_no_proper_answer(status: int, reason: Reason) -> None:
    """A server error and a refusal of our credential are NOT_ANSWERED, each with its own reason."""
    async with serving(says(status, b"sorry")) as server:
        result = await ask(server.url())
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, reason)


async def test_bus_error() -> None:
    """An answer with X-Road-Error came from the data bus, not from the provider, whatever its status."""
    async with serving(says(500, b"{}", {"X-Road-Error": "Server.ServerProxy"})) as server:
        result = await ask(server.url(), Expect(status=(500,)))
    assert result.judgement.reason is Reason.BUS_ERROR


async def _maze(request: Request, writer: asyncio.StreamWriter) -> None:
    """/3 leads to /2, /2 to /1, /1 to /0, which answers; /loop leads to itself."""
    step = request.path.strip("/")
    if step == "0":
        writer.write(answer(200, b"arrived"))
    else:
        there = "/loop" if step == "loop" else f"/{int(step) - 1}"
        writer.write(answer(302, b"elsewhere", {"Location": there}))


async def test_03_redirects_are_followed_and_counted() -> None:
    """Redirects are followed, each over a connection of its own, and counted; the last answer is judged."""
    async with serving(_maze) as server:
        result = await ask(server.url("/3"), Expect(body=Body(must=("arrived",))))
    assert result.judgement.reason is Reason.OK
    assert (result.observation.redirects, server.connections) == (3, 4)
    assert result.observation.addresses == ("127.0.0.1",) * 4


async def test_03_ten_redirects_pass() -> None:
    """Ten redirects are allowed."""
    async with serving(_maze) as server:
        result = await ask(server.url("/10"))
    assert (result.judgement.reason, result.observation.redirects) == (Reason.OK, 10)


async def test_04_redirects_not_followed() -> None:
    """With redirects: none a listed 302 passes and nothing else is asked."""
    async with serving(_maze) as server:
        result = await ask(server.url("/3"), Expect(status=(302,)), redirects="none")
    assert (result.judgement.reason, result.observation.redirects, server.connections) == (Reason.OK, 0, 1)


async def test_05_a_loop_ends_after_ten() -> None:
    """A redirect loop ends after ten redirects, as INVALID/TOO_MANY_REDIRECTS."""
    async with serving(_maze) as server:
        result = await ask(server.url("/loop"))
    assert result.judgement.reason is Reason.TOO_MANY_REDIRECTS
    assert server.connections == 11


async def test_05_what_fails_behind_a_redirect_is_judged() -> None:
    """An answer behind a redirect that is too long is BODY_LIMIT, not the redirect's status."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"x" * 101) if request.path == "/end" else answer(302, b"", {"Location": "/end"}))

    async with serving(handle) as server:
        result = await ask(server.url(), body_limit=100)
    assert (result.judgement.reason, result.observation.status) == (Reason.BODY_LIMIT, 200)


async def test_06_cookies_set_on_the_way_are_sent_on() -> None:
    """A cookie set by a redirect goes with the next request, and the next probe starts without it."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/start":
            writer.write(answer(302, b"", {"Location": "/end", "Set-Cookie": "session=s1; Path=/"}))
        else:
            writer.write(answer(200 if request.header("cookie") == "session=s1" else 400))

    async with serving(handle) as server:
        for _ in range(2):
            result = await ask(server.url("/start"))
            assert result.judgement.reason is Reason.OK
    assert [request.header("cookie") for request in server.requests] == [None, "session=s1"] * 2


async def test_06_a_cookie_set_on_the_way_replaces_the_definitions() -> None:
    """A redirect that stays at home keeps the definition's cookies, save one that it sets anew."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        there = {"/start": "/middle", "/middle": "/end"}.get(request.path)
        headers = {"Location": there, "Set-Cookie": "a=2; Path=/"} if there else {}
        writer.write(answer(302 if there else 200, b"", headers))

    async with serving(handle) as server:
        await ask(server.url("/start"), headers={"Cookie": "a=1; b=1"})
    assert [request.header("cookie") for request in server.requests] == ["a=1; b=1", "b=1; a=2", "b=1; a=2"]


async def test_07_headers_arrive_as_set() -> None:
    """Host, User-Agent and other headers arrive as the definition sets them, filled from params, each once."""
    async with serving(says()) as server:
        await ask(
            server.url(),
            headers={"Host": "tax.example", "User-Agent": "monitor/9", "X-Who": "${who}", "Accept": "application/json"},
            params={"who": "me"},
        )
    request = server.requests[0]
    for name, value in {
        "host": "tax.example",
        "user-agent": "monitor/9",
        "x-who": "me",
        "accept": "application/json",
    }.items():
        assert [given for header, given in request.headers if header.lower() == name] == [value]


async def test_08_the_body_arrives_byte_for_byte() -> None:
    """A body with Persian text and line breaks arrives as written, params filled in, with its length."""
    async with serving(says()) as server:
        await ask(server.url("/inquiry"), method="POST", body='{"نام":\r\n "${name}"}\n', params={"name": "علی"})
    request = server.requests[0]
    assert request.line == "POST /inquiry HTTP/1.1"
    assert request.body == '{"نام":\r\n "علی"}\n'.encode()


async def test_09_the_scheme_is_case_insensitive() -> None:
    """HTTP:// is http://."""
    async with serving(says()) as server:
        result = await ask(server.url().replace("http", "HTTP"))
    assert result.judgement.reason is Reason.OK


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_10_bodies_are_decoded_only_when_asked(encoding: str, pack: object) -> None:
    """A compressed body is decoded when the definition accepts its encoding, else judged as it is; both lengths tell."""
    plain = b'{"clear": true}' * 20
    packed = pack(plain)  # type: ignore[operator]
    expect = Expect(body=Body(must=('"clear": true',)))
    async with serving(says(200, packed, {"Content-Encoding": encoding})) as server:
        asked = await ask(server.url(), expect, headers={"Accept-Encoding": f"{encoding}, br"})
        unasked = await ask(server.url(), expect)
    assert asked.judgement.reason is Reason.OK
    assert (asked.observation.raw_length, asked.observation.body_length) == (len(packed), len(plain))
    assert unasked.judgement.reason is Reason.BODY
    assert unasked.observation.body == packed


@pytest.mark.parametrize("body", [b"not gzip at all", gzip.compress(b"cut short" * 50, mtime=0)[:-12]])
async def test_11_a_wrong_encoding_claim_fails(body: bytes) -> None:
    """A body that is not the gzip it claims to be, or only a part of it, is INVALID/ENCODING."""
    async with serving(says(200, body, {"Content-Encoding": "gzip"})) as server:
        result = await ask(server.url(), headers={"Accept-Encoding": "gzip"})
    assert result.judgement.reason is Reason.ENCODING


async def test_12_an_unknown_encoding_passes_through() -> None:
    """An encoding we do not know is judged as it came."""
    async with serving(says(200, b"zzz", {"Content-Encoding": "rot13"})) as server:
        result = await ask(server.url(), Expect(body=Body(must=("^zzz$",))), headers={"Accept-Encoding": "gzip, rot13"})
    assert result.judgement.reason is Reason.OK


async def test_13_lengths_are_reported_on_failures_too() -> None:
    """A failed answer still tells how long it was."""
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
    """A small body that would decode into gigabytes ends at the limit, quickly."""
    async with serving(says(200, gzip.compress(b"\0" * (64 << 20)), {"Content-Encoding": "gzip"})) as server:
        start = monotonic()
        result = await ask(server.url(), headers={"Accept-Encoding": "gzip"}, body_limit=100_000)
    assert result.judgement.reason is Reason.BODY_LIMIT
    assert monotonic() - start < 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"all clear", Reason.OK), (b"all clear but error", Reason.BODY), (b"clear of errands, not a11", Reason.BODY)],
)
async def test_15_16_body_patterns(body: bytes, reason: Reason) -> None:
    """Any forbidden pattern fails; every required one must match."""
    async with serving(says(200, body)) as server:
        result = await ask(server.url(), Expect(body=Body(must=("all", "cle.r"), must_not=("error", "fatal"))))
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
    """Of several headers of one name, one that matches is enough."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nVia: one\r\nVia: two\r\nContent-Length: 0\r\n\r\n")

    async with serving(handle) as server:
        result = await ask(server.url(), Expect(headers={"via": HeaderExpectation("^two$")}))
    assert result.judgement.reason is Reason.OK


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"id": "1", "clear": true}', Reason.OK),
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
    """A known person's record must come back as it is known, numbers as numbers; else INVALID/TEST_RECORD."""
    expect = Expect(record={"person.name": "${name}", "$.person.born": "${born}"})
    async with serving(says(200, '{"person": {"name": "علي", "born": 1350}}'.encode())) as server:
        right = await ask(server.url(), expect, params={"name": "علی", "born": 1350})
        wrong = await ask(server.url(), expect, params={"name": "رضا", "born": 1350})
    assert right.judgement.reason is Reason.OK
    assert wrong.judgement.reason is Reason.TEST_RECORD
    assert "رضا" not in wrong.judgement.detail


async def test_late() -> None:
    """The right answer, slower than the link allows, is LATE, with its latency."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.06)
        writer.write(answer())

    async with serving(handle) as server:
        result = await ask(server.url(), latency=0.03)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.LATE, Reason.LATE)
    assert result.observation.latency is not None
    assert 0.05 < result.observation.latency < 1


async def test_stale_by_json_and_by_header() -> None:
    """Data older than the link allows is STALE, by a JSON path or by a header; younger data is OK, with its age."""
    old = time() - 7200
    body = f'{{"updated": {int(old * 1000)}}}'.encode()
    async with serving(says(200, body, {"Last-Modified": formatdate(old, usegmt=True)})) as server:
        for fresh in (Fresh(path="$.updated"), Fresh(header="Last-Modified")):
            stale = await ask(server.url(), Expect(fresh=fresh), max_age=3600)
            young = await ask(server.url(), Expect(fresh=fresh), max_age=8000)
            assert stale.judgement.reason is Reason.STALE
            assert young.judgement.reason is Reason.OK
            assert young.judgement.data_age == pytest.approx(7200, abs=3)


async def test_the_age_by_a_header_in_persian() -> None:
    """The age of data is read from a header that holds a Jalali date in Persian digits, as UTF-8."""
    async with serving(says(200, b"", {"X-Updated": "۱۴۰۳/۰۵/۱۲"})) as server:
        result = await ask(server.url(), Expect(fresh=Fresh(header="X-Updated")), max_age=3600)
    assert result.judgement.reason is Reason.STALE
    assert result.judgement.data_age == pytest.approx(time() - 1_722_630_600, abs=86_400)


async def test_age_unreadable() -> None:
    """Data whose age is asked for and cannot be read is INVALID/AGE_UNREADABLE."""
    async with serving(says(200, b'{"updated": "yesterday"}')) as server:
        for fresh in (Fresh(path="$.updated"), Fresh(path="$.missing"), Fresh(header="Date")):
            result = await ask(server.url(), Expect(fresh=fresh), max_age=3600)
            assert result.judgement.reason is Reason.AGE_UNREADABLE


async def test_check_error() -> None:
    """A check that cannot run, here for absurdly deep JSON, is INVALID/CHECK_ERROR, never a pass."""
    body = b'{"a":' * 300 + b"1" + b"}" * 300
    async with serving(says(200, body)) as server:
        result = await ask(server.url(), Expect(json=(JsonExpectation("$..zzz"),)))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.CHECK_ERROR)


async def test_29_each_phase_once() -> None:
    """A plain probe of an address has connect, processing and transfer, and neither resolve nor tls; they add up."""
    async with serving(says(200, b"x" * 100_000)) as server:
        result = await ask(server.url())
    phases, observation = result.observation.phases, result.observation
    assert (phases.resolve, phases.tls) == (None, None)
    parts = [phases.connect, phases.processing, phases.transfer]
    assert all(part is not None and part > 0 for part in parts)
    assert sum(part for part in parts if part) <= observation.duration
    assert observation.latency == pytest.approx((phases.processing or 0) + (phases.transfer or 0))


async def test_29_resolve_is_a_phase_and_is_remembered() -> None:
    """A name costs one question for as long as its TTL says, and resolving is timed each time."""
    async with serving(says()) as server, name_server({"tax.test": ["127.0.0.1"]}) as (names, resolver):
        network = Network(egress=EgressRules(Egress(("127.0.0.0/8",), True)), resolver=resolver)
        for _ in range(3):
            result = await ask(server.url(host="tax.test"), network=network)
            assert result.judgement.reason is Reason.OK
            assert result.observation.phases.resolve is not None
    assert names.asked.count("tax.test/1") == 1
    assert server.requests[0].header("host") == f"tax.test:{server.port}"


async def test_28_the_next_address_is_tried() -> None:
    """When one address of a name refuses, the next is tried; every address tried is recorded."""
    async with (
        serving(says(), host="127.0.0.3") as server,
        name_server({"two.test": ["127.0.0.2", "127.0.0.3"]}) as (_, resolver),
    ):
        network = Network(egress=EgressRules(Egress(("127.0.0.0/8",), True)), resolver=resolver)
        result = await ask(server.url(host="two.test"), network=network)
    assert result.judgement.reason is Reason.OK
    assert result.observation.addresses[-1] == "127.0.0.3"


async def test_resolve_failed() -> None:
    """A name that does not exist is NOT_CONNECTED/RESOLVE_FAILED."""
    async with name_server({}) as (_, resolver):
        network = Network(egress=EgressRules(Egress(("127.0.0.0/8",), True)), resolver=resolver)
        result = await ask("http://gone.test/", network=network)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.RESOLVE_FAILED)


async def test_connect_refused(port: object) -> None:
    """A port where nobody listens is NOT_CONNECTED/CONNECT_REFUSED."""
    result = await ask(f"http://127.0.0.1:{port()}/")  # type: ignore[operator]
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_CONNECTED, Reason.CONNECT_REFUSED)


@pytest.mark.parametrize("kind", ["basic", "bearer", "api_key"])
async def test_30_credentials_arrive_and_stay_secret(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Credentials by reference arrive, follow no redirect to strangers, and show in nothing we say or print."""
    monkeypatch.setenv("TEST_SECRET", "s3cr3t-value")
    (tmp_path / "key").write_text("s3cr3t-value\n")
    auth = {
        "basic": Auth("basic", username="me", password="env:TEST_SECRET"),
        "bearer": Auth("bearer", token="env:TEST_SECRET"),
        "api_key": Auth("api_key", header="X-Api-Key", key=f"file:{tmp_path / 'key'}"),
    }[kind]
    async with serving(says(500)) as stranger:

        async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(answer(302, b"", {"Location": stranger.url()}))

        async with serving(handle) as server:
            result = await ask(server.url(), auth=auth)
    sent = {"basic": "Basic bWU6czNjcjN0LXZhbHVl", "bearer": "Bearer s3cr3t-value", "api_key": "s3cr3t-value"}[kind]
    header = "x-api-key" if kind == "api_key" else "authorization"
    assert server.requests[0].header(header) == sent
    assert stranger.requests[0].header(header) is None
    printed = capsys.readouterr()
    assert "s3cr3t" not in repr(result) + printed.out + printed.err


async def test_own_credential() -> None:
    """A credential of ours that is missing is UNKNOWN/OWN_CREDENTIAL, and the target is left alone."""
    async with serving(says()) as server:
        result = await ask(server.url(), auth=Auth("bearer", token="env:NO_SUCH_VARIABLE"))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)
    assert server.connections == 0


async def _half_headers(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")
    await writer.drain()
    await asyncio.Event().wait()


async def _drip(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _timed(url: str, reason: Reason, outcome: Outcome, network: Network | None = None) -> None:
    start = monotonic()
    result = await ask(url, timeout=0.3, network=network)
    assert 0.29 <= monotonic() - start <= 0.35
    assert (result.judgement.outcome, result.judgement.reason) == (outcome, reason)


async def test_31_hung_resolve_ends_in_time() -> None:
    """A mute name server ends the probe by its deadline, as RESOLVE_TIMEOUT."""
    async with name_server({}, mute=True) as (_, resolver):
        network = Network(egress=EgressRules(Egress(("127.0.0.0/8",), True)), resolver=resolver)
        await _timed("http://mute.test/", Reason.RESOLVE_TIMEOUT, Outcome.NOT_CONNECTED, network)


async def test_31_hung_connect_ends_in_time() -> None:
    """A connect that hangs ends by the deadline, as CONNECT_TIMEOUT."""
    with unaccepting() as port:
        await _timed(f"http://127.0.0.1:{port}/", Reason.CONNECT_TIMEOUT, Outcome.NOT_CONNECTED)


async def test_31_hung_tls_ends_in_time() -> None:
    """A handshake that hangs ends by the deadline, as TLS_TIMEOUT."""
    with silent() as port:
        await _timed(f"https://127.0.0.1:{port}/", Reason.TLS_TIMEOUT, Outcome.NOT_CONNECTED)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [(forever, Reason.ANSWER_TIMEOUT), (_half_headers, Reason.ANSWER_TIMEOUT), (_drip, Reason.BODY_TIMEOUT)],
)
async def test_31_hung_answers_end_in_time(handler: object, reason: Reason) -> None:
    """No answer, half its headers, and a body that drips all end by the deadline, as NOT_ANSWERED."""
    async with serving(handler) as server:  # type: ignore[arg-type]
        await _timed(server.url(), reason, Outcome.NOT_ANSWERED)


async def _reset(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _close(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _close_midway(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


async def _babble(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (_reset, Reason.CONNECTION_RESET),
        (_close, Reason.CONNECTION_CLOSED),
        (_close_midway, Reason.CONNECTION_CLOSED),
        (_babble, Reason.PROTOCOL_ERROR),
    ],
)
async def test_32_one_attempt_however_it_breaks(handler: object, reason: Reason) -> None:
    """A connection that breaks or does not speak HTTP is NOT_ANSWERED with its reason, and is not tried again."""
    async with serving(handler) as server:  # type: ignore[arg-type]
        result = await ask(server.url())
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, reason)
    assert server.connections == 1


async def test_an_answer_may_end_with_the_connection() -> None:
    """Without a length the answer ends where the connection does."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nall of it")

    async with serving(handle) as server:
        result = await ask(server.url(), Expect(body=Body(must=("^all of it$",))))
    assert result.judgement.reason is Reason.OK


async def test_interim_answers_are_skipped() -> None:
    """A 100 or 103 before the answer is not the answer; chunks are put together."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        writer.write(b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")

    async with serving(handle) as server:
        result = await ask(server.url(), Expect(body=Body(must=("^abcdef$",))))
    assert result.judgement.reason is Reason.OK
    assert result.observation.headers == (("transfer-encoding", "chunked"),)


async def test_head_has_no_body() -> None:
    """A HEAD answer is whole after its headers, whatever length they promise."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        await asyncio.Event().wait()

    async with serving(handle) as server:
        result = await ask(server.url(), method="HEAD")
    assert result.judgement.reason is Reason.OK


async def test_local_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    """When this machine has no descriptor left, the outcome is UNKNOWN/LOCAL_RESOURCES, not the target's failure."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = {int(name.name) for name in Path("/proc/self/fd").iterdir()}
    async with serving(says()) as server:
        free = next(number for number in range(3, 10_000) if number not in used)
        fillers: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(used | {free}) + 2, hard))
        try:
            while True:
                try:
                    fillers.append(os.open("/dev/null", os.O_RDONLY))
                except OSError:
                    break
            result = await ask(server.url())
        finally:
            for filler in fillers:
                os.close(filler)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.LOCAL_RESOURCES)


async def test_37_egress_is_checked_on_the_address() -> None:
    """A target whose address the policy does not allow is UNKNOWN/EGRESS_DENIED, whatever name it goes by."""
    async with serving(says()) as server, name_server({"inside.test": ["127.0.0.1"]}) as (_, resolver):
        network = Network(egress=EgressRules(Egress(("198.51.100.0/24",), False)), resolver=resolver)
        for host in ("127.0.0.1", "inside.test"):
            result = await ask(server.url(host=host), network=network)
            assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.EGRESS_DENIED)
    assert server.connections == 0


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://10.0.0.1/",
        "ftp://127.0.0.1/",
        "http://a:port/",
    ],
)
async def test_37_egress_is_checked_on_every_redirect(location: str) -> None:
    """A redirect to where probes may not go, or to what is no http URL, is INVALID/REDIRECT_REFUSED."""
    async with serving(says(302, b"", {"Location": location})) as server:
        result = await ask(server.url())
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.REDIRECT_REFUSED)


async def test_prober_error() -> None:
    """A crash of our own, here for a param that is missing, is UNKNOWN/PROBER_ERROR."""
    result = await ask("http://127.0.0.1:1/${missing}")
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.PROBER_ERROR)


async def test_36_a_hung_target_delays_no_other() -> None:
    """While two hundred probes hang, another is answered as quickly as alone."""
    async with serving(forever) as hung, serving(says()) as healthy:
        network = Network(egress=EgressRules(Egress(("127.0.0.0/8",), True)))
        waiting = [asyncio.create_task(ask(hung.url(), timeout=1.5, network=network)) for _ in range(200)]
        await hung.reaches(200)
        start = monotonic()
        result = await ask(healthy.url(), network=network)
        took = monotonic() - start
        results = await asyncio.gather(*waiting)
        await network.close()
    assert result.judgement.reason is Reason.OK
    assert took < 0.25
    assert {other.judgement.reason for other in results} == {Reason.ANSWER_TIMEOUT}
