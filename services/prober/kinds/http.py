"""Probe kind `http`: one request, its redirects, one answer, within one deadline (docs/probing.md §2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter

import httpx

from services.core.model import Probe, Tls, fill_placeholders, fill_probe
from services.prober.deadline import Deadline
from services.prober.environment import ProbeEnvironment
from services.prober.errors import UnusableError
from services.prober.http import (
    Answer,
    DecodeError,
    HttpConnection,
    LimitError,
    TokenIssuer,
    WireRequest,
    access_token,
    decodable,
    decode,
    decode_headers,
    send_request,
    token_issuer,
    wire_request,
)
from services.prober.observation import Cause, Failure, Observation, Phase
from services.prober.secrets import credential_header
from services.prober.transport import ProbeFailedError, ProbeTrace

__all__ = ["HttpTarget", "http_target", "prepare", "probe"]

_USER_AGENT = "peyvand-prober/1"
_MAX_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOKEN_REFUSED = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """One target, ready to be asked: everything that does not change between probes is already built."""

    environment: ProbeEnvironment = field(repr=False)
    request: httpx.Request = field(repr=False)
    call: WireRequest
    tls: Tls
    version: str
    ip: str
    issuer: TokenIssuer | None
    secret_header: str
    cookie: str = field(repr=False)
    follow: bool
    accepted: frozenset[str]
    body_limit: int


def prepare(definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment) -> HttpTarget:
    """Build a target of a definition, its texts filled in from ``params``. Raises MissingSecretError and ValueError."""
    return http_target(fill_probe(definition, params), fill_placeholders(target, params), environment)


def http_target(definition: Probe, url: str, environment: ProbeEnvironment) -> HttpTarget:
    """Build a target of a definition whose texts are filled in. Raises MissingSecretError, UnusableError and ValueError."""
    headers, body = definition.headers, definition.body
    given = {name.lower() for name in headers}
    defaults = {"User-Agent": _USER_AGENT, "Accept": "*/*", "Connection": "close"}
    sent = {name: value for name, value in defaults.items() if name.lower() not in given} | dict(headers)
    # httpx would write ASCII alone.
    encoded = [(name.encode(), value.strip().encode()) for name, value in sent.items()]
    try:
        request = httpx.Request(definition.method, url, headers=encoded, content=body.encode() if body else None)
        issuer = token_issuer(definition, url)
    except httpx.InvalidURL as error:
        raise UnusableError("the target, or its token_url, is not a URL that can be asked") from error
    request.headers.encoding = "utf-8"
    cookie = request.headers.get("cookie", "")
    if environment.cookies is not None:
        request.headers.pop("cookie", None)  # else the jar would stay closed
        environment.cookies.set_cookie_header(request)
        _add_cookies(request, cookie)
    secret_header, secret = credential_header(definition.auth, environment.secrets)
    if secret:
        request.headers[secret_header] = secret
    accepted = request.headers.get("accept-encoding", "").lower()
    return HttpTarget(
        environment=environment,
        request=request,
        call=wire_request(
            request,
            definition.tls,
            definition.body_limit,
            compressed=bool(accepted),
            version=definition.version,
        ),
        tls=definition.tls,
        version=definition.version,
        ip=definition.ip,
        issuer=issuer,
        secret_header=secret_header.lower(),
        cookie=cookie,
        follow=definition.redirects == "follow",
        accepted=frozenset(part.partition(";")[0].strip() for part in accepted.split(",") if part),
        body_limit=definition.body_limit,
    )


def _add_cookies(request: httpx.Request, own: str) -> None:
    """Add the cookies of a definition to those set on the way, which win where a name is the same."""
    request.headers.encoding = "utf-8"  # else one look at what is there settles it
    given = request.headers.get("cookie", "")
    taken = {pair.partition("=")[0].strip() for pair in given.split(";")}
    pairs = [pair.strip() for pair in own.split(";") if pair.strip()]
    kept = [pair for pair in pairs if pair.partition("=")[0].strip() not in taken]
    if kept:
        request.headers["Cookie"] = "; ".join([*kept, given] if given else kept)


async def probe(target: HttpTarget, deadline: float) -> Observation:
    """Ask once over a fresh connection and see what happens; end by ``deadline`` (monotonic seconds), always."""
    issuer, trace = target.issuer, ProbeTrace(deadline, target.ip)
    if issuer is None:
        return await _probe(target, trace)
    environment, start = target.environment, perf_counter()
    try:
        token = await access_token(issuer, environment.outbound, environment.tokens, environment.secrets, deadline)
    except ProbeFailedError as stopped:
        return _observation(target, trace, None, stopped.failure)
    awaited = perf_counter() - start
    trace = ProbeTrace(deadline, target.ip)  # the issuer's time is not the target's
    observation = await _probe(_bearing(target, token), trace)
    if observation.status in _TOKEN_REFUSED and not trace.strayed:
        target.environment.tokens.drop(issuer, token)
    return replace(observation, awaited=awaited)


def _bearing(target: HttpTarget, token: str) -> HttpTarget:
    """Return the target with a token in its request."""
    given = target.request
    headers = httpx.Headers(given.headers)
    headers["Authorization"] = f"Bearer {token}"
    request = httpx.Request(given.method, given.url, headers=headers, content=given.content)
    return replace(target, request=request, call=_call_of(target, request, target.tls))


def _call_of(target: HttpTarget, request: httpx.Request, tls: Tls) -> WireRequest:
    return wire_request(request, tls, target.body_limit, compressed=bool(target.accepted), version=target.version)


async def _probe(target: HttpTarget, trace: ProbeTrace) -> Observation:
    answer = Answer()
    failure: Failure | None = None
    try:
        async with Deadline(trace.deadline):
            first = await send_request(target.call, target.environment.outbound, trace, answer)
            if target.follow and first.status in _REDIRECTS and _location(first):
                await _follow(target, first, trace, answer)
            elif target.environment.cookies is not None:
                seen = httpx.Response(first.status, headers=first.headers, request=target.request)
                target.environment.cookies.extract_cookies(seen)
    except TimeoutError:
        failure = Failure(
            trace.phase, Cause.TIMEOUT, f"no end within the deadline, in phase {trace.phase.name.lower()}"
        )
    except ProbeFailedError as stopped:
        failure = stopped.failure
    return _observation(target, trace, answer.connection, failure)


def _location(answer: HttpConnection) -> bool:
    return any(name.lower() == b"location" for name, _ in answer.headers)


async def _follow(target: HttpTarget, first: HttpConnection, trace: ProbeTrace, answer: Answer) -> None:
    """Follow redirects by httpx's rules (methods, cookies, credentials), each hop on a connection of its own."""
    transport = _Following(target, first, trace, answer)
    cookies = target.environment.cookies
    async with httpx.AsyncClient(
        transport=transport, cookies=cookies, follow_redirects=True, max_redirects=_MAX_REDIRECTS, trust_env=False
    ) as client:
        try:
            await client.send(target.request)
        except httpx.TooManyRedirects as error:
            detail = f"more than {_MAX_REDIRECTS} redirects"
            raise ProbeFailedError(Failure(trace.phase, Cause.TOO_MANY_REDIRECTS, detail)) from error
        except (httpx.RemoteProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError) as error:
            detail = "redirected to what is not an http or https URL"
            raise ProbeFailedError(Failure(trace.phase, Cause.REDIRECT_UNUSABLE, detail)) from error
        if cookies is not None:
            cookies.jar = client.cookies.jar


class _Following(httpx.AsyncBaseTransport):
    """Hands httpx the first answer, then makes the hops it asks for."""

    def __init__(self, target: HttpTarget, first: HttpConnection, trace: ProbeTrace, answer: Answer) -> None:
        self._target = target
        self._trace = trace
        self._answer = answer
        self._first: HttpConnection | None = first

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make one hop; its answer is without body, since only status and headers decide what follows."""
        answer, self._first = self._first, None
        if answer is None:
            self._trace.redirects += 1
            answer = await send_request(
                self._call(request), self._target.environment.outbound, self._trace, self._answer
            )
        return httpx.Response(answer.status, headers=answer.headers, stream=httpx.ByteStream(b""), request=request)

    def _call(self, request: httpx.Request) -> WireRequest:
        first = self._target.request.url
        url = request.url
        if url.scheme not in {"http", "https"}:
            raise httpx.UnsupportedProtocol(url.scheme)
        if url.port is not None and not 0 < url.port < 1 << 16:
            raise httpx.InvalidURL("there is no such port")
        if first.scheme == "https" and url.scheme == "http":
            detail = "redirected from https to plain http"
            raise ProbeFailedError(Failure(Phase.CONNECT, Cause.REDIRECT_DOWNGRADED, detail))
        at_home = (url.scheme, url.host, url.port) == (first.scheme, first.host, first.port)
        if not at_home:
            self._trace.strayed = True
            # httpx drops Authorization by itself; an API key must not travel to strangers either.
            request.headers.pop(self._target.secret_header, None)
        if not self._trace.strayed:
            # httpx drops a Cookie header wherever a redirect leads.
            _add_cookies(request, self._target.cookie)
        tls = self._target.tls
        if not at_home:
            tls = replace(tls, server_name="", certificate="", key="")
        return _call_of(self._target, request, tls)


def _observation(
    target: HttpTarget, trace: ProbeTrace, seen: HttpConnection | None, failure: Failure | None
) -> Observation:
    headers = decode_headers(seen.headers) if seen else ()
    body = b"".join(seen.body) if seen else b""
    raw_length = seen.raw_length if seen else 0
    latency = seen.ended - trace.first_sent if seen and failure is None else None
    if failure is None:
        try:
            body = _decoded(target, headers, body)
        except DecodeError as error:
            failure = Failure(Phase.TRANSFER, Cause.ENCODING, str(error))
        except LimitError as error:
            failure = Failure(Phase.TRANSFER, Cause.BODY_LIMIT, str(error))
    return Observation(
        time=trace.began,
        duration=perf_counter() - trace.start,
        phases=trace.phases(),
        latency=latency,
        status=seen.status if seen else 0,
        headers=headers,
        body=body,
        raw_length=raw_length,
        body_length=len(body),
        failure=failure,
        certificate=trace.certificate,
        redirects=trace.redirects,
        redirected=trace.redirects > 0,
        addresses=tuple(trace.addresses),
        protocol=seen.protocol if seen and seen.status else "",
        tls_version=trace.tls_version,
    )


def _decoded(target: HttpTarget, headers: tuple[tuple[str, str], ...], body: bytes) -> bytes:
    """Decode the body as the definition asked for it: only by encodings it accepts and we know."""
    if not target.accepted or not body:
        return body
    encodings = [
        encoding.strip().lower()
        for name, value in headers
        if name == "content-encoding"
        for encoding in value.split(",")
    ]
    for encoding in reversed(encodings):
        if not decodable(encoding) or not ({encoding, "*"} & target.accepted):
            break
        body = decode(body, encoding, target.body_limit)
    if len(body) > target.body_limit:
        raise LimitError(f"the body is larger than {target.body_limit} bytes")
    return body
