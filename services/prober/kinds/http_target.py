"""Targets of HTTP probes, with everything built that does not change between probes; those of SOAP among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import httpx

from services.core.model import Probe, Tls, fill_placeholders, fill_probe
from services.prober.errors import UnusableError
from services.prober.http import USER_AGENT, TokenIssuer, WireRequest, token_issuer, wire_request
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.secrets import credential_header


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """One target, ready to be probed. ``wire`` is its ``request`` as it is sent.

    ``secret_header`` is in lower case, empty without auth; ``cookie`` is the definition's own; ``accepted`` are the content
    codings that the request accepts.
    """

    environment: ProbeEnvironment = field(repr=False)
    request: httpx.Request = field(repr=False)
    wire: WireRequest
    tls: Tls
    version: str
    ip: str
    issuer: TokenIssuer | None
    secret_header: str
    cookie: str = field(repr=False)
    follow: bool
    accepted: frozenset[str]
    body_limit: int

    def serialise(self, request: httpx.Request, tls: Tls) -> WireRequest:
        """Return a further request of this target as it is sent. Raises ValueError."""
        return wire_request(request, tls, self.body_limit, compressed=bool(self.accepted), version=self.version)

    def with_token(self, token: str) -> HttpTarget:
        """Return the target with an access token in its request."""
        headers = httpx.Headers(self.request.headers)
        headers["Authorization"] = f"Bearer {token}"
        request = httpx.Request(self.request.method, self.request.url, headers=headers, content=self.request.content)
        return replace(self, request=request, wire=self.serialise(request, self.tls))


def build_http_target(definition: Probe, url: str, environment: ProbeEnvironment) -> HttpTarget:
    """Build a target of a definition whose texts are filled in. Raises MissingSecretError, UnusableError and ValueError."""
    body = definition.body
    sent = with_defaults(definition.headers, {"User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"})
    # httpx encodes text as ASCII only.
    encoded = [(name.encode(), value.strip().encode()) for name, value in sent.items()]
    try:
        request = httpx.Request(definition.method, url, headers=encoded, content=body.encode() if body else None)
        issuer = token_issuer(definition, url)
    except httpx.InvalidURL as error:
        raise UnusableError("the target, or its token_url, is not a URL that can be requested") from error
    request.headers.encoding = "utf-8"
    cookie = request.headers.get("cookie", "")
    if environment.cookies is not None:
        request.headers.pop("cookie", None)  # a jar does not add to a header that is there
        environment.cookies.set_cookie_header(request)
        add_cookies(request, cookie)
    secret_header, secret = credential_header(definition.auth, environment.secrets)
    if secret:
        request.headers[secret_header] = secret
    accepted = request.headers.get("accept-encoding", "").lower()
    return HttpTarget(
        environment=environment,
        request=request,
        wire=wire_request(
            request, definition.tls, definition.body_limit, compressed=bool(accepted), version=definition.version
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


def add_cookies(request: httpx.Request, own: str) -> None:
    """Add a definition's own cookies to those set by answers, which win where both have a name."""
    request.headers.encoding = "utf-8"  # httpx otherwise guesses it from the headers so far
    received = request.headers.get("cookie", "")
    names = {pair.partition("=")[0].strip() for pair in received.split(";")}
    pairs = [pair.strip() for pair in own.split(";") if pair.strip()]
    added = [pair for pair in pairs if pair.partition("=")[0].strip() not in names]
    if added:
        request.headers["Cookie"] = "; ".join([*added, received] if received else added)


def with_defaults(headers: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Return headers, and those defaults whose names are not among them in any case."""
    names = {name.lower() for name in headers}
    return {name: value for name, value in defaults.items() if name.lower() not in names} | dict(headers)


def prepare_soap(
    definition: Probe, target: str, params: Mapping[str, object], environment: ProbeEnvironment
) -> HttpTarget:
    """Build a target of kind soap: a message by POST (SOAP 1.1 §6, SOAP 1.2 part 2 §7). Everything else is as for http.

    Raises MissingSecretError and ValueError.
    """
    return build_http_target(as_post(fill_probe(definition, params)), fill_placeholders(target, params), environment)


def as_post(definition: Probe) -> Probe:
    """Return a definition whose texts are filled in as one of a POST. Its own headers take precedence over those of SOAP."""
    action = f'"{definition.action}"'
    if definition.soap == "1.1":
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": action}
    else:
        parameter = f"; action={action}" if definition.action else ""
        headers = {"Content-Type": f"application/soap+xml; charset=utf-8{parameter}"}
    return replace(definition, method="POST", headers=with_defaults(definition.headers, headers))
