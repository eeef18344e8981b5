"""Builds DNS queries and parses their answers. Pure."""

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

ID_LENGTH: Final = 2
"""Bytes of a message's id."""

_HEADER_LENGTH: Final = 12


class MalformedAnswerError(Exception):
    """The reply to a query is not an answer."""


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """A query without its id. Each one that is sent has an id of its own, two bytes that cannot be guessed."""

    message: dns.message.Message = field(repr=False)
    wire: bytes = field(repr=False)

    def with_id(self, query_id: bytes) -> bytes:
        """Return the bytes to send."""
        return query_id + self.wire[ID_LENGTH:]

    def parse_answer(self, query_id: bytes, wire: bytes) -> DnsFacts | None:
        """Return the facts of an answer, None for an answer to another query. Raises MalformedAnswerError.

        An answer that is marked as truncated is parsed as far as it goes.
        """
        if wire[:ID_LENGTH] != query_id:
            return None
        if len(wire) < _HEADER_LENGTH:
            raise MalformedAnswerError("the answer is shorter than a DNS header")
        try:
            return self._parse(self.wire[:ID_LENGTH] + wire[ID_LENGTH:])
        except (dns.exception.DNSException, ValueError) as error:
            raise MalformedAnswerError("the answer is not a DNS message") from error

    def _parse(self, wire: bytes) -> DnsFacts | None:
        answer = dns.message.from_wire(
            wire, keyring=False, one_rr_per_rrset=True, ignore_trailing=True, continue_on_error=True
        )
        truncated = bool(answer.flags & dns.flags.TC)
        if answer.errors and not truncated:
            raise MalformedAnswerError("the answer is not a complete DNS message")
        if not answer.flags & dns.flags.QR:
            raise MalformedAnswerError("the answer is itself a query")
        if not self.message.is_response(answer):
            return None
        return DnsFacts(
            dns.rcode.to_text(answer.rcode()),
            _texts(answer.answer),
            _texts(answer.authority),
            _texts(answer.additional),
            truncated=truncated,
            authoritative=bool(answer.flags & dns.flags.AA),
        )


def build_question(query: DnsQuery) -> DnsQuestion:
    """Return the question of a definition's query, without EDNS, as the simplest clients send it. Raises ValueError."""
    try:
        flags = dns.flags.RD if query.recursion else dns.flags.Flag(0)
        message = dns.message.make_query(query.name, query.type, query.record_class, flags=flags, id=0)
        return DnsQuestion(message, message.to_wire())
    except dns.exception.DNSException as error:
        raise ValueError("the query's name is not a domain name") from error


def _texts(section: Iterable[dns.rrset.RRset]) -> tuple[str, ...]:
    """Return records as `name ttl class type data`."""
    return tuple(
        f"{records.name} {records.ttl} {dns.rdataclass.to_text(records.rdclass)} "
        f"{dns.rdatatype.to_text(records.rdtype)} {data.to_text()}"
        for records in section
        for data in records
    )
