"""Probe definitions as values: the request, how it is sent, and what the answer must be (docs/probing.md).

Everything here is frozen and free of I/O. Texts may hold placeholders ``${name}`` (services.core.model.template). An empty
text or tuple means that nothing is sent or required.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PROBE_KINDS = ("http", "soap", "xroad-rest", "xroad-soap", "grpc", "tcp", "tls", "dns", "journey")
"""Every kind of probe."""

SOAP_KINDS = ("soap", "xroad-soap")
"""Kinds whose answer is a SOAP message."""

BUS_KINDS = ("xroad-rest", "xroad-soap")
"""Kinds that go over the security servers of X-Road."""


@dataclass(frozen=True, slots=True)
class Auth:
    """How a probe authenticates. Secrets are references (``env:NAME``, ``file:PATH``), never values.

    ``kind``: none, basic (username, password), bearer (token), api_key (header, key), oauth2 (client credentials:
    token_url, client_id, client_secret, scope). A client certificate is part of Tls.
    """

    kind: str = "none"
    username: str = ""
    password: str = ""
    token: str = ""
    header: str = ""
    key: str = ""
    token_url: str = ""
    client_id: str = ""
    client_secret: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS profile: ``ca`` (``file:PATH``; empty = system roots), ``server_name`` override, and ``verify``.

    ``certificate`` and ``key`` (``file:PATH``) are the client's, for mTLS. ``min_version`` and ``max_version`` (1.2 or
    1.3) bound the versions that are offered; both versions are offered unless given.
    """

    ca: str = ""
    server_name: str = ""
    verify: bool = True
    certificate: str = ""
    key: str = ""
    min_version: str = ""
    max_version: str = ""


@dataclass(frozen=True, slots=True)
class Proxy:
    """The HTTP proxy of a probe: ``url`` (`http://host:port`; empty = none), ``username`` and ``password`` if needed.

    ``password`` is a reference.
    """

    url: str = ""
    username: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns (RE2): each of ``must`` has to match, none of ``must_not`` may."""

    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordPatterns:
    """Patterns (RE2) for the records of a section of a DNS answer.

    Each of ``must`` has to match a record and none of ``must_not`` may. Each of ``every`` has to match all records, and
    there must be at least one. ``empty`` requires that there is no record.
    """

    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    every: tuple[str, ...] = ()
    empty: bool = False


@dataclass(frozen=True, slots=True)
class HeaderExpectation:
    """Patterns (RE2) for a header: some value has to match ``must``, none may match ``must_not``.

    An absent header fails unless ``optional``.
    """

    must: str = ""
    must_not: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class JsonExpectation:
    """What a JSONPath must find: a value equal to ``equals`` (unless None) and of JSON type ``type`` (unless empty)."""

    path: str
    equals: object = None
    type: str = ""


@dataclass(frozen=True, slots=True)
class XmlExpectation:
    """What an XPath must find: something, or a text equal to ``equals`` (unless None)."""

    path: str
    equals: str | None = None


@dataclass(frozen=True, slots=True)
class FreshnessSource:
    """Where an answer states the time of its data: a JSONPath, an XPath or a header with RFC 3339, epoch seconds, an HTTP
    date or a Jalali date.
    """

    path: str = ""
    xpath: str = ""
    header: str = ""


@dataclass(frozen=True, slots=True)
class Expect:
    """What an answer must be.

    ``refused`` requires that our identity is refused; nothing else is required then. ``status`` empty means 2xx.
    ``record`` (field path, JSONPath or XPath → expected value) is the test record. ``schema`` is a JSON Schema.
    ``namespaces`` (prefix → URI) apply to every XPath. ``tls`` requires that the answer came over TLS,
    ``certificate_left`` that no certificate of the server expires within so many seconds. ``rcode``, ``authoritative``,
    ``answers``, ``authority`` and ``additional`` are for DNS: records as text, `name ttl class type data`.
    """

    refused: bool = False
    status: tuple[int, ...] = ()
    headers: Mapping[str, HeaderExpectation] = field(default_factory=dict)
    body: Patterns = Patterns()
    json: tuple[JsonExpectation, ...] = ()
    xml: tuple[XmlExpectation, ...] = ()
    namespaces: Mapping[str, str] = field(default_factory=dict)
    schema: object = None
    record: Mapping[str, object] = field(default_factory=dict)
    fresh: FreshnessSource | None = None
    tls: bool = False
    certificate_left: float = 0.0
    rcode: tuple[str, ...] = ()
    authoritative: bool = False
    answers: RecordPatterns = RecordPatterns()
    authority: RecordPatterns = RecordPatterns()
    additional: RecordPatterns = RecordPatterns()


@dataclass(frozen=True, slots=True)
class LineStep:
    r"""One step of a line protocol over TCP: wait for a line that matches ``expect`` (RE2), then send ``send`` and a line
    feed, then switch to TLS if ``starttls``. Empty fields are skipped. For lines that end in CRLF, ``send`` ends in CR.

    With ``prompt`` a line that has arrived only in part may match, too. ``\1`` to ``\9`` in ``send`` are groups of the
    last ``expect``. ``expect_hex`` and ``send_hex`` are bytes in hexadecimal digits, in place of the texts.
    """

    expect: str = ""
    send: str = ""
    starttls: bool = False
    prompt: bool = False
    expect_hex: str = ""
    send_hex: str = ""


@dataclass(frozen=True, slots=True)
class DnsQuery:
    """A DNS query: ``name``, record ``type`` and ``record_class``, ``transport`` udp, tcp or tls, recursion desired or not."""

    name: str = ""
    type: str = "A"
    transport: str = "udp"
    recursion: bool = True
    record_class: str = "IN"


@dataclass(frozen=True, slots=True)
class Capture:
    """Where a step of a journey finds the value of a variable: a JSONPath, an XPath, a header, or the first group of a
    pattern (RE2) in the body. ``encode`` (url, json, xml; empty: none) is applied where later steps use it.
    """

    json: str = ""
    xpath: str = ""
    header: str = ""
    pattern: str = ""
    encode: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a journey: a probe of ``target``; variables in ``capture`` fill placeholders of later steps.

    With ``always`` it runs after a failed step as well, if the variables that it needs were captured. ``origins`` are
    URLs without a path, of servers that may receive our credentials although an answer led to them.
    """

    probe: Probe
    target: str
    capture: Mapping[str, Capture] = field(default_factory=dict)
    origins: tuple[str, ...] = ()
    always: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """A named probe definition.

    ``timeout`` in seconds, ``body_limit`` in decoded bytes, ``redirects`` follow or none, ``version`` of HTTP 1.1 or 2,
    ``ip`` prefer-ipv4, prefer-ipv6, ipv4 or ipv6. SOAP: ``action`` and version ``soap`` 1.1 or 1.2. X-Road: ``client``
    and ``service`` as written in members.csv and exchange.csv, ``user_id``. gRPC: ``call`` (`package.Service/Method`;
    empty = the health check of ``service``), ``descriptors`` (``file:PATH`` of a descriptor set; empty = reflection),
    ``body`` is the request as JSON. TCP: ``lines``. TLS: ``starttls`` smtp, imap or postgres. DNS: ``query``. Journey:
    ``steps``.
    """

    name: str
    kind: str
    version: str = "1.1"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    auth: Auth = Auth()
    tls: Tls = Tls()
    proxy: Proxy = Proxy()
    ip: str = "prefer-ipv4"
    redirects: str = "follow"
    timeout: float = 5.0
    body_limit: int = 1 << 20
    action: str = ""
    soap: str = "1.1"
    client: str = ""
    service: str = ""
    user_id: str = ""
    call: str = ""
    descriptors: str = ""
    lines: tuple[LineStep, ...] = ()
    starttls: str = ""
    query: DnsQuery = DnsQuery()
    steps: tuple[Step, ...] = ()
    expect: Expect = Expect()
