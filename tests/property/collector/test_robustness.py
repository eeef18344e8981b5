"""Any log and any answer is read or refused without a crash, and every reject has its place."""

from __future__ import annotations

import gzip
import io
import json

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from services.collector.records.answers import ServerAnswerError
from services.collector.records.bulk import decode_line, decode_records
from services.collector.records.formats import read
from services.collector.records.generic import is_generic, read_generic
from services.collector.records.gzip_content import UnreadableError
from services.collector.records.health_data import read_health
from services.collector.records.xroad import RecordError, read_side
from tests.support.values.exchange_records import PERSONAL, record

CANARY = "CANARY-5f1c"
RECORD = record(**dict.fromkeys(PERSONAL, CANARY))
GENERIC = {"time": 1_700_000_000, "consumer": "a", "provider": "b", "ok": True, "duration_ms": 5, "note": CANARY}
ENVELOPE = (
    '<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/" xmlns:om="http://x-road.eu/xsd/op-monitoring.xsd">'
    "<E:Body><om:getSecurityServerOperationalDataResponse><om:recordsCount>2</om:recordsCount>"
    "<om:nextRecordsFrom>1700000100</om:nextRecordsFrom></om:getSecurityServerOperationalDataResponse></E:Body></E:Envelope>"
)
HEALTH = b"""<E xmlns:om="m" xmlns:id="i"><om:getSecurityServerHealthDataResponse>
<om:statisticsPeriodSeconds>600</om:statisticsPeriodSeconds><om:servicesEvents><om:serviceEvents><om:service>
<id:xRoadInstance>IR</id:xRoadInstance><id:serviceCode>person</id:serviceCode></om:service><om:lastPeriodStatistics>
<om:successfulRequestCount>12</om:successfulRequestCount><om:unsuccessfulRequestCount>3</om:unsuccessfulRequestCount>
<om:requestAverageDuration>42.5</om:requestAverageDuration></om:lastPeriodStatistics></om:serviceEvents></om:servicesEvents>
</om:getSecurityServerHealthDataResponse></E>"""


def ndjson():
    return b"".join(json.dumps(one).encode() + b"\n" for one in (RECORD, GENERIC, RECORD | {"xRequestId": "x-2"}))


def table():
    rows = (RECORD, RECORD | {"xRequestId": "x-2", "serviceCode": "a b"})
    return ("\n".join([",".join(RECORD), *(",".join(map(str, row.values())) for row in rows)]) + "\n").encode()


def array():
    return json.dumps([RECORD, GENERIC]).encode()


def multipart():
    packed = gzip.compress(json.dumps({"records": [RECORD, RECORD]}).encode(), mtime=0)
    parts = (b"--xroadB", b"content-type:text/xml", b"", ENVELOPE.encode(), b"--xroadB")
    return b"\r\n".join((*parts, b"content-type:application/gzip", b"", packed, b"--xroadB--", b""))


VALID = [ndjson(), table(), array(), multipart(), ENVELOPE.encode()]
TOKENS = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b'"',
        b",",
        b"{",
        b"}",
        b"[",
        b"]",
        b"--xroadB",
        b"--",
        b"<",
        b"&e;",
        b"\x00",
        b"\xff",
        b"\x1f\x8b",
        b"<!DOCTYPE a>",
        b"content-type:text/xml\r\n\r\n",
        b"1e999",
        b"-1",
        b"null",
        b"\xef\xbb\xbf",
        b"\\ud800",
        b"9" * 400,
    ]
)


@st.composite
def damaged(draw, originals):
    """Valid content with up to six cuts, repetitions and insertions."""
    content = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(0, 6))):
        at, length = draw(st.integers(0, len(content))), draw(st.integers(0, 30))
        middle = draw(st.one_of(st.just(b""), TOKENS, st.binary(max_size=8), st.just(content[at : at + length] * 2)))
        content = content[:at] + middle + content[at + length :]
    return content


def all_of(content, **options):
    """Return the batches, or None if the file is refused as a whole; the refusal must quote nothing."""
    refused = ""
    try:
        return list(read(io.BytesIO(content), **options))
    except UnreadableError as error:
        refused = str(error)
    assert CANARY not in refused
    assert 0 < len(refused) < 300
    return None


@settings(max_examples=400)
@given(damaged(VALID), st.sampled_from([bytes, gzip.compress]), st.integers(1, 4))
@example(b"\xef\xbb\xbf" * 3, bytes, 1)
@example(b"--\r\n--\r\n--", bytes, 1)
@example(b"[" * 100_000, bytes, 1)
@example(b"a,b\n" + b'"' * 300_000, bytes, 1)
def test_any_log_is_read_or_refused(content, pack, size):
    """Every line or record is a side or a reject with its place; reading from any position reaches the same end."""
    batches = all_of(pack(content), size=size)
    if batches is None:
        return
    for batch in batches:
        first = batch.position.line
        for reject in batch.rejects:
            assert 1 <= reject.number <= first
            assert reject.length >= 0
            assert CANARY not in reject.reason
            assert reject.unit in {"line", "record"}
    whole = [side for batch in batches for side in batch.sides]
    rejects = [reject for batch in batches for reject in batch.rejects]
    done = 0
    for batch in batches:
        done += len(batch.sides)
        rest = all_of(pack(content), start=batch.position, size=size)
        assert rest is not None
        assert [side for later in rest for side in later.sides] == whole[done:]
    if batches and batches[-1].position.offset:
        lines = [line for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
        assert len(lines) - 1 <= len(whole) + len({reject.number for reject in rejects}) <= len(lines)


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content):
    """Bytes of any kind cause no crash: packed they give the same as plain, and a damaged end is refused."""
    assume(not content.startswith(b"\x1f\x8b"))
    packed = gzip.compress(content)
    assert all_of(packed) == all_of(content)
    assert all_of(packed[:-3]) is None
    assert all_of(packed[:-3] + b"\xff\xff\xff") is None


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=400)
@given(st.sampled_from([RECORD, GENERIC]), st.data())
def test_any_values_make_a_side_or_reasons(record, data):
    """A record with any JSON values in any fields gives a side, or the names of the fields that are wrong."""
    changes = data.draw(st.dictionaries(st.sampled_from(sorted(record)), VALUES, max_size=4))
    raw = record | changes
    reasons = None
    try:
        side = read_generic(raw) if is_generic(raw) else read_side(raw)
    except RecordError as error:
        reasons = error.reasons
    if reasons is None:
        assert len(side.digest) == len(side.request) == 16
    else:
        assert reasons
        assert all(reason.split(" ")[0] in {*record, "consumer"} for reason in reasons)


@settings(max_examples=400)
@given(st.data())
def test_reading_at_once_gives_what_reading_by_field_gives(data):
    """A line that is decoded at once is the side that its fields give one by one; others are read by field."""
    changes = data.draw(st.dictionaries(st.sampled_from(sorted(RECORD)), VALUES, max_size=2))
    changes |= data.draw(st.dictionaries(st.sampled_from(["requestSoapSize", "faultCode", "statusCode"]), VALUES))
    raw = json.loads(json.dumps(RECORD | changes))
    line = json.dumps(raw).encode()
    at_once, listed = decode_line(line), decode_records(b"[" + line + b"]")
    assert listed == (None if at_once is None else [at_once])
    try:
        by_field = read_side(raw)
    except RecordError:
        by_field = None
    assert at_once == by_field


@settings(max_examples=200)
@given(damaged([HEALTH]))
def test_any_health_answer_is_read_or_refused(content):
    """A damaged answer of health data gives counts that are not negative, or a reason."""
    try:
        found = read_health(content)
    except ServerAnswerError:
        return
    assert found.period_seconds >= 0
    assert all(one.succeeded >= 0 and one.failed >= 0 and one.name for one in found.services)


@settings(max_examples=50)
@given(st.integers(1, 12), st.integers(2, 12), st.booleans())
def test_no_entity_is_expanded(depth, width, inside):
    """Entities within entities are refused before they grow, in answers of both kinds and within a multipart."""
    entities = '<!ENTITY e0 "lol">' + "".join(
        f'<!ENTITY e{level} "{f"&e{level - 1};" * width}">' for level in range(1, depth + 1)
    )
    bomb = f"<!DOCTYPE a [{entities}]><a>&e{depth};</a>".encode()
    content = multipart().replace(ENVELOPE.encode(), bomb) if inside else bomb
    assert all_of(content) is None
    with pytest.raises(ServerAnswerError):
        read_health(bomb)
