"""Behaviours 28-30: addresses, phases, secrets. Not a test itself."""

from __future__ import annotations

from services.core.model.outcome import Reason
from tests.conformance.case import FAILS, NOT_ASKED, PASSES, Case
from tests.conformance.secret import SECRET, VARIABLE
from tests.conformance.servers import Scene, http, judging, leading, leaf, named, unserved
from tests.support.servers.http_server import Request, says

__all__ = ["CASES"]

_HERE = http(says())
_SIX = http(says(), host="::1")


def _way(name: str, scene: Scene, ours: str, theirs: str, reason: Reason, address: tuple[str, ...]) -> Case:
    verdict = PASSES if reason is Reason.OK else FAILS
    protocol = 4 if address == ("127.0.0.1",) else 6 if address == ("::1",) else None
    return Case(
        28,
        name,
        scene,
        f"kind: http\nip: {ours}",
        f"prober: http\nhttp: {{{theirs}}}",
        reason,
        verdict,
        {"ip": protocol} if protocol and verdict is PASSES else {},
    )


_PREFER_4 = "preferred_ip_protocol: ip4"
_PREFER_6 = "preferred_ip_protocol: ip6"
_ONLY_4 = f"{_PREFER_4}, ip_protocol_fallback: false"
_ONLY_6 = f"{_PREFER_6}, ip_protocol_fallback: false"
_4, _6, _NONE = ("127.0.0.1",), ("::1",), ()

_ADDRESSES = (
    _way("IPv4 preferred and there", _HERE, "prefer-ipv4", _PREFER_4, Reason.OK, _4),
    _way("IPv6 preferred and there", _SIX, "prefer-ipv6", _PREFER_6, Reason.OK, _6),
    _way("IPv6 preferred and only IPv4 there", _HERE, "prefer-ipv6", _PREFER_6, Reason.OK, _4),
    _way("IPv4 preferred and only IPv6 there", _SIX, "prefer-ipv4", _PREFER_4, Reason.OK, _6),
    _way("IPv4 demanded and there", _HERE, "ipv4", _ONLY_4, Reason.OK, _4),
    _way("IPv6 demanded and there", _SIX, "ipv6", _ONLY_6, Reason.OK, _6),
    _way("IPv6 demanded and only IPv4 there", _HERE, "ipv6", _ONLY_6, Reason.RESOLVE_FAILED, _NONE),
    _way("IPv4 demanded and only IPv6 there", _SIX, "ipv4", _ONLY_4, Reason.RESOLVE_FAILED, _NONE),
    Case(
        28,
        "the first address of a name refuses",
        named(["127.0.0.2", "127.0.0.3"], "127.0.0.3"),
        "kind: http",
        "prober: http",
        Reason.OK,
        NOT_ASKED,
        our_facts={"addresses": ("127.0.0.2", "127.0.0.3")},
        differs="every address is tried in turn and recorded; blackbox_exporter makes one attempt (its CONFIGURATION.md,"
        " Address selection) and asks only the machine's own resolver, so it cannot be put to it here",
    ),
)

_ALL = {"resolve", "connect", "tls", "processing", "transfer"}
_SKIPPED = "a phase that was skipped is absent; blackbox_exporter reports it too, as 0 or as next to nothing"


def _phases(name: str, scene: Scene, probe: str, module: str, reason: Reason, ours: set[str]) -> Case:
    return Case(
        29,
        name,
        scene,
        probe,
        module,
        reason,
        PASSES if reason is Reason.OK else FAILS,
        our_facts={"phases": ours},
        their_facts={"phases": _ALL},
        differs=_SKIPPED,
    )


_OURS_TLS = "kind: http\ntls: {ca: file:ca.pem}"
_THEIRS_TLS = "prober: http\nhttp: {preferred_ip_protocol: ip4, tls_config: {ca_file: ca.pem}}"
_TALK = {"connect", "processing", "transfer"}


_PHASES = (
    _phases("an address over plain http", http(says(200, b"x")), "kind: http", "prober: http", Reason.OK, _TALK),
    _phases(
        "an address over https",
        http(says(200, b"x"), tls=leaf()),
        _OURS_TLS,
        _THEIRS_TLS,
        Reason.OK,
        {*_TALK, "tls"},
    ),
    _phases(
        "a refused connection",
        unserved(),
        "kind: http",
        "prober: http",
        Reason.CONNECT_REFUSED,
        {"connect"},
    ),
    Case(
        29,
        "a name over https",
        http(says(200, b"x"), name="localhost", tls=leaf("localhost")),
        _OURS_TLS,
        _THEIRS_TLS,
        Reason.OK,
        PASSES,
        {"phases": _ALL},
    ),
)


def _authorised(scheme: str) -> Scene:
    sent = {"basic": "Basic bWU6czNjcjN0LW9mLXRoZS1zdWl0ZQ==", "bearer": f"Bearer {SECRET}"}[scheme]
    return http(judging(lambda request: request.header("authorization") == sent))


def _stranger(request: Request) -> bool:
    return request.header("authorization") is None


_BASIC = "kind: http\nauth: {kind: basic, username: me, password: file:secret.txt}"
_BEARER = f"kind: http\nauth: {{kind: bearer, token: env:{VARIABLE}}}"
_IN_SIGHT = "credentials stand under auth, by reference, and nowhere else; blackbox_exporter shows this one in /config"

_SECRETS = (
    Case(
        30,
        "basic authentication",
        _authorised("basic"),
        _BASIC,
        f"prober: http\nhttp: {{basic_auth: {{username: me, password: {SECRET}}}}}",
        Reason.OK,
        PASSES,
        {"leaked": False},
    ),
    Case(
        30,
        "a bearer token",
        _authorised("bearer"),
        _BEARER,
        f"prober: http\nhttp: {{authorization: {{credentials: {SECRET}}}}}",
        Reason.OK,
        PASSES,
        {"leaked": False},
    ),
    Case(
        30,
        "a bearer token that is refused",
        http(says(401)),
        _BEARER,
        "prober: http\nhttp: {authorization: {credentials_file: secret.txt}}",
        Reason.AUTH_REFUSED,
        FAILS,
        {"leaked": False},
    ),
    Case(
        30,
        "a bearer token and a redirect to a stranger",
        leading(http(judging(_stranger), name="localhost")),
        _BEARER,
        f"prober: http\nhttp: {{authorization: {{credentials: {SECRET}}}, preferred_ip_protocol: ip4}}",
        Reason.OK,
        FAILS,
        {"leaked": False, "redirects": 1},
        {"status": 200},
        {"status": 400},
        differs="a credential is for the target's own origin; blackbox_exporter hands it to any server it is led to",
    ),
    Case(
        30,
        "an API key in a header",
        http(judging(lambda request: request.header("x-api-key") == SECRET)),
        f"kind: http\nauth: {{kind: api_key, header: X-Api-Key, key: env:{VARIABLE}}}",
        f"prober: http\nhttp: {{headers: {{X-Api-Key: {SECRET}}}}}",
        Reason.OK,
        PASSES,
        our_facts={"leaked": False},
        their_facts={"leaked": True},
        differs=_IN_SIGHT,
    ),
    Case(
        30,
        "credentials in a header",
        _authorised("bearer"),
        f"kind: http\nheaders: {{Authorization: Bearer {SECRET}}}",
        f"prober: http\nhttp: {{headers: {{Authorization: Bearer {SECRET}}}}}",
        None,
        PASSES,
        our_facts={"leaked": False},
        their_facts={"leaked": True},
        differs=_IN_SIGHT,
    ),
    Case(
        30,
        "a secret written out",
        _authorised("bearer"),
        f"kind: http\nauth: {{kind: bearer, token: {SECRET}}}",
        f"prober: http\nhttp: {{authorization: {{credentials: {SECRET}}}}}",
        None,
        PASSES,
        {"leaked": False},
        differs="a secret stands in probes.yaml by reference only; one written out is refused, and not repeated",
    ),
    Case(
        30,
        "a secret that is missing",
        _authorised("bearer"),
        "kind: http\nauth: {kind: bearer, token: file:gone.txt}",
        "prober: http\nhttp: {authorization: {credentials_file: gone.txt}}",
        Reason.OWN_CREDENTIAL,
        FAILS,
        {"leaked": False},
        differs="a credential that the monitor lacks is the monitor's fault: the target is not asked, and not blamed",
    ),
    Case(
        30,
        "credentials in the target",
        http(says(), name=f"me:{SECRET}@127.0.0.1"),
        "kind: http",
        "prober: http",
        None,
        PASSES,
        our_facts={"leaked": False},
        their_facts={"leaked": True},
        differs="a target with credentials is refused, and not repeated; blackbox_exporter shows it to anyone who asks",
    ),
)

CASES = (*_ADDRESSES, *_PHASES, *_SECRETS)
