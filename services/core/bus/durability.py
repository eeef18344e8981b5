"""Checks the bus by what its servers report: how durably it keeps acknowledged messages, and when certificates expire.

The report covers storage and copies of each stream, and whether servers sync.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.core.bus import names
from services.core.bus.buckets import Bus
from services.core.bus.messages import moment_of
from services.core.bus.server import version_of

COPIES: Final = 3
"""Copies of a stream on a cluster: with two, the loss of one server stops the other."""

DURABILITY_FAULTS: Final = ("storage", "replicas", "copies", "sync", "version", "unknown")
"""The possible faults.

``storage``: a stream is in memory. ``replicas``: a stream has too few copies. ``copies``: some copies are not current.
``sync``: a server does not sync. ``version``: a server syncs only streams without copies. ``unknown``: no server says
whether it syncs.
"""

_SYNCS_LESS: Final = (2, 15)
"""Since this version of nats-server, ``always`` no longer syncs each message of a stream with copies (ADR 117)."""

_NANOSECONDS: Final = 1e9
_SERVERS: Final = 9


@dataclass(frozen=True, slots=True)
class BusReport:
    """What streams and servers say of themselves.

    ``faults`` are by name in DURABILITY_FAULTS, each with one sentence on what to do. ``certificates`` says in epoch seconds when
    the certificate of each server expires; a server without TLS, or of a version before 2.14, is not in it.
    """

    faults: Mapping[str, str]
    certificates: Mapping[str, float]


async def bus_report(bus: Bus) -> BusReport:
    """Ask each stream and each server, which have as long as for any request. Needs role scorer. Raises BusError."""
    streams = {}
    for name in names.STREAMS:
        what = f"asking how stream {name} is kept"
        streams[name] = await bus.request_api(f"$JS.API.STREAM.INFO.{name}", b"", what)
    replies = await bus.request_all(names.SERVERS_SUBJECT, b"", most=_SERVERS)
    answers = [json.loads(reply) for reply in replies]
    found: dict[str, str] = {}
    copied = any(int(info["config"].get("num_replicas") or 1) > 1 for info in streams.values())
    for fault, sentence in (*_of_streams(streams), *_of_servers(answers, copied)):
        found.setdefault(fault, sentence)
    return BusReport(found, dict(_certificates(answers)))


def _of_streams(streams: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, info in streams.items():
        config, cluster = info["config"], info.get("cluster") or {}
        copies = int(config.get("num_replicas") or 1)
        if config.get("storage") != "file":
            yield "storage", f"stream {name} is in memory, and gone when its server ends: make it anew, on disk"
        if cluster.get("name") and copies < COPIES:
            remedy = f"run `peyvand bus init --replicas {COPIES}`"
            yield "replicas", f"stream {name} is on {copies} of the servers of a cluster: {remedy}"
        behind = sorted(str(one.get("name")) for one in cluster.get("replicas") or () if not one.get("current"))
        if behind:
            yield (
                "copies",
                f"the copy of stream {name} on {', '.join(behind)} is not current: start that server, or let it catch up",
            )


def _of_servers(answers: Sequence[Mapping[str, Any]], copied: bool) -> Iterator[tuple[str, str]]:
    """Yield the faults of servers; ``copied`` says whether any stream has copies."""
    configs = {_name_of(answer): (_data_of(answer).get("jetstream") or {}).get("config") for answer in answers}
    for name, config in sorted(configs.items()):
        if config and not config.get("sync_always"):
            seconds = int(config.get("sync_interval") or 0) / _NANOSECONDS
            yield (
                "sync",
                f"server {name} syncs each {seconds:.0f} s what it acknowledges at once: set sync_interval to always",
            )
    for server in (answer["server"] for answer in answers):
        if copied and version_of(str(server.get("ver"))) >= _SYNCS_LESS:
            yield (
                "version",
                f"server {server['name']} is nats-server {server['ver']}, which may lose streams with copies at a power cut: install 2.14",
            )
    if not any(configs.values()):
        yield (
            "unknown",
            "the servers do not say whether they sync what they acknowledge: run `peyvand bus users` again, and reload them",
        )


def _certificates(answers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    """Yield each server with the time when a certificate that it shows, to clients or to other servers, first expires."""
    for answer in answers:
        data = _data_of(answer)
        ends = [shown.get("tls_cert_not_after") for shown in (data, data.get("cluster") or {})]
        if moments := [moment_of(str(end)) for end in ends if end]:
            yield _name_of(answer), min(moments)


def _name_of(answer: Mapping[str, Any]) -> str:
    return str(answer["server"]["name"])


def _data_of(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    data: Mapping[str, Any] = answer.get("data") or {}
    return data
