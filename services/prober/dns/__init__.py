"""DNS messages, and one query over UDP."""

from services.prober.dns.message import (
    MalformedError,
    Question,
    question_of,
)
from services.prober.dns.udp import exchange

__all__ = ["MalformedError", "Question", "exchange", "question_of"]
