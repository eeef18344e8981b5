from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tempfile
import tracemalloc
import zlib

import pytest

from services.collector.records.batch import SourcePosition
from services.collector.records.formats import read
from services.collector.records.gzip_content import (
    FREE_BYTES,
    FREE_LINES,
    LARGEST_RATIO,
    LINES_PER_BYTE,
    UnreadableError,
)
from services.collector.records.xroad import read_side


def all_of(content, **options):
    batches = list(read(io.BytesIO(content), **options))
    return [s for b in batches for s in b.sides], [r for b in batches for r in b.rejects], batches


def lines(records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def multipart(records, *, count=None, extra="", boundary=b"--xroadB", body=b""):
    body = body or gzip.compress(json.dumps({"records": records}).encode())
    envelope = (
        '<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/" xmlns:om="http://x-road.eu/xsd/op-monitoring.xsd">'
        f"<E:Body><om:getSecurityServerOperationalDataResponse><om:recordsCount>{len(records) if count is None else count}"
        f"</om:recordsCount>{extra}</om:getSecurityServerOperationalDataResponse></E:Body></E:Envelope>"
    ).encode()
    return b"\r\n".join(
        (
            boundary,
            b"content-type:text/xml",
            b"",
            envelope,
            boundary,
            b"content-type:application/gzip",
            b"content-id: <r>",
            b"",
            body,
            boundary + b"--",
            b"",
        )
    )


def test_every_format_reads_the_same(raw):
    """NDJSON, a JSON array, a records object, a multipart answer, and gzip of each give the same sides."""
    records = [raw(xRequestId=f"x-{n}") for n in range(5)]
    expected = [read_side(record) for record in records]
    pretty = json.dumps(records, indent=4).encode()
    for content in (
        lines(records),
        b"\xef\xbb\xbf" + lines(records),
        lines(records).replace(b"\n", b"\r\n\r\n"),
        lines(records).rstrip(b"\n"),
        pretty,
        json.dumps({"records": records}).encode(),
        multipart(records),
    ):
        for packed in (content, gzip.compress(content), gzip.compress(content[:40]) + gzip.compress(content[40:])):
            sides, rejects, _ = all_of(packed)
            assert (sides, rejects) == (expected, [])


def test_the_raw_answer_equals_the_ndjson(data_file):
    """The real multipart answer holds the same 5,230 records as its NDJSON."""
    with (
        data_file("opmon_dev_5230.response.dat").open("rb") as answer,
        data_file("opmon_dev_5230.ndjson").open("rb") as plain,
    ):
        from_answer = [side for batch in read(answer) for side in batch.sides]
        from_plain = [side for batch in read(plain) for side in batch.sides]
    assert len(from_plain) == 5230
    assert from_answer == from_plain


def test_an_empty_answer_holds_nothing(data_file):
    """An answer without records is read as empty."""
    assert all_of(data_file("xroad_metrics_response2.dat").read_bytes()) == ([], [], [])
    assert all_of(b"") == ([], [], [])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("xroad_metrics_client_proxy_ssl_auth_failed.dat", "Server.ClientProxy.SslAuthenticationFailed"),
        ("xroad_metrics_server_proxy_access_denied_failed.dat", "Server.ServerProxy.AccessDenied"),
    ],
)
def test_a_soap_fault_is_reported_by_its_code(data_file, name, code):
    """A fault of the source is shown by its code alone, without its text."""
    with pytest.raises(UnreadableError) as caught:
        all_of(data_file(name).read_bytes())
    assert str(caught.value) == f"the security server answered with fault {code}"


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reading_goes_on_from_any_position(raw, size, pack):
    """Reading from the position after any batch gives exactly the rest."""
    records = [raw(xRequestId=f"x-{n}") for n in range(5)]
    for content in (
        lines(records),
        b"\xef\xbb\xbf" + lines(records[:2]) + b"\nbad\n" + lines(records[2:]),
        multipart(records),
    ):
        whole, _, batches = all_of(pack(content), size=size)
        done = 0
        for batch in batches:
            done += len(batch.sides)
            rest, _, _ = all_of(pack(content), start=batch.position)
            assert whole[done:] == rest


def test_bad_lines_are_reported_by_place_length_and_reason(raw):
    """Lines that cannot be read are reported without their content, and the rest is read."""
    long = b'{"messageUserId": "' + b"x" * (1 << 20) + b'"}\n'
    content = (
        lines([raw()]) + b'{"messageUserId": "CANARY"\n' + b"\n" + long + b"\xff\xfe\n[1]\n" + lines([raw(succeeded=7)])
    )
    sides, rejects, batches = all_of(content + lines([raw(xRequestId="x-2")]))
    assert len(sides) == 2
    assert [str(reject.fault("log")) for reject in rejects] == [
        "log:2:27: it is not JSON (line of 26 bytes)",
        f"log:4: a line may not exceed 1048576 bytes (line of {len(long)} bytes)",
        "log:5:1: it is not JSON (line of 2 bytes)",
        "log:6: a record must be a JSON object (line of 3 bytes)",
        f"log:7: succeeded must be true or false (line of {len(json.dumps(raw(succeeded=7)))} bytes)",
    ]
    assert batches[-1].position == SourcePosition(len(content) + len(lines([raw(xRequestId="x-2")])), 8)
    assert "CANARY" not in repr(rejects)


def test_bad_records_of_a_document_are_reported_by_number(raw):
    """A bad record of a document is named by its number, and the rest is read."""
    bad, long = raw(succeeded=7), json.dumps({"messageUserId": "x" * (1 << 20)})
    whole = json.dumps(raw(), ensure_ascii=False).encode()
    content = b",".join((whole, json.dumps(bad).encode(), b"7", b'{"a": "\xff"}', long.encode(), whole))
    sides, rejects, _ = all_of(b"[" + content + b"]")
    assert len(sides) == 2
    assert [str(reject.fault("log")) for reject in rejects] == [
        f"log: record 2: succeeded must be true or false ({len(json.dumps(bad))} bytes)",
        "log: record 3: a record must be a JSON object (1 bytes)",
        "log: record 4: it is not JSON (10 bytes)",
        f"log: record 5: a record may not exceed 1048576 bytes ({len(long)} bytes)",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'[{"messageUserId": "CANARY"}, ]', "it is not JSON from line 1, column 31 on"),
        (b'{"records": [1], "records": 1}', "its JSON must be a list of records"),
        (b"[" * 100_000, "its JSON is nested too deep"),
        (b"[1,\n 2", "it is not JSON from line 2, column 3 on"),
        (gzip.compress(b'{"a": 1}\n' * 100, mtime=0)[:-12], "its gzip data end early"),
        (gzip.compress(b"{}", mtime=0)[:10] + b"\xff" * 40, "its gzip data are damaged"),
        (b"--b\r\ncontent-type: text/xml\r\n\r\n<a/>", "the multipart answer ends before its closing boundary"),
        (b"--b\r\ncontent-type: text/plain\r\n\r\n<a/>\r\n--b--", "it has no text/xml part"),
        (b"--b\r\ncontent-type: text/xml\r\n\r\n<a/>\r\n--b--", "it has no application/gzip part"),
        (b"--b\r\ncontent-type: text/xml\r\n\r\n<a>\r\n--b--", "its XML part is not XML (line 1, column 4)"),
        (b"<a/>", "it is a SOAP message without records"),
        (
            b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
            "its XML part declares entities, which are not read",
        ),
        (
            b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
            "its XML part has a document type declaration, which is not accepted",
        ),
        (
            b"<E><Fault><faultcode>CANARY \x26lt;person\x26gt; 12</faultcode></Fault></E>",
            "the security server answered with fault without a readable code",
        ),
    ],
)
def test_files_that_fail_as_a_whole_have_a_reason(content, reason):
    """A file that cannot be read as a whole is refused with one reason, without content."""
    with pytest.raises(UnreadableError) as caught:
        all_of(content)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"count": 3}, "recordsCount is 3, its attachment holds 2"),
        ({"count": "x"}, "recordsCount must be a whole number"),
        ({"count": ""}, "recordsCount must be a whole number"),
    ],
)
def test_an_answer_must_hold_as_many_records_as_its_count(raw, change, reason):
    """An answer with fewer records than its count is refused."""
    with pytest.raises(UnreadableError) as caught:
        all_of(multipart([raw(), raw()], **change))
    assert str(caught.value) == reason


def test_a_damaged_attachment_is_refused(raw):
    """An attachment that is truncated, or not gzip, is refused."""
    whole = multipart([raw()])
    start = whole.index(b"\x1f\x8b")
    for content, reason in (
        (whole[: start + 30] + b"\r\n--xroadB--\r\n", "the gzip data of its attachment end early"),
        (whole[:start] + b"plain\r\n--xroadB--\r\n", "its attachment is not valid gzip"),
    ):
        with pytest.raises(UnreadableError) as caught:
            all_of(content)
        assert str(caught.value) == reason


@pytest.mark.parametrize("wrapped", [True, False], ids=["answer", "file"])
@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (b"[]", "its JSON must be a list of records"),
        (b"0.5", "its JSON must be a list of records"),
        (b"{}", "it holds more than 500000 records: split it, or turn it into one record a line"),
        (b'{"a":[[],[],[],[],[]]}', "it holds more than 500000 records: split it, or turn it into one record a line"),
    ],
)
def test_a_small_answer_does_not_take_all_memory(one, reason, wrapped):
    """An answer or a file that unpacks to 60 MiB of tiny values is refused before they are made."""
    values = (one + b",") * ((60 << 20) // (len(one) + 1))
    packed = gzip.compress(b'{"records": [' + values + one + b"]}", 1)
    program = (
        "import re, sys; from pathlib import Path; from services.collector.records.formats import *\n"
        "try: print(sum(1 for _ in read(sys.stdin.buffer)))\n"
        "except UnreadableError as error: print(error)\n"
        "print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    with tempfile.TemporaryFile() as given:
        given.write(multipart([], body=packed) if wrapped else packed)
        given.seek(0)
        told = subprocess.run([sys.executable, "-c", program], stdin=given, capture_output=True, text=True, check=True)
    said, peak = told.stdout.splitlines()
    assert said == reason
    assert int(peak) < 350 << 10  # 2,000 MiB and more if all of it is made


def test_values_within_one_record_are_not_made():
    """A record that is too large is not decoded, and the records after it are read."""
    content = b'[{"a": [' + b"[]," * 200_000 + b"[]]}, {}, " + b'{"a": [' + b"[]," * 4_000_000 + b"[]]}]"
    tracemalloc.start()
    with pytest.raises(UnreadableError, match=r"its JSON must be a list of records$"):
        all_of(content.replace(b"{}", b"7"))
    _, rejects, _ = all_of(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {reject.number for reject in rejects} == {1, 2, 3}
    assert peak < 5 * len(content)


def test_memory_does_not_grow_with_the_file(raw, tmp_path):
    """Ten times the lines take no more memory at the peak."""
    peaks = []
    for count in (3_000, 30_000):
        path = tmp_path / f"{count}.ndjson"
        with path.open("wb") as out:
            for n in range(count):
                out.write(json.dumps(raw(xRequestId=f"x-{n}")).encode() + b"\n")
        tracemalloc.start()
        with path.open("rb") as stream:
            assert sum(len(batch.sides) for batch in read(stream)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("block", [b"\n" * (1 << 20), b"a\n" * (1 << 19), b"a" * (1 << 20)])
def test_gzip_that_unpacks_to_too_much_is_refused(block: bytes) -> None:
    """A file that unpacks to 256 MiB of line feeds, short lines or one line is refused long before its end.
    Its size limits the bytes and lines that are read, and those read before the limit count.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    first, again = (packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    packed = first + again * 255  # after a full flush a block is packed alike each time
    positions = [SourcePosition(0, 0)]
    with pytest.raises(UnreadableError, match="unpack to too much for their size"):
        positions.extend(batch.position for batch in read(io.BytesIO(packed), size=50_000))
    assert positions[-1].offset <= FREE_BYTES + LARGEST_RATIO * len(packed) < 1 << 29
    assert positions[-1].line <= FREE_LINES + LINES_PER_BYTE * len(packed) < 1 << 22
    assert len(positions) > 1 or b"\n" not in block
