"""The fields that are read from an X-Road operational monitoring record, and their values (docs/exchange.md §1). Pure.

Both generations of names are here (requestSize and requestSoapSize/requestRestSize, faultCode and soapFaultCode).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

EARLIEST_MS = 946_684_800_000  # 2000-01-01: anything smaller is in seconds, or wrong
LATEST_MS = 4_102_444_800_000  # 2100-01-01
LONGEST = 255  # X-Road's own limit for each part of an identifier
LONGEST_TEXT = 1 << 16
LARGEST = 1 << 53  # counts stay exact in a double
LARGEST_SIZE = 1 << 40  # bytes, 1 TiB: a larger one is an error, and would dominate every sum
LONGEST_MS = 366 * 86_400_000  # duration of an exchange

NAME = "text of at most 255 characters without control characters"
TEXT = "text of at most 65,536 characters"
_STAMP = "a whole number of milliseconds since 1970, from 2000 to 2100"
_SECONDS = "a whole number of seconds since 1970"
_COUNT = "a whole number, not negative"
SIZE = "a whole number of bytes, from 0 to 1 TiB"
_NEAR = "within a year of requestInTs"
_SIDE = "Client or Producer"
_FLAG = "true or false"

_PARTIES = (
    *("clientXRoadInstance", "clientMemberClass", "clientMemberCode", "clientSubsystemCode"),
    *("serviceXRoadInstance", "serviceMemberClass", "serviceMemberCode", "serviceSubsystemCode", "serviceCode"),
)
SIDES = ("Client", "Producer")
"""Values of securityServerType. From X-Road 7.3.2 on they come in any case."""

STAMPS = ("requestInTs", "requestOutTs", "responseInTs", "responseOutTs")
_REQUEST_SIZE = ("requestSize", "requestSoapSize", "requestRestSize")
_RESPONSE_SIZE = ("responseSize", "responseSoapSize", "responseRestSize")
_FAULT_CODE = ("faultCode", "soapFaultCode")
REQUIRED = {"securityServerType": _SIDE, "requestInTs": _STAMP, "responseOutTs": _STAMP, "succeeded": _FLAG}

# Fields that identify a record. The others are stamps of the daemon and of storage, or never read.
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
    *("requestMimeSize", "responseMimeSize", "requestAttachmentCount", "responseAttachmentCount"),
    "statusCode",
)

# All fields that are read, in the order that side_of relies on.
FIELDS = (
    *("securityServerType", "requestInTs", "responseOutTs", "succeeded", "requestOutTs", "responseInTs"),
    *(*_PARTIES, "xRequestId", *_OTHER_TEXTS, *_OTHER_NUMBERS),
    *(*_REQUEST_SIZE, *_RESPONSE_SIZE, *_FAULT_CODE, "monitoringDataTs"),
)
AT_ID = FIELDS.index("xRequestId")
AT_VERSION = FIELDS.index("serviceVersion")
AT_MESSAGE = FIELDS.index("messageId")
AT_NUMBERS = FIELDS.index("requestMimeSize")
AT_SIZES = FIELDS.index("requestSize")
AT_DAEMON = FIELDS.index("monitoringDataTs")

NAMES = frozenset({*_PARTIES, "serviceVersion"})
"""Fields that name a party or a service, and are shown. Other texts are only compared."""

SIZES = frozenset({*_REQUEST_SIZE, *_RESPONSE_SIZE, "requestMimeSize", "responseMimeSize"})
"""Fields that hold bytes."""

NUMBERS = frozenset({*STAMPS, *_REQUEST_SIZE, *_RESPONSE_SIZE, *_OTHER_NUMBERS, "monitoringDataTs"})
"""Fields that hold whole numbers."""

FLAGS = frozenset({"succeeded"})
"""Fields that hold true or false."""


def is_text(value: Any) -> bool:
    """Return whether a value is text of an acceptable length."""
    return type(value) is str and len(value) <= LONGEST_TEXT


def is_name(value: Any) -> bool:
    """Return whether a value is text that may be an identifier or a code, and may be shown."""
    return (
        type(value) is str
        and len(value) <= LONGEST
        and (value.isprintable() or not any(ch < " " or "\x7f" <= ch < "\xa0" for ch in value))
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < LARGEST


def is_size(value: Any) -> bool:
    """Return whether a value is a plausible size of a message in bytes."""
    return type(value) is int and 0 <= value <= LARGEST_SIZE


def is_stamp(value: Any) -> bool:
    """Return whether a value is a moment in whole milliseconds since 1970."""
    return type(value) is int and EARLIEST_MS <= value < LATEST_MS


_WANTED: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys((*_OTHER_TEXTS, *_FAULT_CODE, "xRequestId"), (is_text, TEXT)),
    **dict.fromkeys(NAMES, (is_name, NAME)),
    **dict.fromkeys(_OTHER_NUMBERS, (_is_count, _COUNT)),
    **dict.fromkeys(SIZES, (is_size, SIZE)),
    **dict.fromkeys(STAMPS, (is_stamp, _STAMP)),
    "monitoringDataTs": (_is_count, _SECONDS),
    "securityServerType": (lambda value: type(value) is str and value.capitalize() in SIDES, _SIDE),
    "succeeded": (lambda value: type(value) is bool, _FLAG),
}
_ANYTHING: tuple[Callable[[Any], bool], str] = (lambda _: True, "")


def reasons(raw: Mapping[str, Any]) -> list[str]:
    """Return everything that is wrong with a record.

    Wrong values come first, in the order of the record's fields, then missing fields, then stamps that are too far
    apart.
    """
    faults = []
    for name, value in raw.items():
        is_right, wanted = _WANTED.get(name, _ANYTHING)
        if value is not None and not is_right(value):
            faults.append(f"{name} must be {wanted}")
    for name, wanted in REQUIRED.items():
        if raw.get(name) is None:
            faults.append(f"{name} is missing, it must be {wanted}")
    if is_stamp(start := raw.get("requestInTs")):
        faults.extend(
            f"{name} must be {_NEAR}"
            for name in STAMPS
            if is_stamp(raw.get(name)) and abs(raw[name] - start) > LONGEST_MS
        )
    return faults
