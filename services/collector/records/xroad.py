"""Reads an X-Road operational monitoring record from raw JSON to the side of an exchange (docs/exchange.md §1). Pure.

Each side has a digest, by which a record that is read again is recognised (docs/exchange.md §3).

Fields that name a person or an internal address (messageUserId, messageIssue, representedParty*, securityServerInternalIp,
restPath, faultString) are never read, so nothing can store, log or show them.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec
import orjson

from services.collector.records.fields import AT_DAEMON, AT_ID, AT_MESSAGE, AT_NUMBERS, AT_SIZES, FIELDS, SIDES, reasons
from services.core.model import Parties, Reason, escape_code, reason_of_fault, reason_of_status

_META = frozenset({"listMethods", "allowedMethods", "listClients", "listCentralServices", "getWsdl", "getOpenAPI"})
_OF_TEXT = blake2b(digest_size=16)
_OF_MESSAGE = blake2b(digest_size=16, person=b"messageId")


class RecordError(ValueError):
    """A record that cannot be read. ``reasons`` name each wrong field and what it must be, and quote no value."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


class ExchangeResult(IntEnum):
    """How an exchange ended (docs/exchange.md §1).

    A fault code decides first: by ``reason_of_fault`` if a security server wrote it; any other is a SOAP fault of the
    provider. Without a code the REST status decides, by ``reason_of_status``: one with which nothing was answered is a
    failure of the provider. Any other status is an answer, although X-Road logs every status from 400 on as not
    succeeded. Without either, ``succeeded: false`` is a failure of the bus.
    """

    OK = 0
    BUS_FAILURE = 1
    PROVIDER_FAILURE = 2


class Side(msgspec.Struct, frozen=True, gc=False):  # made for every record: a frozen dataclass takes five times as long
    """One side's record of an exchange. Stamps are in milliseconds since 1970, sizes in bytes.

    ``digest`` identifies the record (16 bytes over its stable fields). ``request`` is the same on both sides of an
    exchange: 16 bytes from xRequestId, or without it from messageId, client and service. Without those it is the
    digest, so that the side pairs with nothing. A ``whole`` side records the complete exchange, and no other side is
    expected. ``message`` shows that an exchange was made again. It is the message id of that client and service, as a
    signed number of 8 bytes, if something else pairs the sides.
    """

    digest: bytes
    request: bytes
    producer: bool
    parties: Parties
    request_in: int
    request_out: int | None
    response_in: int | None
    response_out: int
    result: ExchangeResult
    request_bytes: int | None
    response_bytes: int | None
    whole: bool = False
    message: int | None = None


@lru_cache(maxsize=8192)
def _parties(*codes: str | None) -> Parties:
    parts = [escape_code(code or "") for code in codes]
    client = "/".join(parts[:4] if parts[3] else parts[:3]) if any(parts[:4]) else ""
    provider = "/".join(parts[4:8] if parts[7] else parts[4:7]) if any(parts[4:8]) else ""
    code = parts[8]
    named = bool(code) and (code in _META or code.startswith("getSecurityServer"))
    return Parties(
        client, provider, f"{provider}/{code}" if provider or code else "", named or (bool(code) and not parts[7])
    )


def _result(fault_code: str | None, status: int | None, *, succeeded: bool) -> ExchangeResult:
    if fault_code and fault_code.strip():
        of_bus = reason_of_fault(fault_code) is Reason.BUS_ERROR
        return ExchangeResult.BUS_FAILURE if of_bus else ExchangeResult.PROVIDER_FAILURE
    if status:
        return ExchangeResult.PROVIDER_FAILURE if reason_of_status(status) else ExchangeResult.OK
    return ExchangeResult.OK if succeeded else ExchangeResult.BUS_FAILURE


def _either(new: Any, old: Any, older: Any = None) -> Any:
    """Return the value under the newest name of a field that has one."""
    if new is not None:
        return new
    return old if old is not None else older


def digest_of_message(message_id: str | None, parties: Parties) -> bytes | None:
    """Return 16 bytes of a message id of its client and service; None if any of them is missing.

    A client chooses its ids, so an id distinguishes only that client's calls of one service.
    """
    if not (message_id and parties.client and parties.service):
        return None
    return _digest(_OF_MESSAGE, f"{message_id}\n{parties.client}\n{parties.service}".encode())


def _digest(begun: blake2b, content: bytes) -> bytes:
    """Return the digest of content. Copying a hash that was begun takes half as long as beginning one."""
    hashed = begun.copy()
    hashed.update(content)
    return hashed.digest()


def message_number(digest: bytes | None) -> int | None:
    """Return the first 8 bytes of a digest as a signed number, as databases hold it."""
    return None if digest is None else int.from_bytes(digest[:8], "big", signed=True)


def side_of(values: tuple[Any, ...]) -> Side:
    """Return the side with the values of FIELDS, in their order. They must have been checked."""
    if values[0] not in SIDES:
        values = (values[0].capitalize(), *values[1:])  # the digest is that of the same record in the other case
    kind, request_in, response_out, succeeded, request_out, response_in = values[:6]
    size, soap_size, rest_size, answer_size, soap_answer, rest_answer, fault, soap_fault = values[AT_SIZES:AT_DAEMON]
    request_size, response_size = _either(size, soap_size, rest_size), _either(answer_size, soap_answer, rest_answer)
    fault_code, parties = _either(fault, soap_fault), _parties(*values[6:AT_ID])
    request_mime, response_mime, request_attachments, response_attachments, status = values[AT_NUMBERS:AT_SIZES]
    stable = orjson.dumps((values[:AT_SIZES], request_size, response_size, fault_code))
    digest = _digest(_OF_TEXT, stable)
    message, request_id = digest_of_message(values[AT_MESSAGE], parties), values[AT_ID]
    return Side(
        digest,
        _digest(_OF_TEXT, request_id.encode()) if request_id else message or digest,
        kind == "Producer",
        parties,
        request_in,
        request_out,
        response_in,
        response_out,
        _result(fault_code, status, succeeded=succeeded),
        # With attachments the message is a MIME package, and the plain size is that of its SOAP part.
        request_mime if request_attachments and request_mime is not None else request_size,
        response_mime if response_attachments and response_mime is not None else response_size,
        message=message_number(message) if request_id else None,
    )


def read_side(raw: object) -> Side:
    """Return the side that a raw JSON value records. Raises RecordError with every reason when it cannot be read."""
    if not isinstance(raw, dict):
        raise RecordError(("a record must be a JSON object",))
    if wrong := reasons(raw):
        raise RecordError(tuple(wrong))
    return side_of(tuple(map(raw.get, FIELDS)))
