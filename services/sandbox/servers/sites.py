"""Makes the sites of a scenario: its links, portals, bus, security servers and control target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from functools import partial
from urllib.parse import urlsplit

from services.core.model import Endpoint
from services.sandbox.exchanges import DataBus
from services.sandbox.faults import FaultSpan
from services.sandbox.scenario import BUS, Scenario
from services.sandbox.servers.certificates import Authority, untrusted_contexts
from services.sandbox.servers.replies import ReceivedRequest, ServerReply, bus_reply, inquiry_reply, page_reply
from services.sandbox.servers.servers import Site

CONTROL = "control-target"
"""The name of the site that always answers."""

MonitoringService = Callable[[int, FaultSpan | None, ReceivedRequest], ServerReply]
"""Returns the reply of the security server with a number."""


def make_sites(
    scenario: Scenario,
    bus: DataBus,
    authority: Authority,
    *,
    monitoring: MonitoringService,
    clock: Callable[[], float],
    drawing: Executor | None = None,
) -> tuple[Site, ...]:
    """Return every site, each host with a certificate of its own.

    ``clock`` dates the records, and ``monitoring`` replies for security servers, by number, in ``drawing`` if that is given.
    """
    hosts = sorted(
        {served.host for served in scenario.served_links if served.tls}
        | {_host(endpoint) for endpoint in scenario.endpoints if endpoint.target.startswith("https:")}
    )
    good = {host: authority.context([host]) for host in hosts}
    bad = untrusted_contexts(authority, hosts)
    links = (
        Site(
            name=served.link,
            host=served.host,
            port=served.port,
            reply=partial(inquiry_reply, served, clock),
            good=good[served.host] if served.tls else None,
            bad=bad if served.tls else (),
        )
        for served in scenario.served_links
    )
    names = {agency.id: agency.name_en for agency in scenario.agencies}
    endpoints = (
        Site(
            name=endpoint.id,
            host=_host(endpoint),
            port=urlsplit(endpoint.target).port or 0,
            reply=bus_reply if endpoint.id == BUS else partial(page_reply, names[endpoint.agency]),
            good=good.get(_host(endpoint)),
        )
        for endpoint in scenario.endpoints
    )
    control = urlsplit(scenario.control_target)
    control_site = Site(CONTROL, control.hostname or "", control.port or 0, partial(page_reply, "Control target"))
    security_servers = (
        Site(
            name=server.id,
            host=server.host,
            port=scenario.bus_port,
            reply=partial(monitoring, number),
            good=authority.context([server.host]),
            executor=drawing,
        )
        for number, server in enumerate(bus.servers)
    )
    return (*links, *endpoints, control_site, *security_servers)


def addresses(scenario: Scenario, bus: DataBus) -> Iterator[tuple[str, int]]:
    """Yield the host and port of every site."""
    yield from ((served.host, served.port) for served in scenario.served_links)
    for target in (*(endpoint.target for endpoint in scenario.endpoints), scenario.control_target):
        parts = urlsplit(target)
        yield parts.hostname or "", parts.port or 0
    yield from ((server.host, scenario.bus_port) for server in bus.servers)


def _host(endpoint: Endpoint) -> str:
    return urlsplit(endpoint.target).hostname or ""
