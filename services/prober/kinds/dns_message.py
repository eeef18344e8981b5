"""Builds DNS queries, recognises their answers and reads them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import orjson

from services.core.model import DnsQuery
from services.prober.observation import DnsFacts

ID_LENGTH: Final = 2
"""Bytes of a message's id."""

READ_AT_ONCE: Final = 512
"""Bytes of an answer that is read in tens of milliseconds at worst: those of a datagram without EDNS."""

_HEADER_LENGTH: Final = 12
_QUESTIONS: Final = slice(4, 6)  # of the header: how many there are
_TEXT_LIMIT: Final = 1 << 20
_NOT_DNS: Final = "the answer is not a DNS message"


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

    def is_answer(self, query_id: bytes, wire: bytes) -> bool:
        """Return whether a message answers the query with this id, by its header and question alone.

        Raises MalformedAnswerError for a reply that is no answer.
        """
        if wire[:ID_LENGTH] != query_id:
            return False
        if len(wire) < _HEADER_LENGTH:
            raise MalformedAnswerError("the answer is shorter than a DNS header")
        if int.from_bytes(wire[_QUESTIONS], "big") > 1:  # ours has one, and each takes time to read
            return False
        try:
            message = dns.message.from_wire(self.wire[:ID_LENGTH] + wire[ID_LENGTH:], question_only=True)
        except (dns.exception.DNSException, ValueError) as error:
            raise MalformedAnswerError(_NOT_DNS) from error
        if not message.flags & dns.flags.QR:
            raise MalformedAnswerError("the answer is itself a query")
        return self.message.is_response(message)


def read_answer(wire: bytes) -> DnsFacts:
    """Return the facts of an answer. One that is marked as truncated is read as far as it goes.

    Raises MalformedAnswerError. A large answer takes long: its records may name their owners by pointers to long names.
    """
    try:
        answer = dns.message.from_wire(
            wire, keyring=False, one_rr_per_rrset=True, ignore_trailing=True, continue_on_error=True
        )
        truncated = bool(answer.flags & dns.flags.TC)
        if answer.errors and not truncated:
            raise MalformedAnswerError("the answer is not a complete DNS message")
        return DnsFacts(
            dns.rcode.to_text(answer.rcode()),
            _texts(answer.answer),
            _texts(answer.authority),
            _texts(answer.additional),
            truncated=truncated,
            authoritative=bool(answer.flags & dns.flags.AA),
        )
    except (dns.exception.DNSException, ValueError) as error:
        raise MalformedAnswerError(_NOT_DNS) from error


def read_answer_call(wire: bytes) -> Mapping[str, object]:
    """Return the facts of an answer as JSON under ``body``, or an ``error``, for a worker process."""
    try:
        body = orjson.dumps(read_answer(wire))
    except MalformedAnswerError as error:
        return {"error": str(error)}
    if len(body) > _TEXT_LIMIT:
        return {"error": f"the records of the answer take more than {_TEXT_LIMIT >> 20} MiB as text"}
    return {"body": body}


def facts_of_call(result: Mapping[str, Any]) -> DnsFacts:
    """Return the facts in the result of ``read_answer_call``. Raises MalformedAnswerError."""
    if "error" in result:
        raise MalformedAnswerError(result["error"])
    facts = orjson.loads(result["body"])
    sections = {name: tuple(facts[name]) for name in ("answers", "authority", "additional")}
    return DnsFacts(**facts | sections)


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
