"""Every kind of probe as benchmarks measure it: its definition, and the server that answers it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from grpc_health.v1 import health_pb2

from services.core.model.probe import (
    Auth,
    Capture,
    DnsQuery,
    Expect,
    JsonExpectation,
    LineStep,
    Probe,
    RecordPatterns,
    Step,
    Tls,
    XmlExpectation,
)
from tests.bench.targets.apart import Urls
from tests.bench.targets.serve_dns import ADDRESS, NAME, serving_dns
from tests.bench.targets.serve_http import MEMBER, SOAP, serving_http
from tests.bench.targets.serve_lines import serving_lines
from tests.bench.targets.target import BODY
from tests.support.servers.authority import Authority
from tests.support.servers.grpc_server import CALL, grpc_serving
from tests.support.servers.http2_server import replies, serving_http2

__all__ = ["SECRET", "Case", "cases", "serving_all"]

SECRET = "BENCH_CLIENT_SECRET"  # the variable that holds it
_CLEAR = Expect(json=(JsonExpectation("$.clear", type="boolean"),))
_ANSWERED = Expect(xml=(XmlExpectation("//t:clear", equals="true"),), namespaces={"t": "urn:bench"})
_ASKED = '<t:ask xmlns:t="urn:bench"/>'
_HEADERS = {"Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Case:
    """One probe: its name in the report, its definition and its target."""

    name: str
    definition: Probe
    target: str


@asynccontextmanager
async def serving_all(authority: Authority) -> AsyncIterator[Urls]:
    """Run all servers that the cases probe."""
    async with (
        serving_http(authority) as http,
        serving_lines(authority) as lines,
        serving_dns() as names,
        serving_http2(
            replies(200, BODY, [("content-type", "application/json")]), tls=authority.context("127.0.0.1")
        ) as http2,
        grpc_serving(serving={"": health_pb2.HealthCheckResponse.SERVING}, reflects="v1") as grpc,
    ):
        yield {**http, **lines, **names, "http2": http2.url(), "grpc": grpc.target}


def cases(urls: Urls, authority: Authority) -> Iterator[Case]:
    """Yield the cases for servers at these URLs."""
    http, tls = urls["http"], Tls(ca=authority.reference)
    certificate, key = authority.client()
    mutual = Tls(ca=authority.reference, certificate=f"file:{certificate}", key=f"file:{key}")
    asking = Probe("http", "http", headers=_HEADERS, expect=_CLEAR)

    def like_http(**changed: object) -> Probe:
        return Probe("http", **{"kind": "http", "headers": _HEADERS, "expect": _CLEAR, **changed})  # type: ignore[arg-type]

    yield Case("http", asking, f"{http}/")
    yield Case("http over TLS", like_http(tls=tls), f"{urls['https']}/")
    yield Case("http over mutual TLS", like_http(tls=mutual), f"{urls['mutual']}/")
    yield Case("http 2 over TLS", like_http(tls=tls, version="2"), urls["http2"])
    issuer = Auth("oauth2", token_url=f"{http}/token", client_id="bench", client_secret=f"env:{SECRET}")
    yield Case("http, OAuth2 token cached", like_http(auth=issuer), f"{http}/private")
    envelope = f'<s:Envelope xmlns:s="{SOAP}"><s:Body>{_ASKED}</s:Body></s:Envelope>'
    yield Case("soap", Probe("soap", "soap", body=envelope, action="urn:ask", expect=_ANSWERED), f"{http}/soap")
    rest = like_http(kind="xroad-rest", client=MEMBER)
    yield Case("xroad-rest", rest, f"{http}/r1/IR/GOV/2002/registry/person")
    bus = Probe(
        "bus", "xroad-soap", client=MEMBER, service="IR/GOV/2002/registry/ask/v1", body=_ASKED, expect=_ANSWERED
    )
    yield Case("xroad-soap", bus, f"{http}/bus")
    yield Case("grpc health", Probe("health", "grpc"), urls["grpc"])
    linked = Expect(json=(JsonExpectation("$.link.link.id", equals="one"),))
    unary = Probe("unary", "grpc", call=CALL, body='{"link": "one"}', expect=linked)
    yield Case("grpc unary, reflection cached", unary, urls["grpc"])
    yield Case("tcp, connecting only", Probe("tcp", "tcp"), urls["tcp"])
    lines = (LineStep(expect="^220 ", send="QUIT\r"), LineStep(expect="^221 "))
    yield Case("tcp, two lines", Probe("lines", "tcp", lines=lines), urls["lines"])
    yield Case("tls", Probe("tls", "tls", tls=tls), urls["tls"])
    yield Case("tls by STARTTLS of smtp", Probe("smtp", "tls", tls=tls, starttls="smtp"), urls["smtp"])
    for transport in ("udp", "tcp"):
        there = Expect(answers=RecordPatterns(must=(f"IN A {ADDRESS}$",)))
        name = Probe("dns", "dns", query=DnsQuery(NAME, "A", transport), expect=there)
        yield Case(f"dns over {transport}", name, urls[f"dns-{transport}"])
    steps = (
        Step(like_http(expect=Expect()), "${target}/login", {"session": Capture(json="$.session", encode="url")}),
        Step(asking, "${target}/ask?session=${session}"),
        Step(asking, "${target}/paper?session=${session}"),
    )
    yield Case("journey of three http steps", Probe("journey", "journey", steps=steps), http)
