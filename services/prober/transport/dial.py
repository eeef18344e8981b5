"""From a name to a connection: addresses, egress on the very address, each address in turn, trust."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import ip_address
from time import monotonic, perf_counter, time
from typing import TypeVar

import httpx

from services.core.model import Tls
from services.prober.observation import Cause, Failure, Phase
from services.prober.secrets import MissingSecretError
from services.prober.tls import ChainVerifier, Handshake
from services.prober.transport.connection import FreshConnection
from services.prober.transport.egress import EgressRules
from services.prober.transport.os_errors import lacks_family, most_telling, os_error_cause, os_error_text
from services.prober.transport.outbound import Outbound
from services.prober.transport.resolver import ResolveError
from services.prober.transport.trace import ProbeFailedError, ProbeTrace

__all__ = [
    "allowed_addresses",
    "handshake_factory",
    "parse_host_port",
    "resolve_host",
    "run_connection",
    "try_addresses",
]


def parse_host_port(target: str, port: int | None = None) -> tuple[str, int]:
    """Return host and port of a target; ``port`` where it names none. The host is ASCII, an IPv6 address without brackets.

    Raises ValueError.
    """
    try:
        url = httpx.URL(target)
    except httpx.InvalidURL as error:
        raise ValueError(f"the target is not a URL: {error}") from error
    named = url.port or port
    if not url.host or named is None:
        raise ValueError("the target does not name both host and port")
    return url.raw_host.decode("ascii"), named


S = TypeVar("S", bound=FreshConnection)
T = TypeVar("T")


def handshake_factory(
    tls: Tls, host: str, outbound: Outbound, trace: ProbeTrace, *, alpn: tuple[str, ...] = ()
) -> Callable[[], Handshake]:
    """Return what makes the TLS side of each connection to ``host``. Raises ProbeFailedError when our own files are missing.

    What the certificates say goes to the trace, whether they are believed or not.
    """
    name = (tls.server_name or host).rstrip(".")  # the root's dot is never part of a name in TLS (RFC 6066, 3)
    try:
        trust = outbound.trust.get(tls.ca, verify=tls.verify)
        context = outbound.contexts.get(alpn, tls.certificate, tls.key)
    except MissingSecretError as error:
        raise ProbeFailedError(Failure(Phase.PREPARE, Cause.CREDENTIAL, str(error))) from error

    def accept(chain: list[bytes]) -> Failure | None:
        return _accept(chain, name, trust, trace)

    return lambda: Handshake(context, name, accept)


def _accept(chain: list[bytes], name: str, trust: ChainVerifier, trace: ProbeTrace) -> Failure | None:
    """Judge the chain a server presented; keep its facts either way."""
    examined = trust.examine(chain, name, time())
    trace.certificate = trace.certificate or examined.facts
    return examined.cause and Failure(Phase.TLS, examined.cause, examined.detail)


async def run_connection(
    host: str, port: int, make: Callable[[asyncio.Future[None]], S], outbound: Outbound, trace: ProbeTrace
) -> S:
    """Resolve, connect, and wait until the talk that ``make`` builds on the connection has ended well.

    Raises ProbeFailedError; the trace then holds what was learnt before.
    """
    trace.phase = Phase.PREPARE
    allowed = await resolve_host(host, outbound, trace)
    trace.phase = Phase.CONNECT
    start = perf_counter()
    streams: list[S] = []
    try:
        stream = await _connect(allowed, port, make, trace, streams)
        await stream.done
    finally:
        trace.record(streams[-1] if streams else None, start)
        for stream in streams:
            stream.abandon()
    if stream.failure is not None:
        raise ProbeFailedError(stream.failure)
    return stream


async def resolve_host(host: str, outbound: Outbound, trace: ProbeTrace) -> list[str]:
    """Return what ``allowed_addresses`` does for the trace's choice of family, and record in the trace how long it took."""
    if _is_address(host):
        return [_literal(host, trace.ip, outbound.egress)]
    trace.phase = Phase.RESOLVE
    start = perf_counter()
    try:
        return await allowed_addresses(host, outbound, trace.ip)
    finally:
        trace.resolve = (trace.resolve or 0.0) + perf_counter() - start


async def allowed_addresses(host: str, outbound: Outbound, ip: str = "prefer-ipv4") -> list[str]:
    """Return the addresses of a name (or an address itself) that probes may connect to, in the order to try them.

    ``ip`` is the definition's choice of family. Raises ProbeFailedError.
    """
    if _is_address(host):
        return [_literal(host, ip, outbound.egress)]
    try:
        addresses = await outbound.resolver.addresses(host)
    except ResolveError as error:
        raise ProbeFailedError(Failure(Phase.RESOLVE, error.cause, str(error))) from error
    return _allowed(_chosen(addresses, ip, host), outbound.egress)


@lru_cache(maxsize=65536)
def _literal(host: str, ip: str, egress: EgressRules) -> str:
    """Return an address written in place of a name. Raises ProbeFailedError, which is not remembered."""
    return _allowed(_chosen((host,), ip, host), egress)[0]


def _chosen(addresses: tuple[str, ...], ip: str, host: str) -> list[str]:
    """Order the addresses by the family preferred, or keep only those of the one family wanted."""
    only = not ip.startswith("prefer-")
    wanted = 6 if ip.endswith("6") else 4
    chosen = sorted(addresses, key=lambda address: _version(address) != wanted)
    if only:
        chosen = [address for address in chosen if _version(address) == wanted]
    if not chosen:
        detail = f"{host} has no IPv{wanted} address" if only else f"{host} has no address"
        raise ProbeFailedError(Failure(Phase.RESOLVE, Cause.FAILED, detail))
    return chosen


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _allowed(addresses: list[str], egress: EgressRules) -> list[str]:
    allowed = [address for address in addresses if egress.allows(address)]
    if not allowed:
        refused = ", ".join(addresses)
        raise ProbeFailedError(Failure(Phase.CONNECT, Cause.EGRESS, f"the egress policy does not allow {refused}"))
    return allowed


@lru_cache(maxsize=65536)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def _connect(
    addresses: list[str], port: int, make: Callable[[asyncio.Future[None]], S], trace: ProbeTrace, streams: list[S]
) -> S:
    loop = asyncio.get_running_loop()

    async def attempt(address: str) -> S:
        stream = make(loop.create_future())
        streams.append(stream)
        await loop.create_connection(lambda: stream, address, port)
        return stream

    return await try_addresses(addresses, attempt, trace, silent=Phase.CONNECT)


async def try_addresses(
    addresses: list[str], attempt: Callable[[str], Awaitable[T]], trace: ProbeTrace, *, silent: Phase
) -> T:
    """Try each address in turn; a silent one may use its share of the time left, so that the next gets a chance.

    ``attempt`` raises OSError where it fails to reach an address; to be silent is to fail in phase ``silent``. Raises
    ProbeFailedError when no address is left, or this machine is at fault.
    """
    failures: list[Failure] = []
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        trace.addresses.append(address)
        try:
            if left == 1:
                return await attempt(address)
            async with asyncio.timeout((trace.deadline - monotonic()) / left):
                return await attempt(address)
        except TimeoutError:
            failures.append(Failure(silent, Cause.TIMEOUT, f"{address} does not answer"))
        except OSError as error:
            cause = os_error_cause(error)
            failures.append(Failure(Phase.CONNECT, cause, f"connecting to {address} failed: {os_error_text(error)}"))
            if cause is Cause.LOCAL_RESOURCES and not lacks_family(error, address):
                raise ProbeFailedError(failures[-1]) from error
    raise ProbeFailedError(most_telling(failures))
