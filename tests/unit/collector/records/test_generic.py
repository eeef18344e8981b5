from __future__ import annotations

import io
import json

import pytest

from services.collector.ledger.ledger import Ledger
from services.collector.records.formats import read
from services.collector.records.generic import read_generic
from services.collector.records.xroad import ExchangeResult, RecordError
from services.core.model import Parties
from services.register.attribution import Attributor
from services.register.directory.load import load_register
from tests.support.registers import write_register

MOMENT = 1_700_000_000_250


@pytest.fixture
def line():
    """Return a function that makes a line of the generic source. Keywords change fields, and None removes a field."""

    def make(**changes):
        record = {
            "time": "2023-11-14T22:13:20.250Z",
            "consumer": "land-registry",
            "provider": "civil-registry",
            "service": "deed",
            "data_item": "civil status",
            "ok": True,
            "duration_ms": 120.4,
            "request_bytes": 300,
            "response_bytes": 900,
        }
        return {name: value for name, value in (record | changes).items() if value is not None}

    return make


def test_a_line_is_a_whole_exchange(line):
    """Every field is read, and no other side is expected."""
    side = read_generic(line())
    assert side.parties == Parties("land-registry", "civil-registry", "civil-registry/deed/civil status", meta=False)
    assert (side.request_in, side.response_out - side.request_in) == (MOMENT, 120)
    assert (side.result, side.request_bytes, side.response_bytes) == (ExchangeResult.OK, 300, 900)
    assert side.whole


@pytest.mark.parametrize("time", ["2023-11-15T01:43:20.250+03:30", 1_700_000_000.25, 1_700_000_000_250])
def test_a_time_may_have_three_forms(line, time):
    """Text with an offset, seconds and milliseconds name the same moment, and so the same exchange."""
    assert read_generic(line(time=time)) == read_generic(line())


def test_a_leap_second_is_read(line):
    """A record of second 60 at the end of a month in UTC is one of the following second."""
    assert read_generic(line(time="2016-12-31T23:59:60.5Z")).request_in == 1_483_228_800_500


def test_an_id_distinguishes_equal_exchanges(line):
    """Equal lines are duplicates, unless their ids differ."""
    assert read_generic(line()).digest == read_generic(line(note="CANARY")).digest
    assert read_generic(line(id="1")).digest != read_generic(line(id="2")).digest


def test_a_failure_is_the_providers(line):
    """A failure counts as the provider's."""
    assert read_generic(line(ok=False)).result is ExchangeResult.PROVIDER_FAILURE


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"time": "2023-11-14T22:13:20"}, "time must be RFC 3339"),
        ({"time": "CANARY"}, "time must be RFC 3339"),
        ({"time": 1e300}, "time must be RFC 3339"),
        ({"time": -1.7e305}, "time must be RFC 3339"),
        ({"time": 10**400}, "time must be RFC 3339"),
        ({"time": float("nan")}, "time must be RFC 3339"),
        ({"time": True}, "time must be RFC 3339"),
        ({"time": None}, "time is missing"),
        ({"consumer": ""}, "consumer must be text"),
        ({"provider": "a\nCANARY"}, "provider must be text"),
        ({"ok": 1}, "ok must be true or false"),
        ({"duration_ms": -1}, "duration_ms must be a number"),
        ({"duration_ms": None}, "duration_ms is missing"),
        ({"duration_ms": 32_000_000_000}, "duration_ms must be a number of milliseconds, from 0 to a year"),
        ({"request_bytes": 1.5}, "request_bytes must be a whole number"),
        ({"response_bytes": 1 << 53}, "response_bytes must be a whole number of bytes, from 0 to 1 TiB"),
        ({"data_item": ["CANARY"]}, "data_item must be text"),
        ({"id": ""}, "id must be text of at most 65,536 characters"),
        ({"id": "CANARY" * 20_000}, "id must be text of at most 65,536 characters"),
    ],
)
def test_faults_are_reported_by_field(line, change, told):
    """A fault names its field and what it must be, never its value."""
    with pytest.raises(RecordError) as caught:
        read_generic(line(**change))
    [reason] = caught.value.reasons
    assert reason.startswith(told)
    assert "CANARY" not in reason


def test_an_id_may_hold_anything(line):
    """An id may hold anything and be long. Lines that differ in it are two exchanges."""
    one, other = (read_generic(line(id="\n\x00" * 1000 + end)) for end in "ab")
    assert one.digest != other.digest
    assert one.parties == other.parties == read_generic(line()).parties


def test_lines_of_both_kinds_stand_in_one_log(line, both):
    """A generic line counts as one exchange that is no orphan, beside records of X-Road."""
    content = b"".join(json.dumps(record).encode() + b"\n" for record in (*both(), line(), line()))
    with Ledger(None, 300, now_ms=0, forget=False) as ledger:
        for batch in read(io.BytesIO(content)):
            ledger.take("log", batch, now_ms=0)
        totals = ledger.totals()
        assert (totals.exchanges, totals.orphans) == (2, 0)


def test_generic_ids_are_those_of_the_register(line, tmp_path):
    """Service, provider and data item name the link. Agencies stand for themselves, and unknown names are unmapped."""
    register = load_register(write_register(tmp_path / "register"))
    link = next(iter(register.links.values()))
    consumer = register.consumer(link)
    attributor = Attributor(register)
    names = {"consumer": consumer, "provider": link.provider, "service": link.service}
    known = attributor.attribute(read_generic(line(**names, data_item=link.data_item)).parties)
    assert (known.consumer, known.provider, known.link, known.shared) == (consumer, link.provider, link.id, False)
    other = attributor.attribute(read_generic(line(**names, data_item="something else")).parties)
    assert (other.consumer, other.provider, other.link) == (consumer, link.provider, "")
    nobody = attributor.attribute(read_generic(line(consumer="x", provider="y")).parties)
    assert (nobody.consumer, nobody.provider) == ("_unmapped", "_unmapped")
