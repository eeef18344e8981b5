"""Reads raw answers of getSecurityServerOperationalData: multipart/related, or a SOAP fault (docs/exchange.md §2)."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Any

import msgspec
from lxml import etree

from services.collector.records.bulk import check_objects, decode_records, mark_surrogates, split_records
from services.core.xml import XmlError, parse_xml

_FAULT_CODE = re.compile(r"[\w.:-]{1,200}", re.ASCII)
_LARGEST_PART = 256 << 20  # bytes after decompression; an answer holds some 10,000 records
_MOST_RECORDS = 500_000
_TOO_MANY = f"it holds more than {_MOST_RECORDS} records: split it, or turn it into one record a line"
_MOST_PARTS = 16
_BYTE = re.compile(r"\(byte (\d+)\)")


class ServerAnswerError(ValueError):
    """An answer that cannot be used; the message quotes no content beyond a fault code."""


class FaultError(ServerAnswerError):
    """The server answered with a SOAP fault. Only its code is kept."""

    def __init__(self, code: str) -> None:
        self.code = code if _FAULT_CODE.fullmatch(code) else "without a readable code"
        super().__init__(f"the security server answered with fault {self.code}")


@dataclass(frozen=True, slots=True)
class RecordsAnswer:
    """The answer of a security server: sides, or the text of each record if not all of them can be decoded.

    ``next_records_from``, in epoch seconds, is None when there are no more records.
    """

    records: list[Any]
    next_records_from: int | None


def _parts(body: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers (lower case) and the content of each part of a multipart body. It begins with its boundary."""
    boundary = body[: body.find(b"\n")].rstrip(b"\r\n")
    parts: list[tuple[bytes, bytes]] = []
    for part in (b"\r\n" + body).split(b"\r\n" + boundary, _MOST_PARTS)[1:]:
        if part.startswith(b"--"):
            return parts
        header, blank, content = part.partition(b"\r\n\r\n")
        if not blank:
            break
        parts.append((header.lower(), content))
    raise ServerAnswerError("the multipart answer ends before its closing boundary")


def read_envelope(text: bytes) -> etree._Element:
    """Read a SOAP message. Raises ServerAnswerError when it is not one, FaultError when it is a fault."""
    try:
        root = parse_xml(text.strip())
    except XmlError as error:
        raise ServerAnswerError(f"its XML part {error}") from None
    document: Any = root.getroottree().docinfo  # the stubs lack doctype
    if document.doctype:
        raise ServerAnswerError("its XML part has a document type declaration, which is not accepted")
    code = root.findtext(".//{*}Fault/faultcode") or root.findtext(".//{*}Fault/{*}Code/{*}Value")
    if code is not None:
        raise FaultError(code.strip())
    return root


def _whole(root: etree._Element, name: str) -> int | None:
    text = root.findtext(f".//{{*}}getSecurityServerOperationalDataResponse/{{*}}{name}")
    if text is None:
        return None
    if not (text.strip().isascii() and text.strip().isdigit() and len(text.strip()) <= 15):
        raise ServerAnswerError(f"{name} must be a whole number")
    return int(text)


def _inflate(content: bytes, largest: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        data = inflater.decompress(content, largest)
    except zlib.error:
        raise ServerAnswerError("its attachment is not valid gzip") from None
    if not inflater.eof:
        if len(data) >= largest:
            raise ServerAnswerError(f"its attachment is larger than {largest >> 20} MiB")
        raise ServerAnswerError("the gzip data of its attachment end early")
    return data


def read_records(document: bytes) -> list[Any]:
    """Read the records of a JSON array, or of an object ``{"records": [...]}``. Raises ServerAnswerError.

    The result is sides if all records can be decoded at once, else the text of each (RawRecord), to be read one by one.
    Records are counted before any object is made, since a small answer can unpack to tens of millions of empty lists.
    """
    # Every record is an object and takes a brace. Braces within texts make this check stricter, never laxer.
    if document.count(b"{") > _MOST_RECORDS + 1:
        raise ServerAnswerError(_TOO_MANY)
    if (sides := decode_records(document)) is not None:
        return _few(sides)
    document = mark_surrogates(document)
    try:
        if document.count(b",") >= _MOST_RECORDS:  # elements that are not objects have no brace
            check_objects(document)
        return _few(split_records(document))
    except msgspec.ValidationError:
        raise ServerAnswerError("its JSON must be a list of records") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ServerAnswerError(f"it is not JSON from {_place(document, str(error))} on") from None
    except RecursionError:
        raise ServerAnswerError("its JSON is nested too deep") from None


def _few(records: list[Any]) -> list[Any]:
    if len(records) > _MOST_RECORDS:
        raise ServerAnswerError(_TOO_MANY)
    return records


def _place(document: bytes, message: str) -> str:
    """Return the line and column of the byte in the decoder's message, or of the document's end if it names no byte."""
    byte = _BYTE.search(message)
    before = document[: int(byte[1])] if byte else document
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return f"line {line}, column {column}"


def read_answer(body: bytes, largest: int = _LARGEST_PART) -> RecordsAnswer:
    """Read a raw answer: multipart, or a bare SOAP envelope. Raises ServerAnswerError, with the code of a SOAP fault.

    ``largest`` bounds the bytes of the attachment after decompression.
    """
    if body.lstrip().startswith(b"<"):
        read_envelope(body)
        raise ServerAnswerError("it is a SOAP message without records")
    parts = _parts(body.lstrip())
    root = next((read_envelope(content) for header, content in parts if b"text/xml" in header), None)
    if root is None:
        raise ServerAnswerError("it has no text/xml part")
    attachment = next((content for header, content in parts if b"application/gzip" in header), None)
    if attachment is None:
        raise ServerAnswerError("it has no application/gzip part")
    records = read_records(_inflate(attachment, largest))
    count = _whole(root, "recordsCount")
    if count != len(records):
        raise ServerAnswerError(
            f"recordsCount is {'missing' if count is None else count}, its attachment holds {len(records)}"
        )
    return RecordsAnswer(records, _whole(root, "nextRecordsFrom"))
