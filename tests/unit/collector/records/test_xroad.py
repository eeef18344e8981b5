from __future__ import annotations

import json

import pytest
from msgspec import structs

from services.collector.records.bulk import decode_line
from services.collector.records.xroad import ExchangeResult, RecordError, read_side
from services.core.model import Parties
from tests.support.values.exchange_records import PERSONAL

SIZE = "a whole number of bytes, from 0 to 1 TiB"
STAMP = "a whole number of milliseconds since 1970, from 2000 to 2100"


def test_reads_a_whole_record(raw):
    """Every field that counts is read."""
    side = read_side(raw())
    assert side.parties == Parties("IR/GOV/100/desk", "IR/GOV/200/registry", "IR/GOV/200/registry/person", meta=False)
    assert not side.producer
    assert (side.request_in, side.request_out) == (1_700_000_000_000, 1_700_000_000_010)
    assert (side.response_in, side.response_out) == (1_700_000_000_110, 1_700_000_000_120)
    assert (side.request_bytes, side.response_bytes) == (300, 900)
    assert side.result is ExchangeResult.OK


@pytest.mark.parametrize(
    ("old_request", "old_response"),
    [
        ("requestSoapSize", "responseSoapSize"),
        ("requestRestSize", "responseRestSize"),
    ],
)
def test_both_generations_are_the_same_record(raw, old_request, old_response):
    """A record with old field names is the same record as with the new ones."""
    old = raw(requestSize=None, responseSize=None, succeeded=False) | {
        old_request: 300,
        old_response: 900,
        "soapFaultCode": "Server.ServerProxy.X",
        "soapFaultString": "gone",
    }
    assert read_side(old) == read_side(raw(succeeded=False, faultCode="Server.ServerProxy.X", faultString="other"))


@pytest.mark.parametrize("stamp", [{"monitoringDataTs": 5}, {"insertTime": 1.5}, {"_id": "z"}, {"correctorTime": 2}])
def test_storage_stamps_do_not_make_a_record_another(raw, stamp):
    """Stamps of the daemon and of storage are not part of a record's identity."""
    assert read_side(raw(**stamp)).digest == read_side(raw()).digest


@pytest.mark.parametrize("kind", ["Client", "Producer"])
def test_the_case_of_the_side_does_not_matter(raw, kind):
    """A side in any case is the same record, decoded from JSON or read field by field."""
    expected = read_side(raw(securityServerType=kind))
    for other in (kind.upper(), kind.lower(), kind.swapcase()):
        record = raw(securityServerType=other)
        assert read_side(record) == expected
        assert decode_line(json.dumps(record).encode()) == (None if other == kind.swapcase() else expected)


@pytest.mark.parametrize(
    "change",
    [
        {"requestInTs": 1_700_000_000_001},
        {"responseSize": 901},
        {"messageId": "m-2"},
        {"succeeded": False},
        {"securityServerType": "Producer"},
        {"serviceVersion": "v2"},
        {"statusCode": 200},
        {"faultCode": "Client.X"},
        {"xRequestId": None},
        {"requestOutTs": None},
        {"requestMimeSize": 0},
        {"clientSecurityServerAddress": "a"},
    ],
)
def test_stable_fields_make_a_record_another(raw, change):
    """A difference in any stable field makes two records."""
    assert read_side(raw(**change)).digest != read_side(raw()).digest


def test_attachments_make_the_mime_size_the_size(raw):
    """With attachments the size is that of the whole package, without them that of the message."""
    with_attachment = read_side(raw(responseAttachmentCount=1, responseMimeSize=5000))
    without = read_side(raw(responseAttachmentCount=0, responseMimeSize=5000))
    assert (with_attachment.response_bytes, without.response_bytes) == (5000, 900)


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({}, ExchangeResult.OK),
        ({"statusCode": 404}, ExchangeResult.OK),
        ({"statusCode": 500}, ExchangeResult.PROVIDER_FAILURE),
        ({"statusCode": 503, "succeeded": False}, ExchangeResult.PROVIDER_FAILURE),
        *(({"statusCode": status, "succeeded": False}, ExchangeResult.OK) for status in (304, 400, 404, 410, 422)),
        *(
            ({"statusCode": status, "succeeded": False}, ExchangeResult.PROVIDER_FAILURE)
            for status in (401, 403, 408, 429)
        ),
        ({"succeeded": False}, ExchangeResult.BUS_FAILURE),
        ({"statusCode": 0, "succeeded": False}, ExchangeResult.BUS_FAILURE),
        (
            {"succeeded": False, "faultCode": "server.serverproxy.service_failed.network_error"},
            ExchangeResult.PROVIDER_FAILURE,
        ),
        (
            {"succeeded": False, "faultCode": "Server.ServerProxy.ServiceFailed.HttpError"},
            ExchangeResult.PROVIDER_FAILURE,
        ),
        (
            {"succeeded": False, "faultCode": "Server.ClientProxy.ServiceFailed.InconsistentResponse"},
            ExchangeResult.BUS_FAILURE,
        ),
        ({"succeeded": False, "faultCode": "server.clientproxy.network_error"}, ExchangeResult.BUS_FAILURE),
        ({"succeeded": False, "faultCode": "client.invalid_request", "statusCode": 404}, ExchangeResult.BUS_FAILURE),
        ({"succeeded": False, "faultCode": "soap:client"}, ExchangeResult.PROVIDER_FAILURE),
        ({"succeeded": False, "faultCode": "\n  Server.ClientProxy.NetworkError\n"}, ExchangeResult.BUS_FAILURE),
        ({"succeeded": False, "faultCode": "\n soap:Server\n"}, ExchangeResult.PROVIDER_FAILURE),
        ({"succeeded": True, "faultCode": " \n"}, ExchangeResult.OK),
        ({"succeeded": False, "faultCode": "Server.ClientProxy.NetworkError"}, ExchangeResult.BUS_FAILURE),
        (
            {"succeeded": False, "faultCode": "Server.ServerProxy.UnknownService", "statusCode": 500},
            ExchangeResult.PROVIDER_FAILURE,
        ),
        ({"succeeded": False, "faultCode": "Client.InvalidHttpMethod"}, ExchangeResult.BUS_FAILURE),
        ({"succeeded": False, "faultCode": "SOAP-ENV:Server"}, ExchangeResult.PROVIDER_FAILURE),
        ({"succeeded": True, "faultCode": "soap:Client"}, ExchangeResult.PROVIDER_FAILURE),
    ],
)
def test_failures_of_the_bus_and_of_the_provider(raw, change, result):
    """The bus's own fault codes are failures of the bus. A provider's error is its own even if the bus succeeded.
    An answer of the provider is an answer even if the record says that it did not succeed.
    """
    assert read_side(raw(**change)).result is result


@pytest.mark.parametrize(
    ("change", "parties"),
    [
        ({"serviceSubsystemCode": None}, Parties("IR/GOV/100/desk", "IR/GOV/200", "IR/GOV/200/person", meta=True)),
        (
            {"serviceCode": "listMethods"},
            Parties("IR/GOV/100/desk", "IR/GOV/200/registry", "IR/GOV/200/registry/listMethods", meta=True),
        ),
        (
            {"serviceCode": "getSecurityServerHealthData"},
            Parties(
                "IR/GOV/100/desk", "IR/GOV/200/registry", "IR/GOV/200/registry/getSecurityServerHealthData", meta=True
            ),
        ),
        ({"serviceCode": None}, Parties("IR/GOV/100/desk", "IR/GOV/200/registry", "IR/GOV/200/registry/", meta=False)),
        (
            {"serviceCode": "a/b", "clientSubsystemCode": None},
            Parties("IR/GOV/100", "IR/GOV/200/registry", "IR/GOV/200/registry/a%2Fb", meta=False),
        ),
    ],
)
def test_names_the_parties(raw, change, parties):
    """Identifiers are joined as X-Road writes them, unambiguously, and services of the bus itself are marked."""
    assert read_side(raw(**change)).parties == parties


def test_a_call_without_parties_is_kept(raw):
    """A request that was refused before its header was read is kept, with empty parties, and not as a meta service."""
    nobody = {name: None for name in raw() if name.startswith(("client", "service")) or name == "xRequestId"}
    side = read_side(raw(**nobody, succeeded=False, faultCode="Client.InvalidHttpMethod"))
    assert side.parties == Parties("", "", "", meta=False)
    assert side.request == side.digest


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        ({"requestInTs": "1700000000000"}, [f"requestInTs must be {STAMP}"]),
        ({"requestInTs": 1_700_000_000}, [f"requestInTs must be {STAMP}"]),
        ({"requestOutTs": 1.7e12}, [f"requestOutTs must be {STAMP}"]),
        ({"responseOutTs": True}, [f"responseOutTs must be {STAMP}"]),
        ({"requestInTs": None}, [f"requestInTs is missing, it must be {STAMP}"]),
        ({"succeeded": "true"}, ["succeeded must be true or false"]),
        ({"succeeded": None}, ["succeeded is missing, it must be true or false"]),
        ({"securityServerType": "clients"}, ["securityServerType must be Client or Producer"]),
        ({"requestSize": -1}, [f"requestSize must be {SIZE}"]),
        ({"responseRestSize": (1 << 40) + 1}, [f"responseRestSize must be {SIZE}"]),
        ({"requestMimeSize": 1 << 53}, [f"requestMimeSize must be {SIZE}"]),
        (
            {"requestInTs": 1_600_000_000_000, "responseInTs": 1_600_000_000_001},
            [f"{name} must be within a year of requestInTs" for name in ("requestOutTs", "responseOutTs")],
        ),
        ({"statusCode": "200"}, ["statusCode must be a whole number, not negative"]),
        ({"monitoringDataTs": "now"}, ["monitoringDataTs must be a whole number of seconds since 1970"]),
        (
            {"clientMemberCode": "x" * 256},
            ["clientMemberCode must be text of at most 255 characters without control characters"],
        ),
        (
            {"serviceCode": "\x1b[2J", "xRequestId": ["x"], "succeeded": None},
            [
                "serviceCode must be text of at most 255 characters without control characters",
                "xRequestId must be text of at most 65,536 characters",
                "succeeded is missing, it must be true or false",
            ],
        ),
    ],
)
def test_every_fault_is_named_without_content(raw, change, reasons):
    """Each fault names the field and what it must be, never its value. Such a record is not decoded at once either."""
    with pytest.raises(RecordError) as caught:
        read_side(raw(**change))
    assert list(caught.value.reasons) == reasons
    assert decode_line(json.dumps(raw(**change)).encode()) is None


@pytest.mark.parametrize(
    "name",
    [
        *("messageId", "xRequestId", "faultCode", "soapFaultCode", "serviceType", "restMethod", "xRoadVersion"),
        *("messageProtocolVersion", "clientSecurityServerAddress", "serviceSecurityServerAddress"),
    ],
)
@pytest.mark.parametrize("value", ["\n  id-1\n", "a\x00\x1b[2J\x85", "x" * 65_536])
def test_fields_that_are_only_compared_may_hold_anything(raw, name, value):
    """Control characters and long text are accepted in fields that are only compared.
    They distinguish records and are never kept.
    """
    record = raw(**{name: value})
    side = read_side(record)
    assert decode_line(json.dumps(record).encode()) == side
    assert side.digest != read_side(raw(**{name: "other"})).digest
    assert all(type(kept) is not str for kept in structs.astuple(side))
    assert side.parties == read_side(raw()).parties
    too_long = raw(**{name: "x" * 65_537})
    assert decode_line(json.dumps(too_long).encode()) is None
    with pytest.raises(RecordError) as caught:
        read_side(too_long)
    assert caught.value.reasons == (f"{name} must be text of at most 65,536 characters",)


@pytest.mark.parametrize("name", ["clientMemberCode", "serviceSubsystemCode", "serviceCode", "serviceVersion"])
@pytest.mark.parametrize("value", ["\nid", "a\x00", "\x85", "x" * 256])
def test_a_name_is_plain_and_short(raw, name, value):
    """A field that names a party or a service is refused if it is not plain and short, one by one and at once."""
    record = raw(**{name: value})
    assert decode_line(json.dumps(record).encode()) is None
    with pytest.raises(RecordError) as caught:
        read_side(record)
    assert caught.value.reasons == (f"{name} must be text of at most 255 characters without control characters",)


def test_a_record_may_be_as_large_and_as_long_as_any(raw):
    """A message of 1 TiB and an exchange of a year are read, one by one and at once."""
    start = 1_700_000_000_000
    most = raw(requestSize=1 << 40, requestInTs=start, responseOutTs=start + 366 * 86_400_000)
    assert read_side(most).request_bytes == 1 << 40
    assert decode_line(json.dumps(most).encode()) == read_side(most)


def test_persian_text_is_text(raw):
    """Identifiers may be written in any script, joiners included."""
    assert read_side(raw(serviceCode="استعلام‌ها")).parties.service.endswith("/استعلام‌ها")


@pytest.mark.parametrize("value", [None, 3, "text", [1]])
def test_only_an_object_is_a_record(value):
    """Anything but a JSON object is refused."""
    with pytest.raises(RecordError, match="a record must be a JSON object"):
        read_side(value)


@pytest.mark.parametrize("value", ["CANARY", 7, ["CANARY"], None, "x" * 10_000])
def test_personal_fields_are_never_read(raw, value):
    """Fields that name persons or internal addresses change nothing, whatever their value, and are never kept."""
    side = read_side(raw() | dict.fromkeys(PERSONAL, value))
    assert side == read_side(raw())
    assert "CANARY" not in repr(side)
