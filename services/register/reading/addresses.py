"""Reads the addresses that requests are sent to: URLs, hosts and networks. Pure."""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

import dns.exception
import dns.name
import httpx

from services.core.network import is_loopback

_HOST = re.compile(r"[^\s/?#@:\[\]<>\"'\\^`{|}%]+")
_SERVER_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")

_SCHEMES = {"grpc": ("grpc", "grpcs"), "tcp": ("tcp",), "tls": ("tls",), "dns": ("dns",)}
_ALL = ("http", "https", *(scheme for schemes in _SCHEMES.values() for scheme in schemes))
_WITH_PORT = ("tcp", "tls", "grpc", "grpcs")
_WITHOUT_PATH = ("tcp", "tls", "grpc", "grpcs", "dns")

_UNENCRYPTED: Final = ("http", "grpc")


def read_http_url(text: str) -> str:
    """Read an http or https URL without credentials."""
    return _url(text, ("http", "https"))


def read_target(text: str, kind: str | None) -> str:
    """Read the target of a probe of this kind (None: of any kind).

    It is ``http(s)://…`` for kinds that use HTTP and for journeys, ``grpc(s)://host:port``, ``tcp://host:port``,
    ``tls://host:port`` or ``dns://host[:port]``.
    """
    return _url(text, _ALL if kind is None else _SCHEMES.get(kind, ("http", "https")))


def read_origin(text: str, kind: str | None) -> str:
    """Read a URL of this kind, as ``read_target`` does, that has neither path nor query."""
    url = read_target(text, kind)
    parts = urlsplit(url)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"`{text}` has more than a scheme, a host and a port")
    return url


def read_proxy_url(text: str) -> str:
    """Read the URL of an HTTP proxy, ``http://host:port``."""
    if "@" in text:
        raise ValueError("the URL holds credentials: give `username` and, by reference, `password`")
    parts = urlsplit(url := read_origin(_url(text, ("http",)), None))
    if parts.port is None:
        raise ValueError(f"`{text}` names no port")
    return url


def read_control_target(text: str) -> str:
    """Read a control target: ``http://…``, ``https://…`` or ``tcp://host:port``."""
    return _url(text, ("http", "https", "tcp"))


def read_domain(text: str) -> str:
    """Read a domain name."""
    try:
        dns.name.from_text(text.strip())
    except dns.exception.DNSException:
        raise ValueError(f"`{text}` is not a domain name") from None
    return text.strip()


def read_server_name(text: str) -> str:
    """Read a server name for TLS, without a final dot: an address, or a name in ASCII (RFC 5890)."""
    text = text.strip()
    with suppress(ValueError):
        return str(ip_address(text))
    try:
        name = dns.name.from_text(text, idna_codec=dns.name.IDNA_2008_Practical).to_text(omit_final_dot=True)
    except dns.exception.DNSException:
        name = ""
    if not _SERVER_NAME.fullmatch(name):
        raise ValueError(f"`{text}` is not a server's name")
    return name


def read_network(text: str) -> str:
    """Read a network in CIDR notation."""
    try:
        return str(ip_network(text.strip()))
    except ValueError as error:
        raise ValueError(f"`{text}` is not a network: {error}") from None


def _url(text: str, schemes: tuple[str, ...]) -> str:
    text = text.strip()
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError(f"`{text}` is not a URL: it holds a space or a control character")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"`{text}` is not a URL: {error}") from None
    if parts.scheme not in schemes:
        raise ValueError(f"`{text}` does not begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if not _is_host(parts.hostname or ""):
        raise ValueError(f"`{text}` names no host")
    if not _is_usable(text):
        raise ValueError(f"`{text}` names a host that is neither an address nor a name")
    if "@" in parts.netloc:
        raise ValueError("the URL holds credentials: give them by reference under `auth`")
    if port == 0 or (parts.scheme in _WITH_PORT and port is None):
        raise ValueError(f"`{text}` names no port")
    if parts.scheme in _WITHOUT_PATH and (parts.path.strip("/") or parts.query or parts.fragment):
        raise ValueError(f"`{text}` has more than a host and a port")
    return text


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            IPv6Address(host)
        except ValueError:
            return False
        return True
    return bool(_HOST.fullmatch(host)) and len(host) <= 253


def _is_usable(url: str) -> bool:
    """Return whether probes accept the URL: they parse it with httpx, which is stricter about hosts."""
    try:
        return bool(httpx.URL(url).host)
    except (httpx.InvalidURL, UnicodeError):  # UnicodeError: the host begins like an A-label but is not one
        return False


def is_exposed(url: str) -> bool:
    """Return whether requests to a URL cross a network unencrypted."""
    parts = urlsplit(url)
    return parts.scheme in _UNENCRYPTED and not is_loopback(parts.hostname or "")
