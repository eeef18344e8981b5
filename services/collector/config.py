"""Reads sources.yaml, the list of what a collector reads (docs/exchange.md §5).

Every fault is listed with its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from services.collector.records import RowError, column_names, is_name
from services.core.errors import InputError
from services.register.faults import FaultList
from services.register.reading import (
    YamlMapping,
    read_choice,
    read_document,
    read_duration,
    read_flag,
    read_http_url,
    read_id,
    read_name,
    read_party,
    read_server_name,
)

BEHIND_SECONDS: Final = 60.0
"""How far behind now records are requested by default, which is also the default offset of X-Road servers."""

_XROAD = ("url", "client", "certificate", "key", "authority", "server_name", "timeout", "every", "behind", "history")
_KEYS = {
    "xroad": ("id", "kind", "server", "provider", "health", *_XROAD),
    "files": ("id", "kind", "path", "every", "columns"),
}
_ALL = tuple(dict.fromkeys(key for keys in _KEYS.values() for key in keys))
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TIMEOUT, _POLL, _LOOK, _HISTORY = 60.0, 60.0, 5.0, 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class XroadSource:
    """A security server whose records are requested by SOAP at ``url``, in the name of ``client``.

    ``server`` is INSTANCE/CLASS/CODE/SERVER. With ``provider``, a member or subsystem, only exchanges with its services
    are requested. With ``health``, only counts per service are. ``certificate`` and ``key`` are the collector's.
    ``authority`` replaces the system's list of trusted authorities. ``server_name`` is the name in the server's
    certificate, if it is not the host of the URL. Times are in seconds. Requests end ``behind`` seconds before now.
    """

    id: str
    server: str
    url: str
    client: str
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    server_name: str = ""
    timeout: float = _TIMEOUT
    every: float = _POLL
    behind: float = BEHIND_SECONDS
    history: float = _HISTORY
    provider: str = ""
    health: bool = False


@dataclass(frozen=True, slots=True)
class FileSource:
    """Log files that match a path, whose last part may hold ``*`` and ``?``.

    They are checked once in ``every`` seconds.
    """

    id: str
    path: Path
    every: float = _LOOK
    columns: tuple[str, ...] = ()  # of tables without a header


Source = XroadSource | FileSource


def read_sources(path: Path) -> tuple[Source, ...]:
    """Return the sources in a file. Raises InputError with every fault."""
    faults = FaultList()
    block = read_document(path, faults, keys=("xroad", "sources"))
    sources: list[Source] = []
    if block is not None:
        defaults = block.mapping("xroad", _XROAD) if "xroad" in block else None
        before = len(faults)
        lines: dict[str, int] = {}
        for given in block.mappings("sources", _ALL):
            sources.extend(_source(given, defaults, path.parent, lines))
        if not sources and len(faults) == before:
            block.fault("sources", "needs at least one: a collector reads something")
    if faults:
        raise InputError(f"the list of sources {path}", faults)
    return tuple(sources)


def _source(given: YamlMapping, defaults: YamlMapping | None, folder: Path, lines: dict[str, int]) -> list[Source]:
    name = given.need("id", read_id, "")
    if name and name in lines:
        given.fault("id", f"`{name}` is already the id of line {lines[name]}")
    lines[name] = given.at("id").line
    kind = given.need("kind", lambda text: read_choice(text, *_KEYS), None)
    if kind is None:
        return []
    for key in given.nodes:
        if key not in _KEYS[kind]:
            given.faults.add(given.key_at(key), f"key `{key}` does not go with kind {kind}")
    if kind == "files":
        path = given.need("path", lambda text: _pattern(folder, text), folder)
        return [FileSource(name, path, given.read("every", read_duration, _LOOK), _columns(given))]
    return [_xroad(name, given, defaults, folder)]


def _columns(given: YamlMapping) -> tuple[str, ...]:
    if "columns" not in given:
        return ()
    try:
        return column_names(column.text for column in given.scalars("columns"))
    except RowError as error:
        given.fault("columns", str(error))
        return ()


def _xroad(name: str, given: YamlMapping, defaults: YamlMapping | None, folder: Path) -> XroadSource:
    def block_with(key: str) -> YamlMapping:
        return defaults if defaults is not None and key in defaults and key not in given else given

    def required(key: str, read: Callable[[str], str]) -> str:
        block = block_with(key)
        if key not in block:
            given.faults.add(given.location, f"key `{key}` is missing, here and under `xroad`")
            return ""
        return block.need(key, read, "")

    def file(key: str) -> Path | None:
        return block_with(key).read(key, lambda text: _file(folder, text), None)

    certificate, key = file("certificate"), file("key")
    if ("certificate" in block_with("certificate")) != ("key" in block_with("key")):
        given.faults.add(given.location, "certificate and key go together: name both or none")
    return XroadSource(
        id=name,
        server=given.need("server", _identifier(_read_server), ""),
        url=required("url", read_http_url),
        client=required("client", _identifier(read_party)),
        certificate=certificate,
        key=key,
        authority=file("authority"),
        server_name=block_with("server_name").read("server_name", read_server_name, ""),
        timeout=block_with("timeout").read("timeout", read_duration, _TIMEOUT),
        every=block_with("every").read("every", read_duration, _POLL),
        behind=block_with("behind").read("behind", read_duration, BEHIND_SECONDS),
        history=block_with("history").read("history", read_duration, _HISTORY),
        provider=given.read("provider", _identifier(read_party), ""),
        health=given.read("health", read_flag, False),
    )


def _read_server(text: str) -> str:
    parts = read_name(text).split("/")
    if len(parts) != 4 or not all(part.strip() for part in parts):
        raise ValueError(f"`{text}` is not INSTANCE/CLASS/CODE/SERVER")
    return "/".join(parts)


def _identifier(read: Callable[[str], str]) -> Callable[[str], str]:
    """Return a function that reads an X-Road identifier and checks that a request can hold its parts."""

    def checked(text: str) -> str:
        found = read(text)
        parts = [unquote(part) for part in found.split("/")]
        if not all(is_name(part) and not _NO_XML.search(part) for part in parts):
            raise ValueError(f"{text!r} has a part with a character that no identifier has")
        return found

    return checked


def _file(folder: Path, text: str) -> Path:
    path = folder / read_name(text)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    return path


def _pattern(folder: Path, text: str) -> Path:
    path = folder / read_name(text)
    if any(mark in part for part in path.parts[:-1] for mark in "*?["):
        raise ValueError(f"`{text}` has a `*`, `?` or `[` before its last part")
    return path
