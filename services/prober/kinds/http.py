"""Probe kinds `http` and `soap`: one request, its redirects, one answer, within one deadline (docs/probing.md §2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter

import httpx

from services.core.model import Probe, Tls, fill_placeholders, fill_probe
from services.prober.http import (
    DECODED_AT_ONCE,
    USER_AGENT,
    DecodeError,
    HttpConnection,
    KeptRequest,
    TokenIssuer,
    WireRequest,
    accepted_codings,
    access_token,
    add_cookies,
    decode_body,
    decode_headers,
    keep_cookies,
    send_request,
    token_issuer,
    wire_request,
)
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.observation import Cause, Failure, Observation, Phase
from services.prober.secrets import UnusableError, credential_header
from services.prober.transport import ProbeFailedError, ProbeTrace, ProxyRoute, run_until_deadline


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """One target, ready to be probed. ``wire`` is its ``request`` as it is sent.

    ``secret_header`` is in lower case, empty without auth. ``cookie`` is the definition's own. ``accepted`` are the
    content codings that the request accepts and that can be undone.
    """

    environment: ProbeEnvironment = field(repr=False)
    request: KeptRequest = field(repr=False)
    wire: WireRequest
    tls: Tls
    proxy: ProxyRoute | None
    version: str
    ip: str
    issuer: TokenIssuer | None
    secret_header: str
    cookie: str = field(repr=False)
    follow: bool
    accepted: frozenset[str]
    body_limit: int
    _with_tokens: dict[str, HttpTarget] = field(default_factory=dict, init=False, repr=False)

    def serialise(self, request: httpx.Request, tls: Tls) -> WireRequest:
        """Return another request of this target as it is sent. Raises ValueError."""
        return wire_request(
            request, tls, self.body_limit, compressed=bool(self.accepted), version=self.version, proxy=self.proxy
        )

    def with_token(self, token: str) -> HttpTarget:
        """Return the target with an access token in its request. It is built once for each token."""
        if token in self._with_tokens:
            return self._with_tokens[token]
        request = self.request.build()
        request.headers["Authorization"] = f"Bearer {token}"
        target = replace(self, request=KeptRequest.of(request), wire=self.serialise(request, self.tls))
        self._with_tokens.clear()  # another token replaces it
        self._with_tokens[token] = target
        return target


def build_http_target(definition: Probe, url: str, environment: ProbeEnvironment) -> HttpTarget:
    """Build a target of a definition whose texts are filled in.

    Raises MissingSecretError, UnusableError and ValueError.
    """
    body = definition.body
    sent = with_defaults(definition.headers, {"User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"})
    # httpx encodes text as ASCII only.
    encoded = [(name.encode(), value.strip().encode()) for name, value in sent.items()]
    try:
        request = httpx.Request(definition.method, url, headers=encoded, content=body.encode() if body else None)
        proxy = ProxyRoute.of(definition.proxy, environment.secrets)
        issuer = token_issuer(definition, url, proxy)
    except httpx.InvalidURL as error:
        raise UnusableError("the target, or its token_url, is not a URL that can be requested") from error
    request.headers.encoding = "utf-8"
    cookie = request.headers.get("cookie", "")
    if environment.cookies is not None:
        add_cookies(environment.cookies, request, cookie)
    secret_header, secret = credential_header(definition.auth, environment.secrets)
    if secret:
        request.headers[secret_header] = secret
    accepted = accepted_codings(request.headers.get("accept-encoding", ""))
    return HttpTarget(
        environment=environment,
        request=KeptRequest.of(request),
        wire=wire_request(
            request,
            definition.tls,
            definition.body_limit,
            compressed=bool(accepted),
            version=definition.version,
            proxy=proxy,
        ),
        tls=definition.tls,
        proxy=proxy,
        version=definition.version,
        ip=definition.ip,
        issuer=issuer,
        secret_header=secret_header.lower(),
        cookie=cookie,
        follow=definition.redirects == "follow",
        accepted=accepted,
        body_limit=definition.body_limit,
    )


def with_defaults(headers: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Return the headers, and the defaults whose names are not among them, ignoring case."""
    names = {name.lower() for name in headers}
    return {name: value for name, value in defaults.items() if name.lower() not in names} | dict(headers)


def prepare_soap(
    definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment
) -> HttpTarget:
    """Build a target of kind soap: a message by POST (SOAP 1.1 §6, SOAP 1.2 part 2 §7). The rest is as for http.

    Raises MissingSecretError and ValueError.
    """
    return build_http_target(as_post(fill_probe(definition, params)), fill_placeholders(target, params), environment)


def as_post(definition: Probe) -> Probe:
    """Return a filled-in definition as one of a POST. Its own headers take precedence over those of SOAP."""
    action = f'"{definition.action}"'
    if definition.soap == "1.1":
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": action}
    else:
        parameter = f"; action={action}" if definition.action else ""
        headers = {"Content-Type": f"application/soap+xml; charset=utf-8{parameter}"}
    return replace(definition, method="POST", headers=with_defaults(definition.headers, headers))


_MAX_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOKEN_REFUSED = frozenset({401, 403})


def prepare(definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment) -> HttpTarget:
    """Build a target of a definition, its texts filled in from ``params``. Raises MissingSecretError and ValueError."""
    return build_http_target(fill_probe(definition, params), fill_placeholders(target, params), environment)


async def probe(target: HttpTarget, deadline: float) -> Observation:
    """Send one request over a fresh connection. Always end by ``deadline`` (monotonic seconds)."""
    issuer, trace = target.issuer, ProbeTrace(deadline, target.ip)
    if issuer is None:
        return await _probe(target, trace)
    environment, start = target.environment, perf_counter()
    try:
        token = await access_token(issuer, environment.outbound, environment.tokens, environment.secrets, deadline)
    except ProbeFailedError as failed:
        return _observation(trace, failed.failure)
    trace = ProbeTrace(deadline, target.ip, awaited=perf_counter() - start)  # the issuer's time is not the target's
    observation = await _probe(target.with_token(token), trace)
    if observation.status in _TOKEN_REFUSED and not trace.left_origin:
        environment.tokens.drop(issuer, token)
    return observation


async def _probe(target: HttpTarget, trace: ProbeTrace) -> Observation:
    observation = _observation(trace, await run_until_deadline(trace, _exchange(target, trace)))
    if target.accepted and observation.body and observation.failure is None:
        return await _decoded(target, observation)
    return observation


async def _exchange(target: HttpTarget, trace: ProbeTrace) -> None:
    answer = await send_request(target.wire, target.environment.outbound, trace)
    if target.follow and answer.status in _REDIRECTS and answer.has_header(b"location"):
        await _follow(target, answer, trace)
    elif target.environment.cookies is not None:
        keep_cookies(target.environment.cookies, answer, target.request.build())


async def _follow(target: HttpTarget, first: HttpConnection, trace: ProbeTrace) -> None:
    """Follow redirects by httpx's rules for methods and credentials, each hop over a connection of its own."""
    async with httpx.AsyncClient(
        transport=_RedirectTransport(target, first, trace),
        follow_redirects=True,
        max_redirects=_MAX_REDIRECTS,
        trust_env=False,
    ) as client:
        try:
            await client.send(target.request.build())
        except httpx.TooManyRedirects as error:
            detail = f"more than {_MAX_REDIRECTS} redirects"
            raise ProbeFailedError(Failure(trace.phase, Cause.TOO_MANY_REDIRECTS, detail)) from error
        except (httpx.RemoteProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError) as error:
            detail = "redirected to what is not an http or https URL"
            raise ProbeFailedError(Failure(trace.phase, Cause.REDIRECT_UNUSABLE, detail)) from error


class _RedirectTransport(httpx.AsyncBaseTransport):
    """Gives httpx the first answer, then makes the hops it requests, with the cookies set on the way."""

    def __init__(self, target: HttpTarget, first: HttpConnection, trace: ProbeTrace) -> None:
        self._target = target
        self._trace = trace
        self._first: HttpConnection | None = first
        self._origin = httpx.URL(target.request.url)
        self._scheme = self._origin.scheme  # of the hop before
        cookies = target.environment.cookies
        self._cookies = httpx.Cookies() if cookies is None else cookies  # an empty jar is false

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make one hop. Its answer has no body, because only status and headers decide where the next hop leads."""
        answer, self._first = self._first, None
        if answer is None:
            self._trace.redirects += 1
            answer = await send_request(self._wire(request), self._target.environment.outbound, self._trace)
        keep_cookies(self._cookies, answer, request)
        # httpx itself would send the cookies that it knows of, in an encoding that it guesses.
        headers = [header for header in answer.headers if header[0].lower() != b"set-cookie"]
        return httpx.Response(answer.status, headers=headers, stream=httpx.ByteStream(b""), request=request)

    def _wire(self, request: httpx.Request) -> WireRequest:
        first, url = self._origin, request.url
        if url.scheme not in {"http", "https"}:
            raise httpx.UnsupportedProtocol(url.scheme)
        if url.port is not None and not 0 < url.port < 1 << 16:
            raise httpx.InvalidURL("there is no such port")
        scheme, self._scheme = self._scheme, url.scheme
        if (scheme, url.scheme) == ("https", "http"):
            detail = "redirected from https to plain http"
            raise ProbeFailedError(Failure(Phase.CONNECT, Cause.REDIRECT_DOWNGRADED, detail))
        if url.host != first.host and request.read():
            # 307 and 308 keep the body, which may hold a test record (RFC 9110, 15.4.8).
            detail = "redirected to another host by a status that sends the request's body there"
            raise ProbeFailedError(Failure(Phase.CONNECT, Cause.REDIRECT_WITH_BODY, detail))
        tls = self._target.tls
        if (url.scheme, url.host, url.port) != (first.scheme, first.host, first.port):
            tls = replace(tls, server_name="", certificate="", key="")
            self._trace.left_origin = True
            # httpx drops Authorization by itself. An API key must not travel to another origin either.
            request.headers.pop(self._target.secret_header, None)
        # httpx drops a Cookie header wherever a redirect leads.
        add_cookies(self._cookies, request, "" if self._trace.left_origin else self._target.cookie)
        return self._target.serialise(request, tls)


def _observation(trace: ProbeTrace, failure: Failure | None) -> Observation:
    answer = trace.connection
    if not isinstance(answer, HttpConnection):
        return trace.observation(failure, None)
    latency = None if failure else answer.ended - trace.first_sent
    body = b"".join(answer.body)
    return trace.observation(
        failure,
        latency,
        status=answer.status,
        headers=decode_headers(answer.headers),
        body=body,
        raw_length=answer.raw_length,
        body_length=len(body),
        protocol=answer.protocol if answer.status else "",
    )


async def _decoded(target: HttpTarget, observation: Observation) -> Observation:
    """Return the observation with its body decoded. A large one is decoded in a thread, as zlib lets the loop run."""
    arguments = observation.body, observation.headers, target.accepted, target.body_limit
    try:
        if len(observation.body) <= DECODED_AT_ONCE:
            body = decode_body(*arguments)
        else:
            body = await asyncio.to_thread(decode_body, *arguments)
    except DecodeError as error:
        return replace(observation, failure=Failure(Phase.TRANSFER, error.cause, str(error)))
    return replace(observation, body=body, body_length=len(body))
