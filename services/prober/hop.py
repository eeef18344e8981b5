"""One hop of a probe: from a name to a whole answer, with the time every phase took."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import lru_cache, partial
from ipaddress import ip_address
from time import monotonic, perf_counter, time

from services.core.evidence import Phases
from services.prober.causes import cause_of, os_reason
from services.prober.certificates import Trust
from services.prober.connection import Connection
from services.prober.handshake import Handshake
from services.prober.network import Network
from services.prober.observation import Cause, CertificateFacts, Failure, Phase
from services.prober.resolve import ResolveError
from services.prober.secrets import MissingSecretError

__all__ = ["Call", "StoppedError", "Trail", "addresses_of", "hop"]


class StoppedError(Exception):
    """A hop that ended without a whole answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Call:
    """What one hop sends, and where to. ``server_name`` is what the certificate must be for; ``ca`` and ``verify`` are
    those of the TLS profile; ``raw_limit`` bounds the body as received, in bytes.
    """

    wire: bytes = field(repr=False)
    host: str
    port: int
    secure: bool
    server_name: str
    ca: str
    verify: bool
    raw_limit: int
    head: bool


@dataclass(slots=True)
class Trail:
    """The running record of one probe over all its hops; phases add up, in seconds.

    ``deadline`` is monotonic, ``began`` epoch seconds, ``start`` perf_counter seconds.
    """

    deadline: float
    began: float = field(default_factory=time)
    start: float = field(default_factory=perf_counter)
    phase: Phase = Phase.PREPARE
    resolve: float | None = None
    connect: float | None = None
    tls: float | None = None
    processing: float | None = None
    transfer: float | None = None
    first_sent: float = 0.0
    addresses: list[str] = field(default_factory=list)
    certificate: CertificateFacts | None = None
    connection: Connection | None = None
    redirects: int = 0
    tls_version: str = ""

    def phases(self) -> Phases:
        """Return the phases so far."""
        return Phases(self.resolve, self.connect, self.tls, self.processing, self.transfer)


async def hop(call: Call, network: Network, trail: Trail) -> Connection:
    """Resolve, connect and ask once. Raises StoppedError; the trail then holds what was learnt before."""
    trail.connection = None
    trail.phase = Phase.PREPARE
    trust = _trust(call, network)
    allowed = await _addresses(call.host, network, trail)
    trail.phase = Phase.CONNECT
    start = perf_counter()
    try:
        connection = await _connect(call, allowed, network, trust, trail)
        await connection.done
    finally:
        _record(trail, start)
    if connection.failure is not None:
        raise StoppedError(connection.failure)
    return connection


def _trust(call: Call, network: Network) -> Trust | None:
    if not call.secure:
        return None
    try:
        return network.trust.get(call.ca, verify=call.verify)
    except MissingSecretError as error:
        raise StoppedError(Failure(Phase.PREPARE, Cause.CREDENTIAL, str(error))) from error


async def _addresses(host: str, network: Network, trail: Trail) -> list[str]:
    if _is_address(host):
        return _allowed((host,), network)
    trail.phase = Phase.RESOLVE
    start = perf_counter()
    try:
        return await addresses_of(host, network)
    finally:
        trail.resolve = (trail.resolve or 0.0) + perf_counter() - start


async def addresses_of(host: str, network: Network) -> list[str]:
    """Return the addresses of a name (or an address itself) that probes may connect to. Raises StoppedError."""
    if _is_address(host):
        return _allowed((host,), network)
    try:
        addresses = await network.resolver.addresses(host)
    except ResolveError as error:
        raise StoppedError(Failure(Phase.RESOLVE, Cause.FAILED, str(error))) from error
    if not addresses:
        raise StoppedError(Failure(Phase.RESOLVE, Cause.FAILED, f"{host} has no address"))
    return _allowed(addresses, network)


def _allowed(addresses: tuple[str, ...], network: Network) -> list[str]:
    allowed = [address for address in addresses if network.egress.allows(address)]
    if not allowed:
        refused = ", ".join(addresses)
        raise StoppedError(Failure(Phase.CONNECT, Cause.EGRESS, f"the egress policy does not allow {refused}"))
    return allowed


@lru_cache(maxsize=65536)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def _connect(call: Call, addresses: list[str], network: Network, trust: Trust | None, trail: Trail) -> Connection:
    """Try each address in turn; a silent one may use its share of the time left, so that the next gets a chance."""
    failure = Failure(Phase.CONNECT, Cause.UNREACHABLE)
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        trail.addresses.append(address)
        try:
            if left == 1:
                return await _open(call, address, network, trust, trail)
            async with asyncio.timeout((trail.deadline - monotonic()) / left):
                return await _open(call, address, network, trust, trail)
        except TimeoutError:
            failure = Failure(Phase.CONNECT, Cause.TIMEOUT, f"{address} does not answer")
        except OSError as error:
            cause = cause_of(error)
            failure = Failure(Phase.CONNECT, cause, f"connecting to {address} failed: {os_reason(error)}")
            if cause is Cause.LOCAL_RESOURCES:
                break
    raise StoppedError(failure)


async def _open(call: Call, address: str, network: Network, trust: Trust | None, trail: Trail) -> Connection:
    loop = asyncio.get_running_loop()
    handshake = None
    if trust is not None:
        handshake = Handshake(network.context, call.server_name, partial(_accept, call, trust, trail))
    connection = Connection(
        loop.create_future(),
        call.wire,
        raw_limit=call.raw_limit,
        head=call.head,
        handshake=handshake,
    )
    trail.connection = connection
    try:
        await loop.create_connection(lambda: connection, address, call.port)
    except BaseException:
        connection.abort()
        raise
    return connection


def _accept(call: Call, trust: Trust, trail: Trail, chain: list[bytes]) -> Failure | None:
    """Judge the chain a server presented; keep its facts either way."""
    examined = trust.examine(chain, call.server_name, time())
    trail.certificate = trail.certificate or examined.facts
    return examined.cause and Failure(Phase.TLS, examined.cause, examined.detail)


def _record(trail: Trail, start: float) -> None:
    """Add the phases of one hop; the one it ended in counts up to now."""
    connection = trail.connection
    now = perf_counter()
    if connection is None or not connection.connected:
        trail.connect = (trail.connect or 0.0) + now - start
        return
    connection.abort()
    trail.tls_version = connection.tls_version
    end = connection.ended or now
    trail.phase = connection.phase
    trail.connect = (trail.connect or 0.0) + connection.connected - start
    if connection.phase is Phase.TLS or connection.secured:
        trail.tls = (trail.tls or 0.0) + (connection.secured or end) - connection.connected
    if connection.sent:
        trail.first_sent = trail.first_sent or connection.sent
        trail.processing = (trail.processing or 0.0) + (connection.first_byte or end) - connection.sent
    if connection.first_byte:
        trail.transfer = (trail.transfer or 0.0) + end - connection.first_byte
