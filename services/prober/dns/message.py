"""A DNS question and the reading of its answer, as bytes and facts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from services.core.model import DnsQuery
from services.prober.observation import DnsFacts

__all__ = ["DnsQuestion", "MalformedAnswerError", "build_query"]

_ID: Final = 2
_HEADER: Final = 12


class MalformedAnswerError(Exception):
    """What came in answer to a question is no answer."""


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """A question, its id left open: each asking has an id of its own, two bytes that nobody can guess."""

    message: dns.message.Message = field(repr=False)
    wire: bytes = field(repr=False)

    def asked(self, number: bytes) -> bytes:
        """Return the bytes to send."""
        return number + self.wire[_ID:]

    def answered(self, number: bytes, wire: bytes) -> DnsFacts | None:
        """Read an answer; None for one to another question. Raises MalformedAnswerError.

        One that says that it is truncated is read as far as it goes.
        """
        if wire[:_ID] != number:
            return None
        if len(wire) < _HEADER:
            raise MalformedAnswerError("the answer is shorter than a DNS header")
        try:
            return self._read(self.wire[:_ID] + wire[_ID:])
        except (dns.exception.DNSException, ValueError) as error:
            raise MalformedAnswerError("the answer is not a DNS message") from error

    def _read(self, wire: bytes) -> DnsFacts | None:
        answer = dns.message.from_wire(
            wire, keyring=False, one_rr_per_rrset=True, ignore_trailing=True, continue_on_error=True
        )
        truncated = bool(answer.flags & dns.flags.TC)
        if answer.errors and not truncated:
            raise MalformedAnswerError("the answer is not a whole DNS message")
        if not answer.flags & dns.flags.QR:
            raise MalformedAnswerError("what came is a question itself")
        if not self.message.is_response(answer):
            return None
        return DnsFacts(
            dns.rcode.to_text(answer.rcode()), _texts(answer.answer), _texts(answer.authority), truncated=truncated
        )


def build_query(query: DnsQuery) -> DnsQuestion:
    """Build the question, without EDNS, as the simplest clients ask. Raises ValueError when it holds no name."""
    try:
        flags = dns.flags.RD if query.recursion else dns.flags.Flag(0)
        message = dns.message.make_query(query.name, query.type, flags=flags, id=0)
        return DnsQuestion(message, message.to_wire())
    except dns.exception.DNSException as error:
        raise ValueError("the question's name is not a domain name") from error


def _texts(section: Iterable[dns.rrset.RRset]) -> tuple[str, ...]:
    """Return records as `name ttl class type data`."""
    return tuple(
        f"{records.name} {records.ttl} {dns.rdataclass.to_text(records.rdclass)} "
        f"{dns.rdatatype.to_text(records.rdtype)} {data.to_text()}"
        for records in section
        for data in records
    )
