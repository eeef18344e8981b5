"""Makes fresh connections, from a host name to bytes, and times each phase."""

from services.prober.transport.addresses import Outbound, is_address, parse_host_port, resolve_host
from services.prober.transport.connection import BYTE_LIMIT, FreshConnection
from services.prober.transport.deadline import run_until_deadline
from services.prober.transport.dial import handshake_factory, run_connection, try_addresses
from services.prober.transport.egress import read_nat64
from services.prober.transport.kernel import ConntrackTable
from services.prober.transport.line_protocol import LineConnection
from services.prober.transport.proxy import REFUSED_CREDENTIALS, ProxyRoute
from services.prober.transport.resolver import Resolver, SharedTasks
from services.prober.transport.trace import ProbeFailedError, ProbeTrace

__all__ = [
    "BYTE_LIMIT",
    "REFUSED_CREDENTIALS",
    "ConntrackTable",
    "FreshConnection",
    "LineConnection",
    "Outbound",
    "ProbeFailedError",
    "ProbeTrace",
    "ProxyRoute",
    "Resolver",
    "SharedTasks",
    "handshake_factory",
    "is_address",
    "parse_host_port",
    "read_nat64",
    "resolve_host",
    "run_connection",
    "run_until_deadline",
    "try_addresses",
]
