"""Decodes JSON records into typed values and checks them on the way, ten times as fast as field by field. Pure.

A record that cannot be decoded this way is read, or refused with its reasons, by ``xroad.read_side``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
import msgspec.json
import msgspec.structs

from services.collector.records import fields
from services.collector.records.fields import AT_ID, AT_VERSION, LONGEST_MS, is_name
from services.collector.records.xroad import Side, side_of

RawRecord = msgspec.Raw

_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(fields.FIELDS, Annotated[str, msgspec.Meta(max_length=fields.LONGEST_TEXT)] | None),
    **dict.fromkeys(fields.NAMES, Annotated[str, msgspec.Meta(max_length=fields.LONGEST)] | None),
    **dict.fromkeys(fields.NUMBERS, Annotated[int, msgspec.Meta(ge=0, lt=fields.LARGEST)] | None),
    **dict.fromkeys(fields.SIZES, Annotated[int, msgspec.Meta(ge=0, le=fields.LARGEST_SIZE)] | None),
    **dict.fromkeys(fields.STAMPS, Annotated[int, msgspec.Meta(ge=fields.EARLIEST_MS, lt=fields.LATEST_MS)] | None),
}
_MUST: Mapping[str, Any] = {
    "securityServerType": Literal["Client", "Producer", "CLIENT", "PRODUCER", "client", "producer"],
    "requestInTs": Annotated[int, msgspec.Meta(ge=fields.EARLIEST_MS, lt=fields.LATEST_MS)],
    "responseOutTs": Annotated[int, msgspec.Meta(ge=fields.EARLIEST_MS, lt=fields.LATEST_MS)],
    "succeeded": bool,
}
_Raw = msgspec.defstruct(
    "_Raw", [(name, _MUST[name]) if name in _MUST else (name, _TYPES[name], None) for name in fields.FIELDS], gc=False
)
_Raws = msgspec.defstruct("_Raws", [("records", list[_Raw])])  # type: ignore[valid-type]  # a type made here
_Object = msgspec.defstruct("_Object", [], gc=False)
_Objects = msgspec.defstruct("_Objects", [("records", list[_Object])])  # type: ignore[valid-type]
_RawRecords = msgspec.defstruct("_RawRecords", [("records", list[RawRecord])])
_objects_of_array: Callable[[bytes], Any] = msgspec.json.Decoder(list[_Object]).decode  # type: ignore[valid-type]
_objects_of_object: Callable[[bytes], Any] = msgspec.json.Decoder(_Objects).decode
_split_array: Callable[[bytes], list[RawRecord]] = msgspec.json.Decoder(list[RawRecord]).decode
_split_object: Callable[[bytes], Any] = msgspec.json.Decoder(_RawRecords).decode
_decode_line: Callable[[bytes], Any] = msgspec.json.Decoder(_Raw).decode
_decode_array: Callable[[bytes], list[Any]] = msgspec.json.Decoder(list[_Raw]).decode  # type: ignore[valid-type]
_decode_object: Callable[[bytes], Any] = msgspec.json.Decoder(_Raws).decode
_values: Callable[[Any], tuple[Any, ...]] = msgspec.structs.astuple
_OBJECT = re.compile(rb"\s*\{")
_SURROGATES = re.compile(rb"(?<!\\)((?:\\\\)*)(?:(\\u[dD][89abAB]..\\u[dD][c-fC-F]..)|\\u[dD][89a-fA-F]..)")
_NO_TEXT = b"\xff" * 6  # as long as an escape
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def _clean(values: tuple[Any, ...]) -> bool:
    """Return whether the stamps are close enough to each other, and no name holds a control character.

    Names are checked together first, since most are plain.
    """
    _, start, end, _, out, back = values[:6]
    if not (
        -LONGEST_MS <= end - start <= LONGEST_MS
        and (out is None or -LONGEST_MS <= out - start <= LONGEST_MS)
        and (back is None or -LONGEST_MS <= back - start <= LONGEST_MS)
    ):
        return False
    names = (*values[6:AT_ID], values[AT_VERSION])
    return "".join(filter(None, names)).isprintable() or all(map(is_name, filter(None, names)))


def decode_line(line: bytes) -> Side | None:
    """Decode a line; None when it cannot be decoded."""
    try:
        values = _values(_decode_line(mark_surrogates(line)))
    except _UNREADABLE:
        return None
    return side_of(values) if _clean(values) else None


def decode_records(document: bytes) -> list[Side] | None:
    """Decode a JSON array of records, or ``{"records": [...]}``; None when any of them cannot be decoded."""
    try:
        records = _decode_object(document).records if _is_object(document) else _decode_array(document)
    except _UNREADABLE:
        return None
    rows = [_values(record) for record in records]
    return [side_of(values) for values in rows] if all(map(_clean, rows)) else None


def mark_surrogates(document: bytes) -> bytes:
    """Return a document in which escapes of half a character are no UTF-8, so that their field alone cannot be decoded.

    Such an escape stops the decoder even where it only splits the document or passes over a field.
    """
    if b"\\" not in document or (b"\\ud" not in document and b"\\uD" not in document):  # one byte is found faster
        return document
    return _SURROGATES.sub(lambda escape: escape[0] if escape[2] else escape[1] + _NO_TEXT, document)


def split_records(document: bytes) -> list[RawRecord]:
    """Split such a document into the undecoded text of each record. Raises msgspec's errors, or RecursionError."""
    return _split_object(document).records if _is_object(document) else _split_array(document)


def check_objects(document: bytes) -> None:
    """Check that such a document lists objects only. Raises as ``split_records`` does."""
    (_objects_of_object if _is_object(document) else _objects_of_array)(document)


def _is_object(document: bytes) -> bool:
    return _OBJECT.match(document) is not None
