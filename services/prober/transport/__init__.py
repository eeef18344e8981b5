"""Fresh connections, from a host name to bytes, each phase timed."""

from services.prober.transport.connection import FreshConnection
from services.prober.transport.conntrack import ConntrackTable
from services.prober.transport.dial import (
    allowed_addresses,
    handshake_factory,
    parse_host_port,
    resolve_host,
    run_connection,
    try_addresses,
)
from services.prober.transport.egress import EgressRules
from services.prober.transport.line_protocol import LineConnection
from services.prober.transport.os_errors import os_error_text
from services.prober.transport.outbound import Outbound
from services.prober.transport.trace import (
    ProbeFailedError,
    ProbeTrace,
    observed,
    run_until_deadline,
    since_connecting,
)

__all__ = [
    "ConntrackTable",
    "EgressRules",
    "FreshConnection",
    "LineConnection",
    "Outbound",
    "ProbeFailedError",
    "ProbeTrace",
    "allowed_addresses",
    "handshake_factory",
    "observed",
    "os_error_text",
    "parse_host_port",
    "resolve_host",
    "run_connection",
    "run_until_deadline",
    "since_connecting",
    "try_addresses",
]
