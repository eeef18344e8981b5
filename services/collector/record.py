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
from typing import Annotated, Any, Literal

import msgspec
import msgspec.json
import msgspec.structs
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

# What is read of a record, in the order in which the parts below find it.
_FIELDS = (
    *("securityServerType", "requestInTs", "responseOutTs", "succeeded", "requestOutTs", "responseInTs"),
    *(*_PARTIES, "xRequestId", *_OTHER_TEXTS, *_OTHER_NUMBERS),
    *(*_REQUEST_SIZE, *_RESPONSE_SIZE, *_FAULT_CODE, "monitoringDataTs"),
)
_AT_ID = _FIELDS.index("xRequestId")
_AT_NUMBERS = _FIELDS.index("requestMimeSize")
_AT_SIZES = _FIELDS.index("requestSize")
_AT_FAULTS = _FIELDS.index("faultCode")


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
# The same checks but that of control characters, made while the JSON is read: ten times as fast as one by one.
_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(_WANTED, Annotated[str, msgspec.Meta(max_length=_LONGEST)] | None),
    **dict.fromkeys(NUMBERS, Annotated[int, msgspec.Meta(ge=0, lt=_LARGEST)] | None),
    **dict.fromkeys(_STAMPS, Annotated[int, msgspec.Meta(ge=_EARLIEST_MS, lt=_LATEST_MS)] | None),
}
_MUST: Mapping[str, Any] = {
    "securityServerType": Literal["Client", "Producer"],
    "requestInTs": Annotated[int, msgspec.Meta(ge=_EARLIEST_MS, lt=_LATEST_MS)],
    "responseOutTs": Annotated[int, msgspec.Meta(ge=_EARLIEST_MS, lt=_LATEST_MS)],
    "succeeded": bool,
}
_Raw = msgspec.defstruct(
    "_Raw", [(name, _MUST[name]) if name in _MUST else (name, _TYPES[name], None) for name in _FIELDS], gc=False
)
_Raws = msgspec.defstruct("_Raws", [("records", list[_Raw])])  # type: ignore[valid-type]  # a type made here
_decode_line: Callable[[bytes], Any] = msgspec.json.Decoder(_Raw).decode
_decode_array: Callable[[bytes], list[Any]] = msgspec.json.Decoder(list[_Raw]).decode  # type: ignore[valid-type]
_decode_object: Callable[[bytes], Any] = msgspec.json.Decoder(_Raws).decode
_values: Callable[[Any], tuple[Any, ...]] = msgspec.structs.astuple
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

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


class Side(msgspec.Struct, frozen=True, gc=False):  # made for every record: a frozen dataclass takes five times as long
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


def _result(fault_code: str | None, status: int | None, *, succeeded: bool) -> Result:
    if fault_code:
        return Result.BUS_FAILURE if fault_code.startswith(_BUS_FAULTS) else Result.PROVIDER_FAILURE
    if (status or 0) >= 500:
        return Result.PROVIDER_FAILURE
    return Result.OK if succeeded else Result.BUS_FAILURE


def _either(new: Any, old: Any, older: Any = None) -> Any:
    """Return what stands under the newest of the names a field has had."""
    if new is not None:
        return new
    return old if old is not None else older


def _side(values: tuple[Any, ...]) -> Side:
    """Make the side of the values of _FIELDS, in their order, which are right."""
    kind, request_in, response_out, succeeded, request_out, response_in = values[:6]
    request_size, response_size = (
        _either(*values[_AT_SIZES : _AT_SIZES + 3]),
        _either(*values[_AT_SIZES + 3 : _AT_FAULTS]),
    )
    fault_code, request_id = _either(*values[_AT_FAULTS : _AT_FAULTS + 2]), values[_AT_ID]
    request_mime, response_mime, request_attachments, response_attachments, status = values[_AT_NUMBERS:_AT_SIZES]
    stable = orjson.dumps((values[:_AT_SIZES], request_size, response_size, fault_code))
    digest = blake2b(stable, digest_size=16).digest()
    return Side(
        digest,
        blake2b(request_id.encode(), digest_size=16).digest() if request_id else digest,
        kind == "Producer",
        _parties(*values[6:_AT_ID]),
        request_in,
        request_out,
        response_in,
        response_out,
        _result(fault_code, status, succeeded=succeeded),
        # With attachments the message is a MIME package, and the plain size is only its SOAP part.
        request_mime if request_attachments and request_mime is not None else request_size,
        response_mime if response_attachments and response_mime is not None else response_size,
    )


def _clean(values: tuple[Any, ...]) -> bool:
    """Tell whether no text holds a control character; most are plain, and looked at together."""
    texts = [text for text in (*values[6:_AT_NUMBERS], *values[_AT_FAULTS : _AT_FAULTS + 2]) if text]
    return "".join(texts).isprintable() or all(map(is_text, texts))


def decode_line(line: bytes) -> Side | None:
    """Read a line at once; None when it cannot be read so, and read_side is to say why, if it cannot either."""
    try:
        values = _values(_decode_line(line))
    except _UNREADABLE:
        return None
    return _side(values) if _clean(values) else None


def decode_records(document: bytes) -> list[Side] | None:
    """Read a JSON array of records, or ``{"records": [...]}``, at once; None when any of them cannot be read so."""
    try:
        found = _decode_object(document).records if document.lstrip()[:1] == b"{" else _decode_array(document)
    except _UNREADABLE:
        return None
    rows = [_values(raw) for raw in found]
    return [_side(values) for values in rows] if all(map(_clean, rows)) else None


def read_side(raw: object) -> Side:
    """Read the side that a raw JSON value records. Raises RecordError with every reason when it cannot be read."""
    if not isinstance(raw, dict):
        raise RecordError(("a record must be a JSON object",))
    reasons = _reasons(raw)
    if reasons:
        raise RecordError(tuple(reasons))
    return _side(tuple(map(raw.get, _FIELDS)))
