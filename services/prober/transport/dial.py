"""Runs an exchange over one fresh connection, from the host name to its end, and tries each address in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic, perf_counter
from typing import TypeVar

from services.core.model import Tls
from services.prober.observation import Cause, Failure, Phase
from services.prober.secrets import MissingSecretError
from services.prober.tls import Handshake
from services.prober.transport.addresses import Outbound, check_host, resolve_host
from services.prober.transport.connection import FreshConnection
from services.prober.transport.kernel import lacks_family, most_telling, os_error_cause, os_error_text
from services.prober.transport.proxy import ProxyRoute, Tunnel, at_proxy
from services.prober.transport.trace import ProbeFailedError, ProbeTrace

C = TypeVar("C", bound=FreshConnection)
T = TypeVar("T")


def handshake_factory(
    tls: Tls, host: str, outbound: Outbound, *, alpn: tuple[str, ...] = ()
) -> Callable[[], Handshake]:
    """Return a factory of TLS handshakes with ``host``. Raises ProbeFailedError when files of our own are missing."""
    name = (tls.server_name or host).rstrip(".")  # the root's dot is never part of a name in TLS (RFC 6066, 3)
    try:
        verifier = outbound.trust.get(tls.ca, verify=tls.verify)
        offered = outbound.contexts.get(alpn, tls.certificate, tls.key, (tls.min_version, tls.max_version))
    except MissingSecretError as error:
        raise ProbeFailedError(Failure(Phase.PREPARE, Cause.CREDENTIAL, str(error))) from error
    return lambda: Handshake(offered, name, verifier)


async def run_connection(
    host: str,
    port: int,
    make: Callable[[asyncio.Future[None]], C],
    outbound: Outbound,
    trace: ProbeTrace,
    *,
    proxy: ProxyRoute | None = None,
    tunnel: bool = True,
) -> C:
    """Resolve, connect, and wait until the exchange of the connection that ``make`` builds has ended successfully.

    With a ``proxy``, connect to the proxy, which opens a ``tunnel`` to the host or forwards requests to it. Raises
    ProbeFailedError. The trace then holds what happened before.
    """
    trace.phase = Phase.PREPARE
    trace.connection = None
    if proxy is None:
        addresses = await resolve_host(host, outbound, trace)
        trace.phase = Phase.CONNECT
    else:
        await check_host(host, outbound, trace)
        trace.phase = Phase.PROXY
        with at_proxy(trace):
            addresses = await resolve_host(proxy.host, outbound, trace)
    start = perf_counter()
    loop = asyncio.get_running_loop()
    opening: Tunnel | None = None

    async def connect(address: str) -> C:
        nonlocal opening
        if trace.connection is not None:
            trace.connection.release()
        trace.connection = connection = make(loop.create_future())
        if proxy is None:
            await loop.create_connection(lambda: connection, address, port)
            return connection
        opening = Tunnel(proxy, host, port, connection, outbound.proxies_answered) if tunnel else None
        await loop.create_connection(lambda: opening or connection, address, proxy.port)
        return connection

    try:
        if proxy is None:
            connection = await try_addresses(addresses, connect, trace, silent=Phase.CONNECT)
        else:
            with at_proxy(trace):
                connection = await try_addresses(addresses, connect, trace, silent=Phase.CONNECT)
        await connection.done
    finally:
        trace.record(start)
        if trace.connection is not None:
            trace.connection.release()
        if opening is not None:
            opening.release(trace)
    if connection.failure is not None:
        raise ProbeFailedError(connection.failure)
    return connection


async def try_addresses(
    addresses: list[str], attempt: Callable[[str], Awaitable[T]], trace: ProbeTrace, *, silent: Phase
) -> T:
    """Try each address in turn. A silent one may use only its share of the time left, so that the next is tried too.

    ``attempt`` raises OSError when it cannot reach an address; a silent address fails in phase ``silent``. Raises
    ProbeFailedError when no address is left, or when this machine is at fault.
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
