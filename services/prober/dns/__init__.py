"""DNS messages, and one query over UDP."""

from services.prober.dns.message import DnsQuestion, MalformedAnswerError, build_question
from services.prober.dns.udp import query_udp

__all__ = ["DnsQuestion", "MalformedAnswerError", "build_question", "query_udp"]
