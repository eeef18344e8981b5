"""Resolves a target to the addresses that probes may connect to, in the order to try them.

It also defines what outgoing connections share: egress rules, name resolution, trust anchors and TLS contexts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter
from typing import Final

import httpx

from services.core.model import Egress
from services.core.network import is_ip_address
from services.prober.observation import Cause, Failure, Phase
from services.prober.tls import TlsContexts, TrustStore
from services.prober.transport.egress import EgressRules
from services.prober.transport.resolver import Resolver
from services.prober.transport.special_addresses import Network
from services.prober.transport.trace import ProbeFailedError, ProbeTrace

_ADDRESS_LENGTH: Final = 45  # of the longest IPv6 address, which ends like an IPv4 address
_is_address = lru_cache(maxsize=65536)(is_ip_address)


@dataclass(slots=True)
class Outbound:
    """Egress rules, name resolution, trust anchors and TLS contexts.

    ``nat64`` are the NAT64 prefixes of the prober's network. ``proxies_answered`` holds when each proxy (host and port)
    last answered the request for a tunnel, in monotonic seconds.
    """

    egress: EgressRules = field(default_factory=lambda: EgressRules(Egress()))
    resolver: Resolver = field(default_factory=Resolver)
    trust: TrustStore = field(default_factory=TrustStore)
    contexts: TlsContexts = field(default_factory=TlsContexts)
    nat64: tuple[Network, ...] = ()
    proxies_answered: dict[tuple[str, int], float] = field(default_factory=dict)

    def adopt(self, egress: Egress) -> None:
        """Use this egress policy from now on."""
        self.egress = EgressRules(egress, self.nat64)


def parse_host_port(target: str, default_port: int | None = None) -> tuple[str, int]:
    """Return host and port of a target URL. The host is ASCII; an IPv6 address has no brackets. Raises ValueError."""
    try:
        url = httpx.URL(target)
    except httpx.InvalidURL as error:
        raise ValueError(f"the target is not a URL: {error}") from error
    port = url.port or default_port
    if not url.host or port is None:
        raise ValueError("the target does not name both host and port")
    return url.raw_host.decode("ascii"), port


async def resolve_host(host: str, outbound: Outbound, trace: ProbeTrace) -> list[str]:
    """Return the addresses of a host (a name or an address) that the egress policy allows, in the order to try.

    The trace holds the choice of IP version, and records the time. Raises ProbeFailedError.
    """
    if is_address(host):
        return [_allowed_literal(host, trace.ip, outbound.egress)]
    return _allowed(_by_version(await _resolve(host, outbound, trace), trace.ip, host), outbound.egress)


async def check_host(host: str, outbound: Outbound, trace: ProbeTrace) -> None:
    """Check a host that a proxy is to connect to. Every address of it must be allowed, because the proxy chooses one.

    Raises ProbeFailedError.
    """
    addresses = (host,) if is_address(host) else await _resolve(host, outbound, trace)
    for address in _by_version(addresses, "prefer-ipv4", host):
        _allowed([address], outbound.egress)


async def _resolve(host: str, outbound: Outbound, trace: ProbeTrace) -> tuple[str, ...]:
    if trace.phase is not Phase.PROXY:
        trace.phase = Phase.RESOLVE
    start = perf_counter()
    try:
        return await outbound.resolver.addresses(host)
    finally:
        trace.resolve = (trace.resolve or 0.0) + perf_counter() - start


@lru_cache(maxsize=65536)
def _allowed_literal(host: str, ip: str, egress: EgressRules) -> str:
    """Return a host that is itself an address, if it is allowed. Raises ProbeFailedError, which is not cached."""
    return _allowed(_by_version((host,), ip, host), egress)[0]


def is_address(host: str) -> bool:
    """Return whether a host is an IP address and not a name."""
    # Longer hosts, which redirects may choose, are not remembered.
    return len(host) <= _ADDRESS_LENGTH and _is_address(host)


def _by_version(addresses: tuple[str, ...], ip: str, host: str) -> list[str]:
    """Put the addresses of the preferred IP version first, or keep only those of the required one."""
    only = not ip.startswith("prefer-")
    wanted = 6 if ip.endswith("6") else 4
    ordered = sorted(addresses, key=lambda address: _version(address) != wanted)
    if only:
        ordered = [address for address in ordered if _version(address) == wanted]
    if not ordered:
        detail = f"{host} has no IPv{wanted} address" if only else f"{host} has no address"
        raise ProbeFailedError(Failure(Phase.RESOLVE, Cause.FAILED, detail))
    return ordered


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _allowed(addresses: list[str], egress: EgressRules) -> list[str]:
    allowed = [address for address in addresses if egress.allows(address)]
    if not allowed:
        refused = ", ".join(f"{address} ({egress.setting_against(address)})" for address in addresses)
        raise ProbeFailedError(Failure(Phase.CONNECT, Cause.EGRESS, f"the egress policy does not allow {refused}"))
    return allowed
