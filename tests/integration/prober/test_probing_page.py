"""Every example of docs/probing.md runs, and tells a right answer from a wrong one."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from gzip import compress
from pathlib import Path
from ssl import CERT_REQUIRED
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog
from grpc_health.v1.health_pb2 import HealthCheckResponse

from services.core.model.outcome import Reason
from services.prober.assignments import assignments
from services.prober.attempt import ProbeResult, ProbeRunner
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from services.register.directory.load import load_register
from tests.support.cases.probes.probing_page import EXAMPLES
from tests.support.registers import PROBES, write_register
from tests.support.servers.authority import Authority
from tests.support.servers.dns_server import answering, naming
from tests.support.servers.grpc_server import SERVICE, descriptor_set, grpc_serving
from tests.support.servers.http2_server import replies, serving_http2
from tests.support.servers.http_server import Handler, Request, answer, says, serving
from tests.support.servers.line_server import Connection, says_in_turn, talking
from tests.support.servers.name_server import name_server
from tests.support.servers.proxy_server import proxying
from tests.support.waiting import DEADLINE

HOST = re.compile(r"\b(https?|grpcs?|tcp|tls|dns)://([a-z]+\.example)(:[0-9]+)?")
NOW = datetime.now(UTC)
SOAP = "http://www.w3.org/2003/05/soap-envelope"
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
FILES = {
    "deed.json": '{"deed": "d-1"}',
    "deed-schema.json": '{"type": "object", "required": ["deed"]}',
    "status.xml": f'<e:Envelope xmlns:e="{SOAP}"><e:Body><id>${{person}}</id></e:Body></e:Envelope>',
    "token": "t0k3n\n",
}
SECRETS = {
    "PROBE_TAX_PASSWORD": "p4ss",
    "PROBE_TAX_KEY": "k3y",
    "PROBE_SSO_SECRET": "s3cr3t",
    "PROBE_PROXY_PASSWORD": "w4y",
}
GUARDS = ("Basic bW9uaXRvcjpwNHNz", "Bearer t0k3n", "Bearer from-sso")


async def _tax(request: Request, writer: asyncio.StreamWriter) -> None:
    path = urlsplit(request.path).path
    status, headers, body = 200, {"Content-Type": "application/json; charset=utf-8"}, b"{}"
    if path == "/clearance":
        assert (request.header("x-year"), request.path) == ("1403", "/clearance?year=1403")
        body = json.dumps({**json.loads(request.body), "clear": True}).encode()
    elif path == "/status":
        found = {"clear": True, "items": [{"id": 1}], "national_id": "0000000000", "address": {"city": "Yazd"}}
        body = compress(json.dumps({**found, "updated": NOW.isoformat()}).encode())
        headers |= {"Content-Encoding": "gzip", "X-Served-By": "node-7"}
    elif path == "/guarded":
        shown = request.header("authorization") in GUARDS or request.header("x-api-key") == "k3y"
        status = 200 if shown else 401
    writer.write(answer(status, body, headers))


async def _sso(request: Request, writer: asyncio.StreamWriter) -> None:
    asked = parse_qs(request.body.decode())
    status = 200 if asked["scope"] == ["clearance.read"] else 400
    writer.write(answer(status, b'{"access_token": "from-sso", "token_type": "Bearer", "expires_in": 60}'))


async def _old(request: Request, writer: asyncio.StreamWriter) -> None:
    if request.path == "/moved":
        writer.write(answer(301, b"", {"Location": "https://new.example/"}))
    elif request.path == "/feed":
        entry = f"<id>urn:feed</id><updated>{NOW.isoformat()}</updated><entry/>"
        writer.write(answer(200, f'<feed xmlns="http://www.w3.org/2005/Atom">{entry}</feed>'.encode()))
    else:
        assert b"<id>0000000000</id>" in request.body
        found = "<c:id>0000000000</c:id><c:status current='true'/>"
        body = f"<e:Envelope xmlns:e='{SOAP}' xmlns:c='urn:civil'><e:Body><c:a>{found}</c:a></e:Body></e:Envelope>"
        headers = {"Content-Type": "application/soap+xml", "Last-Modified": NOW.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        writer.write(answer(200, body.encode(), headers))


async def _bus(request: Request, writer: asyncio.StreamWriter) -> None:
    if request.path == "/r1/DEV/GOV/200/LAND/deeds/v1/d-1" and request.header("x-road-client") == "DEV/GOV/100/PORTAL":
        writer.write(answer(200, b'{"id": "d-1"}'))
    else:
        assert b"getPerson" in request.body
        assert b"IR0000000000" in request.body
        found = "<c:person xmlns:c='urn:civil'><c:id>0000000000</c:id></c:person>"
        writer.write(answer(200, f"<e:Envelope xmlns:e='{SOAP_11}'><e:Body>{found}</e:Body></e:Envelope>".encode()))


async def _portal(request: Request, writer: asyncio.StreamWriter) -> None:
    session, asked = request.header("cookie") == "session=1", parse_qs(request.body.decode())
    if request.path == "/login":
        headers = {"Set-Cookie": "session=1", "X-Next": "/ask"}
        writer.write(answer(200, b'<input name="csrf" value="a+b&c">', headers))
    elif request.path == "/ask" and session and asked == {"csrf": ["a+b&c"], "person": ["0000000000"]}:
        writer.write(answer(200, b'{"number": 17, "paper": "p/1", "owner": "Ali & sons"}'))
    elif request.path == "/papers/p%2F1" and session:
        writer.write(answer(200, b"<paper xmlns='urn:permit'><number>17</number><seal>s&quot;1</seal></paper>"))
    elif request.path == "/logout":
        writer.write(answer())
    else:
        sent = {"/seals": b'{"seal": "s\\"1"}', "/owners": b"<owner>Ali &amp; sons</owner>"}
        writer.write(answer(200 if session and request.body == sent.get(request.path) else 404))


async def _chat(connection: Connection) -> None:
    for _ in range(2):
        await connection.hear()
    await connection.say(b"PING :4711\r\n")
    if await connection.hear() == b"PONG 4711\r\n":
        await connection.say(b":irc.example 001 prober\r\n")
    await connection.wait()


HANDLERS: Mapping[str, Handler] = {"old.example": _old, "ss.example": _bus, "portal.example": _portal}
SECURE: Mapping[str, Handler] = {"tax.example": _tax, "sso.example": _sso}
IMAP = (b"* OK imap.example ready\r\n", b"a001 OK go on\r\n")
POSTGRES = (b"", b"S")
SMTP = (b"220 mail.example ESMTP\r\n", b"250-mail.example\r\n250 STARTTLS\r\n", b"220 go on\r\n")


@asynccontextmanager
async def _servers(authority: Authority, *, wrong: bool) -> AsyncIterator[dict[str, int]]:
    """Run a server of the right sort for each host of the page; ``wrong`` ones answer HTTP with nonsense."""
    nonsense = says(202, b"<p>nonsense</p>")
    strict = authority.context("gate.example")
    strict.load_verify_locations(authority.reference.removeprefix("file:"))
    strict.verify_mode = CERT_REQUIRED
    async with AsyncExitStack() as stack:
        enter, ports = stack.enter_async_context, {}
        for host, handler in HANDLERS.items():
            ports[host] = (await enter(serving(nonsense if wrong else handler))).port
        for host, handler in SECURE.items():
            ports[host] = (await enter(serving(nonsense if wrong else handler, tls=authority.context(host)))).port
        ports["strict.example"] = (await enter(serving(says(), tls=strict))).port
        tls = authority.context("land.example")
        tls.set_alpn_protocols(["h2"])
        ports["land.example"] = (await enter(serving_http2(replies(200, b'{"deed": "d-1"}'), tls=tls))).port
        health = {SERVICE: HealthCheckResponse.SERVING}
        ports["api.example"] = (await enter(grpc_serving(serving=health, reflects="v1"))).port
        mail = says_in_turn(*SMTP, tls=authority.context("mail.example"))
        ports["mail.example"] = (await enter(talking(mail))).port
        mailbox = says_in_turn(*IMAP, tls=authority.context("imap.example"))
        ports["imap.example"] = (await enter(talking(mailbox))).port
        database = says_in_turn(*POSTGRES, tls=authority.context("db.example"), asked=8)
        ports["db.example"] = (await enter(talking(database))).port
        ports["irc.example"] = (await enter(talking(_chat))).port
        ports["ssh.example"] = (await enter(talking(says_in_turn(b"SSH-2.0-server\r\n")))).port
        ports["proxy.example"] = (await enter(proxying("monitor:w4y"))).port
        ports["ns.example"] = (await enter(naming(answering()))).port
        ports["dot.example"] = (await enter(naming(answering(), tls=authority.context("dot.example")))).port
        yield ports


async def _probe_page(folder: Path, *, wrong: bool = False) -> dict[str, ProbeResult]:
    """Read the page's examples as a register and probe each, by the name of its definition."""
    register = folder / "register"
    register.mkdir()
    authority = Authority.make(folder)
    (register / "ca.pem").write_bytes(Path(authority.reference.removeprefix("file:")).read_bytes())
    certificate, key = authority.client()
    (register / "client.pem").write_bytes(certificate.read_bytes())
    (register / "client.key").write_bytes(key.read_bytes())
    descriptor_set(register / "api.binpb")
    for name, text in FILES.items():
        (register / name).write_text(text)
    async with _servers(authority, wrong=wrong) as ports:

        def local(text: str) -> str:
            return HOST.sub(lambda found: f"{found[1]}://{found[2]}:{ports[found[2]]}", text)

        rows = ["id,agency,probe,target,params"]
        for example in EXAMPLES:
            params = example.params.replace('"', '""')
            rows += [f'{name},customs,{name},{local(example.target)},"{params}"' for name in example.definitions]
        probes = PROBES + "".join(local(example.text) for example in EXAMPLES)
        write_register(
            register, probes_yaml=probes, endpoints_csv="\n".join(rows) + "\n", policy_yaml=("bus: bus\n", "")
        )
        read = load_register(register)
        patient = {
            name: probe if wrong else replace(probe, timeout=DEADLINE / 2) for name, probe in read.probes.items()
        }
        names = {host: ["127.0.0.1"] for host in ports}
        async with name_server(names) as (_, resolver):
            environment = ProbeEnvironment(Outbound(egress=EgressRules(read.policy.egress), resolver=resolver))
            attempts = ProbeRunner(environment, structlog.get_logger())
            try:
                return {
                    target.id: await attempts.probe(assigned)
                    for target, assigned in assignments(replace(read, probes=patient), None).items()
                    if target.endpoint
                }
            finally:
                await environment.close()


@pytest.fixture
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("_secrets")
async def test_every_example_runs(tmp_path: Path) -> None:
    """Every definition on the page is read by the register's own reader and OK against a real server of its kind."""
    results = await _probe_page(tmp_path)
    said = {name: (result.judgement.reason.name, result.judgement.detail) for name, result in results.items()}
    assert said == dict.fromkeys(said, ("OK", ""))
    assert said.keys() == {name for example in EXAMPLES for name in example.definitions}


@pytest.mark.usefixtures("_secrets")
async def test_the_examples_tell_right_from_wrong(tmp_path: Path) -> None:
    """If servers answer with nonsense, every example with expectations over HTTP is not OK."""
    results = await _probe_page(tmp_path, wrong=True)
    held = [
        name
        for example in EXAMPLES
        for name, one in example.definitions.items()
        if "land.example" not in example.target and ("steps" in one or ("expect" in one and one["kind"] in OVER_HTTP))
    ]
    assert len(held) >= 8
    assert all(results[name].judgement.reason is not Reason.OK for name in held)


OVER_HTTP = ("http", "soap", "xroad-rest", "xroad-soap")
