"""Fresh connections, from a host name to bytes, each phase timed."""

from services.prober.transport.connection import Stream
from services.prober.transport.conntrack import TrackingTable
from services.prober.transport.dial import (
    addresses_of,
    in_turn,
    look_up,
    place_of,
    shaking,
    talk,
)
from services.prober.transport.egress import EgressRules
from services.prober.transport.line_protocol import Lines
from services.prober.transport.os_errors import os_reason
from services.prober.transport.outbound import Outbound
from services.prober.transport.trace import (
    StoppedError,
    Trail,
    bounded,
    observed,
    since_connecting,
)

__all__ = [
    "EgressRules",
    "Lines",
    "Outbound",
    "StoppedError",
    "Stream",
    "TrackingTable",
    "Trail",
    "addresses_of",
    "bounded",
    "in_turn",
    "look_up",
    "observed",
    "os_reason",
    "place_of",
    "shaking",
    "since_connecting",
    "talk",
]
