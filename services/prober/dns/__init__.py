"""DNS messages, and one query over UDP."""

from services.prober.dns.message import (
    DnsQuestion,
    MalformedAnswerError,
    build_query,
)
from services.prober.dns.udp import query_udp

__all__ = ["DnsQuestion", "MalformedAnswerError", "build_query", "query_udp"]
