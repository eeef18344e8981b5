"""A journey captures values from answers, and an answer leads it only where it may go."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import unquote

import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import (
    Capture,
    DnsQuery,
    Expect,
    JsonExpectation,
    Patterns,
    Probe,
    Step,
)
from tests.support.cases.probes.journey import ASK, SECRET, a_step, paths, site, travel
from tests.support.servers.http_server import Request, answer, serving
from tests.support.servers.name_server import name_server


@pytest.mark.parametrize(
    ("capture", "why"),
    [
        (Capture(json="$.absent"), "nothing was found"),
        (Capture(json="$.nothing"), "nothing was found"),
        (Capture(json="$.list"), "the value is neither text, number nor flag"),
        (Capture(xpath="//code"), "the body is not XML (line 1, column 1)"),
        (Capture(header="X-Absent"), "nothing was found"),
        (Capture(pattern='"absent": "(.*?)"'), "nothing was found"),
        (Capture(pattern='"absent"|(?P<x>never)|"token"'), "nothing was found"),
    ],
)
async def test_40_a_capture_that_finds_nothing(capture: Capture, why: str) -> None:
    """A variable without a value is INVALID/CAPTURE, with the names of the step and the variable, and ends the journey."""
    async with serving(site) as server:
        result = await travel(server.url(""), a_step("login", "${target}/login", {"token": capture}), ASK)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.CAPTURE)
    assert result.judgement.detail == f"step login gives no value for variable token: {why}"
    assert "/ask" not in paths(server)


async def test_every_place_to_capture_from() -> None:
    """Headers, patterns and flags are captured, and an expected value that is one variable keeps its type."""
    captures = {
        "order": Capture(header="x-order"),
        "number": Capture(pattern='"number": ([0-9]+)'),
        "open": Capture(json="$.open"),
        "raw": Capture(json="$.token", encode="json"),
    }
    sent: list[bytes] = []

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/echo":
            sent.append(request.body)
            writer.write(answer(200, request.body))
        else:
            await site(request, writer)

    echo = a_step(
        "echo",
        "${target}/echo",
        method="POST",
        headers={"X-Order": "${order}"},
        body='{"order": "${order}", "number": "${number}", "open": ${open}, "raw": "${raw}"}',
        expect=Expect(
            json=(JsonExpectation("$.open", equals="${open}"), JsonExpectation("$.number", equals="${number}"))
        ),
    )
    async with serving(handle) as server:
        result = await travel(server.url(""), a_step("login", "${target}/login", captures), echo)
    assert result.judgement.reason is Reason.OK
    assert json.loads(sent[0]) == {"order": "order-5", "number": "17", "open": True, "raw": SECRET}
    assert server.requests[-1].header("x-order") == "order-5"


async def test_30_what_is_captured_shows_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither judgement nor log nor output holds a captured value, whether it can be used or not."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b'{"host": "s3cr3t.test", "url": "http://s3cr3t:port/", "split": "s3cr3t\\u0000"}'))

    use = a_step("use", "${token}", expect=Expect(body=Patterns(must=("never",))))
    wrong = a_step("wrong", "${target}/${token}", expect=Expect(json=(JsonExpectation("$.x", equals="${token}"),)))
    away = a_step("away", "http://${token}/")
    places = {"$.url": use, "$.split": use, "$.host": away, "$": wrong}
    details = {}
    async with serving(handle) as server, name_server({}) as (_, resolver):
        for path, step in (*places.items(), ("$['host']", wrong)):
            login = a_step("login", "${target}/login", {"token": Capture(json=path)})
            details[path] = (await travel(server.url(""), login, step, resolver=resolver)).judgement.detail
    assert details == {
        "$.url": "step use cannot use what was captured for token",
        "$.split": "step login gives no value for variable token: the value holds a control character",
        "$.host": "step away: failed in phase resolve",
        "$": "step login gives no value for variable token: the value is neither text, number nor flag",
        "$['host']": "step wrong: $.x finds nothing",
    }
    printed = capsys.readouterr()
    assert "s3cr3t" not in printed.out + printed.err


async def test_37_an_answer_leads_nowhere_forbidden() -> None:
    """A captured address that the egress policy forbids is the answer's fault; one from the register is UNKNOWN."""
    catch = {"next": Capture(pattern="(http://[0-9.]+)")}

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"see http://169.254.169.254"))

    async with serving(handle) as server:
        led = await travel(server.url(""), a_step("a", "${target}/", catch), a_step("b", "${next}/meta"))
        own = await travel(server.url(""), a_step("a", "${target}/"), a_step("b", "http://169.254.169.254/"))
    assert (led.judgement.outcome, led.judgement.reason) == (Outcome.INVALID, Reason.REDIRECT_REFUSED)
    assert (own.judgement.outcome, own.judgement.reason) == (Outcome.UNKNOWN, Reason.EGRESS_DENIED)


@pytest.mark.parametrize(
    ("kind", "target", "given"),
    [
        ("http", "${next}", "ftp://x/y"),
        ("http", "${next}", "mailto:who@tax.example"),
        ("http", "${next}", "javascript:void(0)"),
        ("http", "${next}", "/relative"),
        ("http", "${next}", "http://10.0.0.256/"),
        ("http", "${next}", "http:///x"),
        ("http", "http://127.0.0.1:${next}/", "99999"),
        ("http", "http://127.0.0.1:${next}/", "0"),
        ("tcp", "tcp://127.0.0.1:${next}", "99999"),
        ("tls", "tls://127.0.0.1:${next}", "99999"),
        ("grpc", "grpc://127.0.0.1:${next}", "99999"),
        ("dns", "dns://127.0.0.1:${next}", "99999"),
        ("dns", "dns://127.0.0.1:${next}", "0"),
    ],
)
async def test_an_answer_that_leads_where_a_step_cannot_go(kind: str, target: str, given: str) -> None:
    """A captured value that is not a target of the step's kind is INVALID/CAPTURE, and is not repeated."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"", {"X-Next": given}))

    second = Step(Probe("b", kind, query=DnsQuery(name="tax.example")), target)
    async with serving(handle) as server:
        result = await travel(server.url(""), a_step("a", "${target}/", {"next": Capture(header="X-Next")}), second)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.CAPTURE)
    assert result.judgement.detail == "step b cannot use what was captured for next"


async def test_spaces_and_other_letters_in_a_captured_target() -> None:
    """A captured path is percent-encoded, as in browsers."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, "/سند ۱\u200cب".encode()))

    catch = {"next": Capture(pattern="(.+)")}
    async with serving(handle) as server:
        result = await travel(server.url(""), a_step("a", "${target}/", catch), a_step("b", "${target}${next}"))
    assert result.judgement.reason is Reason.OK
    assert unquote(server.requests[1].path) == "/سند ۱\u200cب"
