"""Probe kind dns against a real name server. Numbers are the behaviours of docs/probing.md."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rdataclass
import dns.rrset
import pytest

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import DnsQuery, Expect, RecordPatterns
from tests.support.cases.probes.dns import TRANSPORTS, probe
from tests.support.servers.dns_server import Asked, answering, naming, with_rcode
from tests.support.servers.http_server import ask


@TRANSPORTS
async def test_29_an_answer_is_facts_and_phases(transport: str) -> None:
    """Records are text with their own TTLs; the phases are those of the transport, each once."""
    async with naming(answering()) as server:
        result = await probe(server.target(), transport=transport)
    observation = result.observation
    phases = observation.phases
    assert result.judgement.reason is Reason.OK
    assert observation.dns is not None
    assert observation.dns.rcode == "NOERROR"
    assert sorted(observation.dns.answers) == [
        "www.tax.example. 30 IN A 192.0.2.1",
        "www.tax.example. 30 IN A 192.0.2.2",
    ]
    assert (phases.resolve, phases.tls) == (None, None)
    assert phases.processing is not None
    assert (phases.connect is None, phases.transfer is None) == (transport == "udp",) * 2
    assert observation.latency is not None
    assert phases.processing + (phases.transfer or 0.0) <= observation.latency + 1e-6 <= observation.duration + 1e-6
    assert observation.addresses == ("127.0.0.1",)


@TRANSPORTS
@pytest.mark.parametrize("recursion", [True, False])
async def test_32_the_question_arrives_once_as_it_was_defined(transport: str, *, recursion: bool) -> None:
    """Name, type and recursion are sent as defined, params filled in, once, each time with a new id."""
    async with naming(answering()) as server:
        for _ in range(4):
            await probe(
                server.target(),
                "${zone}",
                "TXT",
                transport=transport,
                recursion=recursion,
                params={"zone": "tax.example"},
            )
    assert [asked.transport for asked in server.asked] == [transport] * 4
    assert [str(asked.message.question[0]) for asked in server.asked] == ["tax.example. IN TXT"] * 4
    assert {bool(asked.message.flags & dns.flags.RD) for asked in server.asked} == {recursion}
    assert len({asked.message.id for asked in server.asked}) > 1


@pytest.mark.parametrize(
    ("name", "type_", "expect", "reason"),
    [
        ("no.tax.example", "A", Expect(), Reason.RCODE),
        ("no.tax.example", "A", Expect(rcode=("NXDOMAIN",)), Reason.OK),
        ("www.tax.example", "A", Expect(rcode=("NXDOMAIN",)), Reason.RCODE),
        ("other.example", "A", Expect(), Reason.NAME_SERVER_FAILED),
        ("other.example", "A", Expect(rcode=("REFUSED", "NOERROR")), Reason.OK),
        ("www.tax.example", "A", Expect(answers=RecordPatterns(must=(r" A 192\.0\.2\.1$", "^www"))), Reason.OK),
        ("www.tax.example", "A", Expect(answers=RecordPatterns(must=(r"192\.0\.2\.9",))), Reason.RECORDS),
        ("www.tax.example", "A", Expect(answers=RecordPatterns(must_not=(r"192\.0\.2\.2$",))), Reason.RECORDS),
        ("ns.tax.example", "AAAA", Expect(answers=RecordPatterns(must=("AAAA",))), Reason.RECORDS),
        (
            "ns.tax.example",
            "AAAA",
            Expect(authority=RecordPatterns(must=("^tax.example. 300 IN SOA ns.tax",))),
            Reason.OK,
        ),
        (
            "no.tax.example",
            "A",
            Expect(rcode=("NXDOMAIN",), authority=RecordPatterns(must_not=("SOA",))),
            Reason.RECORDS,
        ),
        ("www.tax.example", "A", Expect(authoritative=True), Reason.OK),
        ("www.tax.example", "A", Expect(answers=RecordPatterns(every=(r" A 192\.0\.2\.",))), Reason.OK),
        ("www.tax.example", "A", Expect(answers=RecordPatterns(every=(r" A 192\.0\.2\.1$",))), Reason.RECORDS),
        ("ns.tax.example", "AAAA", Expect(answers=RecordPatterns(every=(".",))), Reason.RECORDS),
        ("ns.tax.example", "AAAA", Expect(answers=RecordPatterns(empty=True)), Reason.OK),
        ("www.tax.example", "A", Expect(answers=RecordPatterns(empty=True)), Reason.RECORDS),
        ("www.tax.example", "A", Expect(additional=RecordPatterns(must=("A",))), Reason.RECORDS),
        ("docs.tax.example", "A", Expect(answers=RecordPatterns(must=("IN CNAME www.tax.example.$",))), Reason.OK),
        ("tax.example", "TXT", Expect(answers=RecordPatterns(must=('^tax.example. 60 IN TXT "v=one"$',))), Reason.OK),
    ],
)
@TRANSPORTS
async def test_27_rcode_and_answers_are_judged_apart(
    transport: str, name: str, type_: str, expect: Expect, reason: Reason
) -> None:
    """The response code is judged, NOERROR by default, then each section by its patterns, over UDP and over TCP."""
    async with naming(answering()) as server:
        result = await probe(server.target(), name, type_, transport=transport, expect=expect)
    assert result.judgement.reason is reason
    assert result.observation.dns is not None


RECORDS = {
    "SSHFP": "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
    "LOC": "35 41 0.000 N 51 25 0.000 E 1200.00m",
    "RP": "admin.tax.example. txt.tax.example.",
    "DNAME": "tax.example.",
    "CDS": "12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "RRSIG": "A 13 3 300 20300101000000 20250101000000 12345 tax.example. AAAA",
    "CERT": "PKIX 1 RSASHA256 AAAA",
    "OPENPGPKEY": "AAAA",
}


@pytest.mark.parametrize(("type_", "data"), RECORDS.items())
@TRANSPORTS
async def test_27_newer_types_are_asked_for_and_read(transport: str, type_: str, data: str) -> None:
    """A record of a newer type is queried by the type's name, and read as zone files write it."""

    async def answer(asked: Asked) -> None:
        response = dns.message.make_response(asked.message)
        response.answer.append(dns.rrset.from_text("key.tax.example.", 60, "IN", type_, data))
        asked.reply(response.to_wire())

    expect = Expect(answers=RecordPatterns(every=(f"^key.tax.example. 60 IN {type_} {data}$",)))
    async with naming(answer) as server:
        result = await probe(server.target(), "key.tax.example", type_, transport=transport, expect=expect)
    assert (result.judgement.reason, result.judgement.detail) == (Reason.OK, "")
    assert dns.rdatatype.to_text(server.asked[0].message.question[0].rdtype) == type_


async def test_27_a_question_of_another_class() -> None:
    """The class of a query is sent, and is part of the records' text: many name servers give their version in CH."""

    async def answer(asked: Asked) -> None:
        response = dns.message.make_response(asked.message)
        response.answer.append(dns.rrset.from_text("version.bind.", 0, "CH", "TXT", "9.20"))
        asked.reply(response.to_wire())

    async with naming(answer) as server:
        query = DnsQuery("version.bind", "TXT", record_class="CH")
        expect = Expect(answers=RecordPatterns(every=('^version.bind. 0 CH TXT "9.20"$',)))
        result = await ask(server.target(), expect, kind="dns", query=query)
    assert (result.judgement.reason, result.judgement.detail) == (Reason.OK, "")
    assert dns.rdataclass.to_text(server.asked[0].message.question[0].rdclass) == "CH"


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"])
async def test_27_a_name_server_that_fails_has_not_answered(rcode: str) -> None:
    """A server whose response code is an error is NOT_ANSWERED/NAME_SERVER_FAILED, unless that code was expected."""
    async with naming(with_rcode(rcode)) as server:
        result = await probe(server.target())
        expected = await probe(server.target(), expect=Expect(rcode=(rcode,)))
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.NAME_SERVER_FAILED)
    assert expected.judgement.reason is Reason.OK


async def test_27_a_truncated_answer_is_judged_as_it_is() -> None:
    """Over UDP the query is not repeated after a truncated answer, whose detail says so. TCP brings all of it."""
    expect = Expect(answers=RecordPatterns(must=("0000019",)))
    async with naming(answering()) as server:
        result = await probe(server.target(), "large.tax.example", "TXT", expect=expect)
        passed = await probe(server.target(), "large.tax.example", "TXT")
        whole = await probe(server.target(), "large.tax.example", "TXT", transport="tcp", expect=expect)
    assert result.judgement.reason is Reason.RECORDS
    assert "truncated" in result.judgement.detail
    assert result.observation.dns is not None
    assert result.observation.dns.truncated
    assert [each.judgement.reason for each in (passed, whole)] == [Reason.OK, Reason.OK]
    assert [asked.transport for asked in server.asked] == ["udp", "udp", "tcp"]


async def test_an_answer_of_a_cache_is_not_authoritative() -> None:
    """Without the flag AA an answer fails where it is required, and passes otherwise; additional records are read."""

    async def cached(asked: Asked) -> None:
        response = dns.message.make_response(asked.message)
        response.additional.append(dns.rrset.from_text("ns.tax.example.", 60, "IN", "A", "192.0.2.53"))
        asked.reply(response.to_wire())

    async with naming(cached) as server:
        plain = await probe(
            server.target(), expect=Expect(additional=RecordPatterns(must=("^ns.tax.example. 60 IN A",)))
        )
        strict = await probe(server.target(), expect=Expect(authoritative=True))
    assert plain.judgement.reason is Reason.OK
    assert (strict.judgement.reason, strict.judgement.detail) == (Reason.RECORDS, "the answer is not authoritative")
