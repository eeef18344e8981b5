"""Every site of a scenario: its links, its portals, its bus, its security servers and its control target."""

from __future__ import annotations

import resource
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from services.core.errors import ListenError
from services.core.model import Endpoint
from services.sandbox.servers.certificates import Authority, bad_contexts
from services.sandbox.exchanges.data_bus import Bus
from services.sandbox.faults.timeline import Span
from services.sandbox.scenario.scenario import BUS, Scenario
from services.sandbox.scenario.addresses import Wire
from services.sandbox.servers.replies import Reply, Request, bus_reply, inquiry_reply, page_reply
from services.sandbox.servers.servers import Site

__all__ = ["CONTROL", "allow_open_files", "sites"]

CONTROL = "control-target"
"""The name of the site that always answers."""

Monitoring = Callable[[int, Span | None, Request], Reply]
"""Answers for the security server of a number."""

_SPARE = 1024
"""File descriptors for connections, beside one per listening address."""


def sites(
    scenario: Scenario, bus: Bus, authority: Authority, *, monitoring: Monitoring, clock: Callable[[], float]
) -> tuple[Site, ...]:
    """Return every site, each host with a certificate of its own; ``clock`` dates the records, and ``monitoring`` answers
    for security servers, by their number.
    """
    hosts = sorted(
        {wire.host for wire in scenario.wires if wire.tls}
        | {_host(each) for each in scenario.endpoints if each.target.startswith("https:")}
    )
    good = {host: authority.context([host]) for host in hosts}
    bad = bad_contexts(authority, hosts)
    links = (
        Site(
            name=wire.link,
            host=wire.host,
            port=wire.port,
            reply=partial(_inquiry, wire, clock),
            good=good[wire.host] if wire.tls else None,
            bad=bad if wire.tls else (),
        )
        for wire in scenario.wires
    )
    names = {agency.id: agency.name_en for agency in scenario.agencies}
    endpoints = (
        Site(
            name=each.id,
            host=_host(each),
            port=urlsplit(each.target).port or 0,
            reply=_bus if each.id == BUS else partial(_page, names[each.agency]),
            good=good.get(_host(each)),
        )
        for each in scenario.endpoints
    )
    control = urlsplit(scenario.control_target)
    always = Site(CONTROL, control.hostname or "", control.port or 0, partial(_page, "Control target"))
    security = (
        Site(
            name=server.id,
            host=server.host,
            port=scenario.bus_port,
            reply=partial(monitoring, number),
            good=authority.context([server.host]),
        )
        for number, server in enumerate(bus.servers)
    )
    return (*links, *endpoints, always, *security)


def allow_open_files(listening: int) -> None:
    """Raise this process's soft limit of open files as far as so many listening sites need.

    ListenError when the hard limit is lower than that.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = listening + _SPARE
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ListenError(
            f"the sandbox needs {wanted} open files to listen on {listening} addresses and may have {hard}: "
            "raise the limit (ulimit -Hn) or choose --scenario small"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _host(endpoint: Endpoint) -> str:
    return urlsplit(endpoint.target).hostname or ""


def _inquiry(wire: Wire, clock: Callable[[], float], span: Span | None, request: Request) -> Reply:
    return inquiry_reply(wire, span, request, clock())


def _bus(span: Span | None, request: Request) -> Reply:  # noqa: ARG001 - the bus says the same to everybody
    return bus_reply(span)


def _page(title: str, span: Span | None, request: Request) -> Reply:  # noqa: ARG001 - so does a page
    return page_reply(title)
