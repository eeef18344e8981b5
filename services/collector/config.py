"""sources.yaml: what a collector reads (docs/exchange.md). Read strictly; every fault is listed with its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.core.errors import InputError
from services.register.reading import (
    FaultList,
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

__all__ = ["BEHIND_SECONDS", "FileSource", "Source", "XroadSource", "read_sources"]

BEHIND_SECONDS: Final = 60.0
"""How far behind now records are requested by default: the offset that X-Road servers have by default."""

_XROAD = ("url", "client", "certificate", "key", "authority", "server_name", "timeout", "every", "behind", "history")
_KEYS = {
    "xroad": ("id", "kind", "server", "provider", "health", *_XROAD),
    "files": ("id", "kind", "path", "every"),
}
_ALL = tuple(dict.fromkeys(key for keys in _KEYS.values() for key in keys))
_TIMEOUT, _EVERY, _LOOK, _HISTORY = 60.0, 60.0, 5.0, 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class XroadSource:
    """A security server whose records are asked for, over SOAP at ``url``, in the name of ``client``.

    ``server`` is INSTANCE/CLASS/CODE/SERVER; with ``provider``, a member or subsystem, only exchanges with its services are
    asked for. With ``health`` only counts per service are asked for. ``certificate`` and
    ``key`` are ours, ``authority`` says whom we trust in place of the system's list; ``server_name`` is what the
    certificate of the server must name, where that is not the host of the URL. Times in seconds: ``behind`` is how far
    behind now records are asked for.
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
    every: float = _EVERY
    behind: float = BEHIND_SECONDS
    history: float = _HISTORY
    provider: str = ""
    health: bool = False


@dataclass(frozen=True, slots=True)
class FileSource:
    """Log files, by a path whose last part may hold ``*`` and ``?``; looked at every so many seconds."""

    id: str
    path: Path
    every: float = _LOOK


Source = XroadSource | FileSource


def read_sources(path: Path) -> tuple[Source, ...]:
    """Read the file. Raises InputError with every fault."""
    faults = FaultList()
    block = read_document(path, faults, keys=("xroad", "sources"))
    sources: list[Source] = []
    if block is not None:
        shared = block.mapping("xroad", _XROAD) if "xroad" in block else None
        before = len(faults)
        seen: dict[str, int] = {}
        for given in block.mappings("sources", _ALL):
            sources.extend(_source(given, shared, path.parent, seen))
        if not sources and len(faults) == before:
            block.fault("sources", "needs at least one: a collector reads something")
    if faults:
        raise InputError(f"the list of sources {path}", faults)
    return tuple(sources)


def _source(given: YamlMapping, shared: YamlMapping | None, folder: Path, seen: dict[str, int]) -> list[Source]:
    name = given.need("id", read_id, "")
    if name and name in seen:
        given.fault("id", f"`{name}` is already the id of line {seen[name]}")
    seen[name] = given.at("id").line
    kind = given.need("kind", lambda text: read_choice(text, *_KEYS), None)
    if kind is None:
        return []
    for key in given.nodes:
        if key not in _KEYS[kind]:
            given.faults.add(given.key_at(key), f"key `{key}` does not go with kind {kind}")
    if kind == "files":
        path = given.need("path", lambda text: _pattern(folder, text), folder)
        return [FileSource(name, path, given.read("every", read_duration, _LOOK))]
    return [_xroad(name, given, shared, folder)]


def _xroad(name: str, given: YamlMapping, shared: YamlMapping | None, folder: Path) -> XroadSource:
    def where(key: str) -> YamlMapping:
        return shared if shared is not None and key in shared and key not in given else given

    def needed(key: str, read: Callable[[str], str]) -> str:
        block = where(key)
        if key not in block:
            given.faults.add(given.location, f"key `{key}` is missing, here and under `xroad`")
            return ""
        return block.need(key, read, "")

    def file(key: str) -> Path | None:
        return where(key).read(key, lambda text: _file(folder, text), None)

    certificate, key = file("certificate"), file("key")
    if ("certificate" in where("certificate")) != ("key" in where("key")):
        given.faults.add(given.location, "certificate and key go together: name both or none")
    return XroadSource(
        id=name,
        server=given.need("server", _read_server, ""),
        url=needed("url", read_http_url),
        client=needed("client", read_party),
        certificate=certificate,
        key=key,
        authority=file("authority"),
        server_name=where("server_name").read("server_name", read_server_name, ""),
        timeout=where("timeout").read("timeout", read_duration, _TIMEOUT),
        every=where("every").read("every", read_duration, _EVERY),
        behind=where("behind").read("behind", read_duration, BEHIND_SECONDS),
        history=where("history").read("history", read_duration, _HISTORY),
        provider=given.read("provider", read_party, ""),
        health=given.read("health", read_flag, False),
    )


def _read_server(text: str) -> str:
    parts = read_name(text).split("/")
    if len(parts) != 4 or not all(part.strip() for part in parts):
        raise ValueError(f"`{text}` is not INSTANCE/CLASS/CODE/SERVER")
    return "/".join(parts)


def _file(folder: Path, text: str) -> Path:
    path = folder / read_name(text)
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


def _pattern(folder: Path, text: str) -> Path:
    path = folder / read_name(text)
    if any(mark in part for part in path.parts[:-1] for mark in "*?["):
        raise ValueError(f"`{text}` has a `*`, `?` or `[` before its last part")
    return path
