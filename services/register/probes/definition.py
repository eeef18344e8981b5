"""Reads one probe definition of probes.yaml: the keys of its kind, with a reader for each (docs/probing.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from services.core.model import PROBE_KINDS, DnsQuery, LineStep, Probe, Step, Tls, placeholders
from services.register.probes.expectations import read_expect
from services.register.probes.journey import EXTRA, read_steps
from services.register.probes.patterns import count_groups, read_pattern
from services.register.probes.references import read_auth, read_file_reference, read_proxy, read_text_file
from services.register.probes.request_messages import (
    check_call,
    check_message,
    is_line,
    read_action,
    read_call,
    read_descriptors,
)
from services.register.reading import (
    YamlMapping,
    read_choice,
    read_client,
    read_domain,
    read_duration,
    read_flag,
    read_header,
    read_header_name,
    read_server_name,
    read_service,
    read_size,
    read_template,
)

T = TypeVar("T")

_REST = (
    *("version", "method", "headers", "body", "auth", "tls", "proxy", "ip", "redirects", "timeout", "body_limit"),
    "expect",
)
_SOAP = ("soap", "action", *(key for key in _REST if key not in ("version", "method")))
_GRPC = ("call", "service", "descriptors", "headers", "body", "auth", "tls", "ip", "timeout", "body_limit", "expect")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "http": _REST,
    "soap": _SOAP,
    "xroad-rest": ("client", "user_id", *(key for key in _REST if key != "version")),
    "xroad-soap": ("client", "service", "user_id", *(key for key in _SOAP if key != "soap")),
    "grpc": _GRPC,
    "tcp": ("lines", "tls", "ip", "timeout"),
    "tls": ("starttls", "tls", "proxy", "ip", "timeout", "expect"),
    "dns": ("query", "tls", "ip", "timeout", "expect"),
    "journey": ("steps", "timeout"),
}
"""The keys of each kind, besides ``kind``."""

_NEEDED = {"soap": ("body",), "xroad-rest": ("client",), "xroad-soap": ("client", "service", "body")}
_NEEDED |= {"dns": ("query",), "journey": ("steps",)}

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_CREDENTIALS = ("authorization", "proxy-authorization")
_BODY_LIMIT = 1 << 18
_QUERY_TYPES = (
    "A, AAAA, ANY, CAA, CDS, CERT, CNAME, DNAME, DNSKEY, DS, HTTPS, LOC, MX, NAPTR, NS, OPENPGPKEY, PTR, RP, RRSIG, SOA, SRV, "
    "SSHFP, SVCB, TLSA, TXT"
)


def read_definition(
    name: str, mapping: YamlMapping, *, kinds: tuple[str, ...] = PROBE_KINDS, extra: tuple[str, ...] = ()
) -> Probe:
    """Read one definition of one of these kinds, which may have ``extra`` keys.

    Missing and unusable values become faults.
    """
    kind = mapping.need("kind", lambda text: read_choice(text, *kinds), "")
    own = _KEYS.get(kind, (*_READERS, "expect"))  # with an unknown kind, all keys
    keys = ("kind", *extra, *own)
    for key in mapping.nodes:
        if key not in keys:
            with_kind = f" with kind {kind}" if kind else ""
            reason = f"key `{key}` is unknown{with_kind}; known are {', '.join(keys)}"
            mapping.faults.add(mapping.key_at(key), reason)
    for key in _NEEDED.get(kind, ()):
        mapping.require(key)
    values = {key: _READERS[key](mapping) for key in own if key in mapping and key != "expect"}
    probe = Probe(name, kind or "http", **values, expect=read_expect(mapping, kind))
    check_message(probe, mapping)
    check_call(probe, mapping)
    return probe


def _plain(key: str, read: Callable[[str], Any]) -> Callable[[YamlMapping], Any]:
    """Return a reader of one text value."""
    return lambda mapping: mapping.read(key, read, getattr(_DEFAULT, key))


_DEFAULT = Probe(name="", kind="http")


def _headers(mapping: YamlMapping) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, given in mapping.entries("headers"):
        if not given.faults.attempt(given.at(name), name, read_header_name, name, ""):
            continue
        if name.lower() in _CREDENTIALS:
            given.fault(name, "credentials stand under `auth`, by reference")
        elif name.lower() in {header.lower() for header in headers}:
            given.fault(name, "the header is there twice")
        else:
            headers[name] = given.read(name, read_header, "")
    return headers


def _body(mapping: YamlMapping) -> str:
    """Read a text, or the content of ``file:PATH``."""
    scalar = mapping.scalar("body")
    if scalar is None or scalar.null:
        return ""
    body = scalar.text
    if body.startswith("file:"):
        read = partial(read_text_file, directory=mapping.folder)
        body = mapping.faults.attempt(scalar.location, "body", read, body, "")
    if len(body.encode()) > _BODY_LIMIT:
        mapping.fault("body", f"is larger than {_BODY_LIMIT >> 10} KiB")
    mapping.faults.attempt(scalar.location, "body", placeholders, body, None)
    return body


def _tls(mapping: YamlMapping) -> Tls:
    given = mapping.part("tls", ("ca", "server_name", "verify", "certificate", "key", "min_version", "max_version"))
    reference = partial(read_file_reference, directory=mapping.folder)
    if ("certificate" in given) != ("key" in given):
        mapping.fault("tls", "a client certificate needs both `certificate` and `key`")
    verify = given.read("verify", read_flag, True)
    if not verify:
        secrets = " and receive the secret of `auth`" if "auth" in mapping else ""
        given.warn("verify", f"any certificate is accepted: anyone on the way can answer for the target{secrets}")
    tls = Tls(
        ca=given.read("ca", reference, ""),
        server_name=given.read("server_name", read_server_name, ""),
        verify=verify,
        certificate=given.read("certificate", reference, ""),
        key=given.read("key", reference, ""),
        min_version=given.read("min_version", _read_tls_version, ""),
        max_version=given.read("max_version", _read_tls_version, ""),
    )
    if (tls.min_version, tls.max_version) == ("1.3", "1.2"):
        mapping.fault("tls", "its min_version is above its max_version")
    return tls


def _read_tls_version(text: str) -> str:
    return read_choice(text, "1.2", "1.3")


def _lines(mapping: YamlMapping) -> tuple[LineStep, ...]:
    items = mapping.mappings("lines", ("expect", "send", "starttls", "prompt", "expect_hex", "send_hex"))
    lines = tuple(
        LineStep(
            expect=_given(item, "expect", read_pattern, ""),
            send=_given(item, "send", _read_line, ""),
            starttls=_given(item, "starttls", read_flag, False),
            prompt=_given(item, "prompt", read_flag, False),
            expect_hex=_given(item, "expect_hex", _read_hex, ""),
            send_hex=_given(item, "send_hex", _read_hex, ""),
        )
        for item in items
    )
    groups = 0
    for item, line in zip(items, lines, strict=True):
        if not item.nodes:
            item.faults.add(item.location, "needs one of `expect`, `send`, `starttls`, `expect_hex`, `send_hex`")
        for text, digits in (("expect", "expect_hex"), ("send", "send_hex")):
            if text in item and digits in item:
                item.fault(digits, f"cannot be given with `{text}`")
        if "prompt" in item and "expect" not in item:
            item.fault("prompt", "needs `expect`")
        groups = count_groups(line.expect) if line.expect else groups
        for group in re.findall(r"\\([1-9])", line.send):
            if int(group) > groups:
                item.fault("send", f"uses group \\{group}, but the last `expect` has {groups}")
    if sum(line.starttls for line in lines) > 1:
        mapping.fault("lines", "switches to TLS twice")
    return lines


def _given(mapping: YamlMapping, key: str, read: Callable[[str], T], default: T) -> T:
    """Return the value of ``key``; ``default`` when it is absent. An empty value is a fault, as it would do nothing."""
    return mapping.need(key, read, default) if key in mapping else default


def _read_hex(text: str) -> str:
    try:
        return bytes.fromhex(text).hex()
    except ValueError:
        raise ValueError(f"`{text}` is not bytes in hexadecimal digits, such as 53 53 48") from None


def _read_line(text: str) -> str:
    placeholders(text)
    if not is_line(text):
        raise ValueError("holds a line break: a line ends by itself, and each is an item of its own")
    return text


def _query(mapping: YamlMapping) -> DnsQuery:
    given = mapping.mapping("query", ("name", "type", "transport", "recursion", "class"))
    if given is None:
        return DnsQuery()
    return DnsQuery(
        name=given.need("name", lambda text: text.strip() if placeholders(text) else read_domain(text), ""),
        type=given.read("type", _read_type, "A"),
        transport=given.read("transport", lambda text: read_choice(text, "udp", "tcp", "tls"), "udp"),
        recursion=given.read("recursion", read_flag, True),
        record_class=given.read("class", lambda text: read_choice(text.upper(), "IN", "CH", "HS"), "IN"),
    )


def _read_type(text: str) -> str:
    if (name := text.strip().upper()) not in _QUERY_TYPES.split(", "):
        raise ValueError(f"`{text}` is not a record type: one of {_QUERY_TYPES}")
    return name


def _service(mapping: YamlMapping) -> str:
    """Read an X-Road service, or the service name of a gRPC health check."""
    kind = mapping.scalar("kind")
    is_grpc = kind is not None and kind.text.strip() == "grpc"
    return mapping.read("service", read_template if is_grpc else read_service, "")


def _steps(mapping: YamlMapping) -> tuple[Step, ...]:
    kinds = tuple(kind for kind in PROBE_KINDS if kind != "journey")
    return read_steps(mapping, partial(read_definition, kinds=kinds, extra=EXTRA))


_READERS: Mapping[str, Callable[[YamlMapping], Any]] = {
    "version": _plain("version", lambda text: read_choice(text, "1.1", "2")),
    "method": _plain("method", lambda text: read_choice(text.upper(), *_METHODS)),
    "headers": _headers,
    "body": _body,
    "auth": read_auth,
    "tls": _tls,
    "proxy": read_proxy,
    "ip": _plain("ip", lambda text: read_choice(text, "prefer-ipv4", "prefer-ipv6", "ipv4", "ipv6")),
    "redirects": _plain("redirects", lambda text: read_choice(text, "follow", "none")),
    "timeout": _plain("timeout", read_duration),
    "body_limit": _plain("body_limit", read_size),
    "action": _plain("action", read_action),
    "soap": _plain("soap", lambda text: read_choice(text, "1.1", "1.2")),
    "client": _plain("client", read_client),
    "service": _service,
    "user_id": _plain("user_id", read_header),
    "call": _plain("call", read_call),
    "descriptors": lambda mapping: mapping.read("descriptors", partial(read_descriptors, directory=mapping.folder), ""),
    "lines": _lines,
    "starttls": _plain("starttls", lambda text: read_choice(text, "smtp", "imap", "postgres")),
    "query": _query,
    "steps": _steps,
}
"""The reader of each key. A key means the same with every kind that has it."""
