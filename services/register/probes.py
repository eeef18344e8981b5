"""probes.yaml: the named probe definitions (PROBING.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from services.core.model import Auth, Probe, Tls
from services.register.document import Block, Scalar, read_document
from services.register.expectations import read_expect
from services.register.findings import Findings, Place
from services.register.reference import read_file_reference, read_secret_reference
from services.register.template import names, texts
from services.register.text import read_choice, read_duration, read_flag, read_id, read_name, read_size

__all__ = ["Definition", "Probes", "read_probes"]

FILE = "probes.yaml"
_KEYS = ("kind", "method", "headers", "body", "auth", "tls", "redirects", "timeout", "body_limit", "expect")
_LATER = ("soap", "xroad-rest", "xroad-soap", "grpc", "tcp", "tls", "dns", "journey")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_AUTH = {"none": (), "basic": ("username", "password"), "bearer": ("token",), "api_key": ("header", "key")}
_SECRETS = ("password", "token", "key")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SECRET_HEADERS = ("authorization", "proxy-authorization")
_BODY_LIMIT = 1 << 18
_DEFAULT = Probe(name="", kind="http")


@dataclass(frozen=True, slots=True)
class Definition:
    """A probe as defined: its value, its places, and the names it asks of params, and whether
    it has no faults (with faults, what links and endpoints ask of it is not judged).
    """

    probe: Probe
    place: Place
    timeout: Place
    names: frozenset[str]
    sound: bool


@dataclass(frozen=True, slots=True)
class Probes:
    """The definitions that can be read, and every name declared; None when the file cannot be read."""

    definitions: dict[str, Definition] = field(default_factory=dict)
    ids: dict[str, Place] | None = field(default_factory=dict)


def read_probes(directory: Path, findings: Findings) -> Probes:
    """Every probe definition of a register directory."""
    document = read_document(directory / FILE, findings, keys=None)
    if document is None:
        return Probes(ids=None)
    probes = Probes()
    for name in document.nodes:
        place = document.key_at(name)
        findings.attempt(place, "probe", read_id, name, "")
        assert probes.ids is not None
        probes.ids[name] = place
        block = document.block(name, _KEYS)
        if block is not None:
            probes.definitions[name] = _definition(name, place, block, directory)
    return probes


def _definition(name: str, place: Place, block: Block, directory: Path) -> Definition:
    before = len(block.findings.faults)
    probe = Probe(
        name=name,
        kind=block.need("kind", _read_kind, "http"),
        method=block.read("method", _read_method, _DEFAULT.method),
        headers=_headers(block),
        body=_body(block, directory),
        auth=_auth(block, directory),
        tls=_tls(block, directory),
        redirects=block.read("redirects", lambda text: read_choice(text, "follow", "none"), _DEFAULT.redirects),
        timeout=block.read("timeout", read_duration, _DEFAULT.timeout),
        body_limit=block.read("body_limit", read_size, _DEFAULT.body_limit),
        expect=read_expect(block),
    )
    return Definition(
        probe=probe,
        place=place,
        timeout=block.at("timeout") if "timeout" in block else place,
        names=_names(texts(probe)),
        sound=len(block.findings.faults) == before,
    )


def _names(written: Iterable[str]) -> frozenset[str]:
    """Names in good texts; bad ones have their fault where they stand."""
    found: set[str] = set()
    for text in written:
        try:
            found |= names(text)
        except ValueError:
            continue
    return frozenset(found)


def _read_kind(text: str) -> str:
    if text in _LATER:
        raise ValueError(f"`{text}` cannot be probed by this version: only http can")
    return read_choice(text, "http")


def _read_method(text: str) -> str:
    return read_choice(text.upper(), *_METHODS)


def _headers(block: Block) -> dict[str, str]:
    headers: dict[str, str] = {}
    given = block.block("headers", None)
    for name in given.nodes if given else ():
        assert given is not None
        if not _HEADER.fullmatch(name):
            given.fault(name, f"`{name}` is not a header name")
        elif name.lower() in _SECRET_HEADERS:
            given.fault(name, "credentials stand under `auth`, by reference")
        elif name.lower() in {known.lower() for known in headers}:
            given.fault(name, "the header is there twice")
        else:
            headers[name] = given.read(name, _read_header, "")
    return headers


def _read_header(text: str) -> str:
    names(text)
    if not all(character.isprintable() or character == "\t" for character in text):
        raise ValueError("holds a control character")
    return text.strip()


def _body(block: Block, directory: Path) -> str:
    """Return a text, or the content of ``file:PATH``."""
    scalar = block.scalar("body")
    if scalar is None or scalar.null:
        return ""
    body = _file_body(scalar, directory, block.findings) if scalar.text.startswith("file:") else scalar.text
    if len(body.encode()) > _BODY_LIMIT:
        block.fault("body", f"is larger than {_BODY_LIMIT >> 10} KiB")
    block.findings.attempt(scalar.place, "body", names, body, None)
    return body


def _file_body(scalar: Scalar, directory: Path, findings: Findings) -> str:
    path = directory / scalar.text.removeprefix("file:")
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        findings.add(scalar.place, f"body: `{path}` cannot be read: {why}")
        return ""


def _auth(block: Block, directory: Path) -> Auth:
    given = block.block("auth", None)
    if given is None:
        return Auth()
    kind = given.need("kind", lambda text: read_choice(text, *_AUTH), "")
    if not kind:
        return Auth()
    auth = {"kind": kind}
    for key in given.nodes:
        if key not in ("kind", *_AUTH[kind]):
            known = ", ".join(("kind", *_AUTH[kind]))
            given.findings.add(given.key_at(key), f"key `{key}` is unknown with kind {kind}; known are {known}")
    for key in _AUTH[kind]:
        auth[key] = given.need(key, _auth_reader(key, directory), "")
    return Auth(**auth)


def _auth_reader(key: str, directory: Path) -> Callable[[str], str]:
    if key in _SECRETS:
        return lambda text: read_secret_reference(text, directory)
    return _read_auth_header if key == "header" else read_name


def _read_auth_header(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError(f"`{text}` is not a header name")
    return text


def _tls(block: Block, directory: Path) -> Tls:
    given = block.block("tls", ("ca", "server_name", "verify"))
    if given is None:
        return Tls()
    return Tls(
        ca=given.read("ca", lambda text: read_file_reference(text, directory), ""),
        server_name=given.read("server_name", read_name, ""),
        verify=given.read("verify", read_flag, True),
    )
