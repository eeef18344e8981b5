"""One X-Road operational monitoring record, from raw JSON to the side of an exchange (EXCHANGE.md, record table).

This is the door: what names a person or an inside address (messageUserId, messageIssue, representedParty*,
securityServerInternalIp, restPath, faultString) is never read, so nothing behind it can store, log or show it. Both
generations of field names are read (requestSize and requestSoapSize/requestRestSize, faultCode and soapFaultCode).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

__all__ = [
    "FLAGS",
    "NUMBERS",
    "Parties",
    "RecordError",
    "Result",
    "Side",
    "escaped",
    "is_stamp",
    "is_text",
    "read_side",
]

_EARLIEST_MS = 946_684_800_000  # 2000-01-01: anything smaller is in seconds, or nonsense
_LATEST_MS = 4_102_444_800_000  # 2100-01-01
_LONGEST = 255  # X-Road's own limit for each part of an identifier
_LARGEST = 1 << 53  # bytes and counts stay exact in a double

_TEXT = "text of at most 255 characters without control characters"
_STAMP = "a whole number of milliseconds since 1970, from 2000 to 2100"
_SECONDS = "a whole number of seconds since 1970"
_COUNT = "a whole number, not negative"
_SIDE = "Client or Producer"
_FLAG = "true or false"

_PARTIES = (
    "clientXRoadInstance",
    "clientMemberClass",
    "clientMemberCode",
    "clientSubsystemCode",
    "serviceXRoadInstance",
    "serviceMemberClass",
    "serviceMemberCode",
    "serviceSubsystemCode",
    "serviceCode",
)
_STAMPS = ("requestInTs", "requestOutTs", "responseInTs", "responseOutTs")
_REQUEST_SIZE = ("requestSize", "requestSoapSize", "requestRestSize")
_RESPONSE_SIZE = ("responseSize", "responseSoapSize", "responseRestSize")
_FAULT_CODE = ("faultCode", "soapFaultCode")
_REQUIRED = {"securityServerType": _SIDE, "requestInTs": _STAMP, "responseOutTs": _STAMP, "succeeded": _FLAG}

# Fields that make two records the same; the rest are stamps of the daemon and of storage, or dropped at the door.
_OTHER_TEXTS = (
    "serviceVersion",
    "serviceType",
    "restMethod",
    "messageId",
    "messageProtocolVersion",
    "xRoadVersion",
    "clientSecurityServerAddress",
    "serviceSecurityServerAddress",
)
_OTHER_NUMBERS = (
    "requestMimeSize",
    "responseMimeSize",
    "requestAttachmentCount",
    "responseAttachmentCount",
    "statusCode",
)
_OTHERS = (*_OTHER_TEXTS, *_OTHER_NUMBERS)


NUMBERS = frozenset({*_STAMPS, *_REQUEST_SIZE, *_RESPONSE_SIZE, *_OTHER_NUMBERS, "monitoringDataTs"})
"""Fields that hold whole numbers."""

FLAGS = frozenset({"succeeded"})
"""Fields that hold true or false."""


def is_text(value: Any) -> bool:
    """Tell whether a value is text that an identifier or a code may be."""
    return (
        type(value) is str
        and len(value) <= _LONGEST
        and (value.isprintable() or not any(ch < " " or "\x7f" <= ch < "\xa0" for ch in value))
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _LARGEST


def is_stamp(value: Any) -> bool:
    """Tell whether a value is a moment in whole milliseconds since 1970."""
    return type(value) is int and _EARLIEST_MS <= value < _LATEST_MS


_WANTED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys((*_PARTIES, *_OTHER_TEXTS, *_FAULT_CODE, "xRequestId"), (is_text, _TEXT)),
    **dict.fromkeys((*_REQUEST_SIZE, *_RESPONSE_SIZE, *_OTHER_NUMBERS), (_is_count, _COUNT)),
    **dict.fromkeys(_STAMPS, (is_stamp, _STAMP)),
    "monitoringDataTs": (_is_count, _SECONDS),
    "securityServerType": (lambda value: value in ("Client", "Producer"), _SIDE),
    "succeeded": (lambda value: type(value) is bool, _FLAG),
}
_ANYTHING: tuple[Callable[[Any], bool], str] = (lambda _: True, "")

_META = frozenset({"listMethods", "allowedMethods", "listClients", "listCentralServices", "getWsdl", "getOpenAPI"})
_BUS_FAULTS = ("Server.ServerProxy", "Server.ClientProxy", "Client.")


class RecordError(ValueError):
    """A record that cannot be read: ``reasons`` name each field and what it must be, never what it held."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


class Result(IntEnum):
    """How an exchange ended. The fault code decides where there is one: one of the bus's own (``Server.ServerProxy…``,
    ``Server.ClientProxy…``, ``Client.…``) is a failure of the bus, any other a SOAP fault of the provider. Without a
    code, a REST status of 500 or more is the provider's, and ``succeeded: false`` the bus's.
    """

    OK = 0
    BUS_FAILURE = 1
    PROVIDER_FAILURE = 2


@dataclass(frozen=True, slots=True)
class Parties:
    """Who called what: X-Road identifiers, slash-separated, as logged ("" where a call failed before it named them).

    ``client`` and ``provider`` are ``INSTANCE/CLASS/CODE[/SUBSYSTEM]``, ``service`` is ``provider/serviceCode``.
    ``meta`` marks services of the bus itself: known by name, or addressed to a member without a subsystem.
    """

    client: str
    provider: str
    service: str
    meta: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One side's record of an exchange. Stamps in milliseconds since 1970, sizes in bytes.

    ``digest`` identifies the record (16 bytes over its stable fields); ``request`` is what both sides of one exchange
    share (16 bytes from xRequestId; the digest itself when there is none, so that it pairs with nothing). ``whole`` marks
    one that tells of the exchange all there is to tell: it waits for no other side.
    """

    digest: bytes
    request: bytes
    producer: bool
    parties: Parties
    request_in: int
    request_out: int | None
    response_in: int | None
    response_out: int
    result: Result
    request_bytes: int | None
    response_bytes: int | None
    whole: bool = False


def escaped(code: str) -> str:
    """Write a slash inside a code as %2F (and % as %25), so that two different parties never read the same."""
    return code.replace("%", "%25").replace("/", "%2F")


@lru_cache(maxsize=8192)
def _parties(*codes: str | None) -> Parties:
    parts = [escaped(code or "") for code in codes]
    client = "/".join(parts[:4] if parts[3] else parts[:3]) if any(parts[:4]) else ""
    provider = "/".join(parts[4:8] if parts[7] else parts[4:7]) if any(parts[4:8]) else ""
    code = parts[8]
    named = bool(code) and (code in _META or code.startswith("getSecurityServer"))
    return Parties(
        client, provider, f"{provider}/{code}" if provider or code else "", named or (bool(code) and not parts[7])
    )


def _reasons(raw: Mapping[str, Any]) -> list[str]:
    """Everything wrong with a record, in the order of its fields, what is missing last."""
    found = []
    for name, value in raw.items():
        is_right, wanted = _WANTED.get(name, _ANYTHING)
        if value is not None and not is_right(value):
            found.append(f"{name} must be {wanted}")
    for name, wanted in _REQUIRED.items():
        if raw.get(name) is None:
            found.append(f"{name} is missing, it must be {wanted}")
    return found


def _first(raw: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        value = raw.get(name)
        if value is not None:
            return value
    return None


def _result(raw: Mapping[str, Any], fault_code: str | None) -> Result:
    if fault_code:
        return Result.BUS_FAILURE if fault_code.startswith(_BUS_FAULTS) else Result.PROVIDER_FAILURE
    if (raw.get("statusCode") or 0) >= 500:
        return Result.PROVIDER_FAILURE
    return Result.OK if raw["succeeded"] else Result.BUS_FAILURE


def read_side(raw: object) -> Side:
    """Read the side that a raw JSON value records. Raises RecordError with every reason when it cannot be read."""
    if not isinstance(raw, dict):
        raise RecordError(("a record must be a JSON object",))
    reasons = _reasons(raw)
    if reasons:
        raise RecordError(tuple(reasons))
    get = raw.get
    request_in, response_out = raw["requestInTs"], raw["responseOutTs"]
    codes = [get(name) for name in _PARTIES]
    request_out, response_in = get("requestOutTs"), get("responseInTs")
    stamps = (request_in, request_out, response_in, response_out)
    request_size, response_size = _first(raw, _REQUEST_SIZE), _first(raw, _RESPONSE_SIZE)
    fault_code, request_id = _first(raw, _FAULT_CODE), get("xRequestId")
    producer = raw["securityServerType"] == "Producer"
    others = [get(name) for name in _OTHERS]
    stable = [producer, stamps, codes, request_id, others, request_size, response_size, raw["succeeded"], fault_code]
    digest = blake2b(orjson.dumps(stable), digest_size=16).digest()
    request_mime, response_mime, request_attachments, response_attachments = others[len(_OTHER_TEXTS) :][:4]
    return Side(
        digest=digest,
        request=blake2b(request_id.encode(), digest_size=16).digest() if request_id else digest,
        producer=producer,
        parties=_parties(*codes),
        request_in=request_in,
        request_out=request_out,
        response_in=response_in,
        response_out=response_out,
        result=_result(raw, fault_code),
        # With attachments the message is a MIME package, and the plain size is only its SOAP part.
        request_bytes=request_mime if request_attachments and request_mime is not None else request_size,
        response_bytes=response_mime if response_attachments and response_mime is not None else response_size,
    )
