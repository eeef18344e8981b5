"""Probe kind journey against a real site with sessions, forms and tokens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import structlog

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import (
    Auth,
    Capture,
    DnsQuery,
    Expect,
    FreshnessSource,
    JsonExpectation,
    Patterns,
    Probe,
    Step,
    Tls,
)
from services.core.model.register import Egress
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from services.prober.transport.resolver import Resolver
from tests.support.patient_loop import takes
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import LOOPBACK, Request, Server, answer, assignment, forever, serving
from tests.support.servers.name_server import name_server

SECRET = "tok+en/with=signs&more"


async def _site(request: Request, writer: asyncio.StreamWriter) -> None:
    """A citizen service: log in, follow a redirect with a cookie, request with a token, fetch the document."""
    parts = urlsplit(request.path)
    cookies = request.header("cookie") or ""
    if parts.path == "/login":
        writer.write(answer(302, b"", {"Location": "/home", "Set-Cookie": "session=abc; Path=/"}))
    elif parts.path == "/home" and "session=abc" in cookies:
        page = json.dumps({"token": SECRET, "number": 17, "open": True, "nothing": None, "list": [1]}).encode()
        writer.write(answer(200, page, {"Set-Cookie": "seen=yes", "X-Order": "order-5", "Content-Type": "text/json"}))
    elif parts.path == "/ask" and "session=abc" in cookies and parse_qs(parts.query).get("token") == [SECRET]:
        writer.write(answer(200, b"<paper><id>9</id><code> p-1 </code></paper>"))
    elif parts.path == "/paper/p-1" and "seen=yes" in cookies:
        writer.write(answer(200, b'{"order": 17, "updated": 1000000000}'))
    elif parts.path == "/free":
        writer.write(answer(200, b"cookies: " + cookies.encode()))
    else:
        writer.write(answer(403))


def _step(name: str, target: str, capture: Mapping[str, Capture] | None = None, **definition: object) -> Step:
    probe = Probe(name, "http", **{"timeout": 3.0, **definition})  # type: ignore[arg-type]
    return Step(probe, target, capture or {})


LOGIN = _step(
    "login",
    "${target}/login?user=${person}",
    {"token": Capture(json="$.token", encode="url"), "number": Capture(json="$.number")},
)
ASK = _step("ask", "${target}/ask?token=${token}", {"code": Capture(xpath="//code")})
PAPER = _step("paper", "${target}/paper/${code}", expect=Expect(json=(JsonExpectation("$.order", equals="${number}"),)))


async def _travel(
    target: str,
    *steps: Step,
    timeout: float = 5.0,
    egress: Egress = LOOPBACK,
    latency: float = 2.0,
    max_age: float | None = None,
    resolver: Resolver | None = None,
) -> ProbeResult:
    environment = ProbeEnvironment(Outbound(egress=EgressRules(egress), resolver=resolver or Resolver()))
    definition = Probe("test", "journey", steps=steps, timeout=timeout)
    try:
        attempts = ProbeRunner(environment, structlog.get_logger())
        item = assignment(target, definition, params={"person": "0000000000"}, latency=latency, max_age=max_age)
        return await attempts.probe(item)
    finally:
        await environment.close()


def _paths(server: Server) -> list[str]:
    return [urlsplit(request.path).path for request in server.requests]


async def test_06_a_service_from_start_to_end() -> None:
    """Cookies, set before a redirect too, and captured values of every sort take a journey to its end."""
    async with serving(_site) as server:
        result = await _travel(server.url(""), LOGIN, ASK, PAPER)
    seen = result.observation
    assert result.judgement.reason is Reason.OK
    assert _paths(server) == ["/login", "/home", "/ask", "/paper/p-1"]
    assert [step.name for step in seen.steps] == ["login", "ask", "paper"]
    assert (seen.status, seen.redirects, seen.addresses) == (200, 1, ("127.0.0.1",))
    assert seen.protocol == "HTTP/1.1"


async def test_times_add_up() -> None:
    """Latency and phases are the sums of the steps', a phase no step had is missing, and judging is not in them."""
    async with serving(_site) as server:
        seen = (await _travel(server.url(""), LOGIN, ASK, PAPER)).observation
    steps = [step.observation for step in seen.steps]
    assert seen.latency == pytest.approx(sum(step.latency or 0.0 for step in steps))
    assert seen.phases.connect == pytest.approx(sum(step.phases.connect or 0.0 for step in steps))
    assert seen.phases.processing == pytest.approx(sum(step.phases.processing or 0.0 for step in steps))
    assert (seen.phases.resolve, seen.phases.tls) == (None, None)
    assert seen.latency is not None
    assert seen.duration > seen.latency


async def test_it_stops_at_the_first_step_that_fails() -> None:
    """A failed step ends the journey with its own reason and name; later steps are not taken; there is no latency."""
    async with serving(_site) as server:
        result = await _travel(server.url(""), _step("lost", "${target}/lost"), LOGIN)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.AUTH_REFUSED)
    assert result.judgement.detail == "step lost: status 403"
    assert _paths(server) == ["/lost"]
    assert result.observation.latency is None
    assert result.observation.status == 403


async def test_a_status_that_a_step_expects_is_no_failure() -> None:
    """The expectations of the last step decide, whatever its answer alone would mean."""
    async with serving(_site) as server:
        result = await _travel(server.url(""), _step("lost", "${target}/lost", expect=Expect(status=(403,))))
    assert result.judgement.reason is Reason.OK


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
    async with serving(_site) as server:
        result = await _travel(server.url(""), _step("login", "${target}/login", {"token": capture}), ASK)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.CAPTURE)
    assert result.judgement.detail == f"step login gives no value for variable token: {why}"
    assert "/ask" not in _paths(server)


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
            await _site(request, writer)

    echo = _step(
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
        result = await _travel(server.url(""), _step("login", "${target}/login", captures), echo)
    assert result.judgement.reason is Reason.OK
    assert json.loads(sent[0]) == {"order": "order-5", "number": "17", "open": True, "raw": SECRET}
    assert server.requests[-1].header("x-order") == "order-5"


async def test_30_what_is_captured_shows_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither judgement nor log nor output holds a captured value, whether it can be used or not."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b'{"host": "s3cr3t.test", "url": "http://s3cr3t:port/", "split": "s3cr3t\\u0000"}'))

    use = _step("use", "${token}", expect=Expect(body=Patterns(must=("never",))))
    wrong = _step("wrong", "${target}/${token}", expect=Expect(json=(JsonExpectation("$.x", equals="${token}"),)))
    away = _step("away", "http://${token}/")
    places = {"$.url": use, "$.split": use, "$.host": away, "$": wrong}
    details = {}
    async with serving(handle) as server, name_server({}) as (_, resolver):
        for path, step in (*places.items(), ("$['host']", wrong)):
            login = _step("login", "${target}/login", {"token": Capture(json=path)})
            details[path] = (await _travel(server.url(""), login, step, resolver=resolver)).judgement.detail
    assert details == {
        "$.url": "step use cannot use what was captured for token",
        "$.split": "step login gives no value for variable token: the value holds a control character",
        "$.host": "step away: failed in phase resolve",
        "$": "step login gives no value for variable token: the value is neither text, number nor flag",
        "$['host']": "step wrong: $.x finds nothing",
    }
    printed = capsys.readouterr()
    assert "s3cr3t" not in printed.out + printed.err


async def test_cookies_go_to_their_own_site_only() -> None:
    """A cookie is sent to the host that set it and to no other, and no journey starts with one of another journey."""
    async with serving(_site) as home, serving(_site, host="127.0.0.2") as stranger:
        away = _step(
            "away", stranger.url("/free", host="127.0.0.2"), expect=Expect(body=Patterns(must=("^cookies: $",)))
        )
        first = await _travel(home.url(""), LOGIN, away)
        environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)))
        definition = Probe("test", "journey", steps=(LOGIN,))
        attempts = ProbeRunner(environment, structlog.get_logger())
        item = assignment(home.url(""), definition, params={"person": "1"})
        for _ in range(2):
            assert (await attempts.probe(item)).judgement.reason is Reason.OK
        await environment.close()
    assert first.judgement.reason is Reason.OK
    assert [request.header("cookie") for request in home.requests if request.path.startswith("/login")] == [None] * 3


@pytest.mark.parametrize(("whole", "step"), [(0.3, 3.0), (3.0, 0.3)])
async def test_31_a_journey_ends_in_time(whole: float, step: float) -> None:
    """A step that hangs ends with the journey's deadline or its own timeout, whichever is first."""
    async with serving(_site) as server, serving(forever) as hung:
        hang = _step("hang", hung.url(), timeout=step)
        result = await takes(0.3, _travel(server.url(""), LOGIN, hang, timeout=whole))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.ANSWER_TIMEOUT)
    assert result.judgement.detail.startswith("step hang: ")


@pytest.mark.parametrize(("own", "reason"), [(3.0, Reason.OWN_CREDENTIAL), (0.3, Reason.ANSWER_TIMEOUT)])
async def test_a_token_may_take_the_time_of_a_later_step(
    own: float, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that the journey's deadline ends because an earlier one waited for a token is not to blame."""
    monkeypatch.setenv("TEST_CLIENT_SECRET", "s3cr3t")

    async def issue(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        writer.write(answer(200, b'{"access_token": "a"}'))

    async with serving(issue) as issuer, serving(_site) as server, serving(forever) as hung:
        auth = Auth("oauth2", token_url=issuer.url(), client_id="a", client_secret="env:TEST_CLIENT_SECRET")
        first = _step("first", "${target}/free", auth=auth, timeout=1.0)
        result = await _travel(server.url(""), first, _step("hang", hung.url(), timeout=own), timeout=1.0)
    assert result.judgement.reason is reason
    assert result.judgement.detail.startswith("step hang: ")


async def test_37_an_answer_leads_nowhere_forbidden() -> None:
    """A captured address that the egress policy forbids is the answer's fault; one from the register is UNKNOWN."""
    catch = {"next": Capture(pattern="(http://[0-9.]+)")}

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"see http://169.254.169.254"))

    async with serving(handle) as server:
        led = await _travel(server.url(""), _step("a", "${target}/", catch), _step("b", "${next}/meta"))
        own = await _travel(server.url(""), _step("a", "${target}/"), _step("b", "http://169.254.169.254/"))
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
        result = await _travel(server.url(""), _step("a", "${target}/", {"next": Capture(header="X-Next")}), second)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.CAPTURE)
    assert result.judgement.detail == "step b cannot use what was captured for next"


async def _led(
    monkeypatch: pytest.MonkeyPatch, target: str, given: str, *, origins: tuple[str, ...] = (), **definition: object
) -> tuple[ProbeResult, list[Request], list[Request]]:
    """Let an answer lead a step with a credential. Return the result, and what the target and another server received.

    ``here`` and ``there`` in the step's target, what is captured and the origins are the ports of these servers.
    """
    monkeypatch.setenv("TEST_TOKEN", SECRET)
    ports: dict[str, int] = {}

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, b"", {"X-Next": given.format(**ports)}))

    async with serving(handle) as server, serving(handle) as other:
        ports |= {"here": server.port, "there": other.port}
        made = _step("b", target.replace("there", str(other.port)), None, **{"auth": TOKEN, **definition})
        made = replace(made, origins=tuple(origin.format(**ports) for origin in origins))
        first = _step("a", "${target}/", {"next": Capture(header="X-Next")})
        result = await _travel(server.url(""), first, made)
    return result, server.requests[1:], other.requests


TOKEN = Auth("bearer", token="env:TEST_TOKEN")


@pytest.mark.parametrize(
    ("target", "given"),
    [
        ("${next}", "http://127.0.0.1:{there}/"),
        ("http://127.0.0.1:${next}/", "{there}"),
        ("${target}${next}", "@127.0.0.1:{there}/"),
        ("http://127.0.0.${next}/", "1:{there}"),
    ],
)
async def test_30_an_answer_does_not_choose_who_gets_our_credentials(
    monkeypatch: pytest.MonkeyPatch, target: str, given: str
) -> None:
    """A step with a token is not made to an origin that only an answer names, and that is the answer's fault."""
    result, _, stolen = await _led(monkeypatch, target, given)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.CAPTURE)
    assert stolen == []


async def test_30_a_client_certificate_is_a_credential(
    monkeypatch: pytest.MonkeyPatch, authority_files: tuple[str, str]
) -> None:
    """A step with a client certificate makes no handshake with an origin that only an answer names."""
    certificate, key = authority_files
    tls = Tls(certificate=certificate, key=key, verify=False)
    result, _, stolen = await _led(monkeypatch, "${next}", "https://127.0.0.1:{there}/", auth=Auth(), tls=tls)
    assert result.judgement.reason is Reason.CAPTURE
    assert result.judgement.detail == "step b would send credentials to an origin that only an answer names"
    assert stolen == []


@pytest.fixture
def authority_files(tmp_path: Path) -> tuple[str, str]:
    """References to a client's certificate and key."""
    certificate, key = Authority.make(tmp_path).client()
    return f"file:{certificate}", f"file:{key}"


@pytest.mark.parametrize(
    ("target", "given", "origins", "reached"),
    [
        ("${next}", "http://127.0.0.1:{here}/x", (), "here"),
        ("${target}${next}", "/x", (), "here"),
        ("http://127.0.0.1:there/${next}", "x", (), "there"),
        ("${next}", "http://127.0.0.1:{there}/x", ("http://127.0.0.1:9", "http://127.0.0.1:{there}/"), "there"),
    ],
)
async def test_30_credentials_for_origins_that_the_register_names(
    monkeypatch: pytest.MonkeyPatch, target: str, given: str, origins: tuple[str, ...], reached: str
) -> None:
    """A token goes where an answer leads if that is the journey's own target, the step's own, or one of `origins`."""
    result, here, there = await _led(monkeypatch, target, given, origins=origins)
    assert result.judgement.reason is Reason.OK
    requests = {"here": here, "there": there}
    assert [one.header("authorization") for one in requests.pop(reached)] == [f"Bearer {SECRET}"]
    assert list(requests.values()) == [[]]


async def test_an_answer_leads_a_step_without_credentials_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a credential a step follows an answer to any origin that the policy allows."""
    result, _, there = await _led(monkeypatch, "${next}", "http://127.0.0.1:{there}/", auth=Auth())
    assert result.judgement.reason is Reason.OK
    assert len(there) == 1


async def test_spaces_and_other_letters_in_a_captured_target() -> None:
    """A captured path is percent-encoded, as in browsers."""

    async def handle(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(200, "/سند ۱\u200cب".encode()))

    catch = {"next": Capture(pattern="(.+)")}
    async with serving(handle) as server:
        result = await _travel(server.url(""), _step("a", "${target}/", catch), _step("b", "${target}${next}"))
    assert result.judgement.reason is Reason.OK
    assert unquote(server.requests[1].path) == "/سند ۱\u200cب"


async def test_late_and_stale_are_of_the_whole() -> None:
    """The journey is late by the sum of its steps, and stale by the oldest data in any step."""
    fresh = _step("paper", "${target}/paper/p-1", expect=Expect(fresh=FreshnessSource(path="$.updated")))
    async with serving(_site) as server:
        late = await _travel(server.url(""), LOGIN, ASK, latency=1e-6)
        stale = await _travel(server.url(""), LOGIN, fresh, _step("free", "${target}/free"), max_age=60)
        known = await _travel(server.url(""), LOGIN, fresh)
    assert late.judgement.reason is Reason.LATE
    assert stale.judgement.reason is Reason.STALE
    assert known.judgement.reason is Reason.OK
    assert known.judgement.data_age is not None
    assert known.judgement.data_age > 1_000_000


async def test_own_credential_of_a_step() -> None:
    """A missing secret of a step is UNKNOWN/OWN_CREDENTIAL."""
    tls = Tls(ca="file:/no/such/ca.pem")
    async with serving(_site) as server:
        result = await _travel(server.url(""), LOGIN, _step("next", f"https://127.0.0.1:{server.port}/", tls=tls))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.UNKNOWN, Reason.OWN_CREDENTIAL)


async def test_the_first_certificate_is_kept(tmp_path: object) -> None:
    """The certificate of a journey is the first that a step received, also when later steps have no TLS."""
    authority = Authority.make(tmp_path)  # type: ignore[arg-type]
    tls = Tls(ca=authority.reference)
    async with serving(_site, tls=authority.context("127.0.0.1")) as secure, serving(_site) as plain:
        result = await _travel(secure.url(""), _step("a", "${target}/free", tls=tls), _step("b", plain.url("/free")))
    assert result.judgement.reason is Reason.OK
    assert result.observation.certificate is not None
    assert result.observation.certificate.names == ("127.0.0.1",)
    assert result.observation.phases.tls is not None


async def test_a_step_that_is_always_taken() -> None:
    """After a failure only the steps that clean up are taken, if what they need was captured; they change nothing."""
    clean = replace(_step("clean", "${target}/free"), always=True)
    impossible = replace(_step("impossible", "${target}/free?code=${code}"), always=True)
    broken = replace(_step("broken", "${target}/lost"), always=True)
    async with serving(_site) as server:
        failed = await _travel(server.url(""), LOGIN, _step("lost", "${target}/lost"), ASK, impossible, broken, clean)
        assert _paths(server) == ["/login", "/home", "/lost", "/lost", "/free"]
        assert failed.judgement.detail == "step lost: status 403"
        assert [step.name for step in failed.observation.steps] == ["login", "lost"]
        good = await _travel(server.url(""), LOGIN, clean)
    assert good.judgement.reason is Reason.OK
    assert [step.name for step in good.observation.steps] == ["login", "clean"]
