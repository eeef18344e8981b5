"""DNS queries and answers are built, parsed and judged without a server."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.model.outcome import Outcome, Reason
from services.core.model.probe import DnsQuery, Expect, Probe, RecordPatterns
from services.prober.checks import Judgement
from services.prober.checks.judgement import judge
from services.prober.expected.compiler import compile_expectations
from services.prober.kinds.dns_message import (
    DnsQuestion,
    MalformedAnswerError,
    build_question,
    facts_of_call,
    read_answer,
    read_answer_call,
)
from services.prober.observation import CertificateFacts, DnsFacts, Observation
from services.prober.transport.addresses import parse_host_port

NUMBER = b"\x12\x34"
QUESTION = build_question(DnsQuery("www.tax.example"))
ANSWER = "www.tax.example. 60 IN A 192.0.2.1"
DELEGATION = "tax.example. 300 IN NS ns.tax.example."


def judged(facts: DnsFacts, expect: Expect) -> Judgement:
    definition = Probe("zone", "dns", expect=expect)
    expectations = compile_expectations(definition, {}, latency=None, max_age=None)
    return judge(Observation(0.0, 0.1, latency=0.1, dns=facts), expectations)


def answer_to(question: DnsQuestion, number: bytes = NUMBER) -> dns.message.Message:
    """Return the answer with one record to a query with this id."""
    response = dns.message.make_response(dns.message.from_wire(question.with_id(number)))
    response.answer.append(dns.rrset.from_text("www.tax.example.", 60, "IN", "A", "192.0.2.1"))
    return response


def parsed(wire: bytes, question: DnsQuestion = QUESTION, number: bytes = NUMBER) -> DnsFacts | None:
    """Return the facts of the answer, None for a message that answers another query."""
    return read_answer(wire) if question.is_answer(number, wire) else None


@pytest.mark.parametrize(
    ("facts", "expect", "reason"),
    [
        (DnsFacts("NOERROR"), Expect(), Reason.OK),
        (DnsFacts("NOERROR"), Expect(answers=RecordPatterns(must=(".",))), Reason.RECORDS),
        (DnsFacts("NXDOMAIN"), Expect(), Reason.RCODE),
        (DnsFacts("YXDOMAIN"), Expect(rcode=("NXDOMAIN",)), Reason.RCODE),
        (DnsFacts("SERVFAIL"), Expect(rcode=("NXDOMAIN",)), Reason.NAME_SERVER_FAILED),
        (DnsFacts("SERVFAIL"), Expect(rcode=("SERVFAIL",), answers=RecordPatterns(must=(".",))), Reason.RECORDS),
        (DnsFacts("NXDOMAIN", (ANSWER,)), Expect(answers=RecordPatterns(must=("IN A",))), Reason.RCODE),
        (DnsFacts("NOERROR", (ANSWER,), (DELEGATION,)), Expect(answers=RecordPatterns(must=("NS",))), Reason.RECORDS),
        (DnsFacts("NOERROR", (ANSWER,), (DELEGATION,)), Expect(answers=RecordPatterns(must_not=("NS",))), Reason.OK),
        (
            DnsFacts("NOERROR", (ANSWER,), (DELEGATION,)),
            Expect(authority=RecordPatterns(must=("NS", "A"))),
            Reason.RECORDS,
        ),
        (DnsFacts("NOERROR", (ANSWER,), (DELEGATION,)), Expect(authority=RecordPatterns(("NS",), (" A ",))), Reason.OK),
        (DnsFacts("NOERROR", (ANSWER, DELEGATION)), Expect(answers=RecordPatterns(("IN A", "IN NS"))), Reason.OK),
    ],
)
def test_27_response_code_then_each_section(facts: DnsFacts, expect: Expect, reason: Reason) -> None:
    """The response code comes first. Then a section has a record for each required pattern, none for forbidden ones."""
    assert judged(facts, expect).reason is reason


def test_27_stages() -> None:
    """A server that cannot answer is NOT_ANSWERED. Another response code and wrong records are INVALID."""
    assert judged(DnsFacts("REFUSED"), Expect()).outcome is Outcome.NOT_ANSWERED
    assert judged(DnsFacts("NXDOMAIN"), Expect()).outcome is Outcome.INVALID
    assert judged(DnsFacts("NOERROR"), Expect(authority=RecordPatterns(must=("NS",)))).outcome is Outcome.INVALID


def test_27_a_response_code_comes_before_a_certificate() -> None:
    """Over TLS, a server that cannot answer is NOT_ANSWERED even if its certificate expires soon."""
    soon = CertificateFacts("ns.tax.example", (), 0, 1, 1)
    observation = Observation(0.0, 0.1, latency=0.1, dns=DnsFacts("SERVFAIL"), certificate=soon)
    definition = Probe("zone", "dns", expect=Expect(certificate_left=60.0))
    expectations = compile_expectations(definition, {}, latency=None, max_age=None)
    assert judge(observation, expectations).reason is Reason.NAME_SERVER_FAILED


def test_a_detail_says_what_is_missing_and_where() -> None:
    """The detail names the section, the pattern and a truncation, but no record found."""
    expect = Expect(answers=RecordPatterns(must=("MX",)))
    whole, cut = (judged(DnsFacts("NOERROR", (ANSWER,), truncated=flag), expect).detail for flag in (False, True))
    assert whole == "no record of the answer section matches MX"
    assert cut == "no record of the answer section, which is truncated, matches MX"


@pytest.mark.parametrize("recursion", [True, False])
def test_a_question_is_what_was_defined(recursion: bool) -> None:
    """The bytes sent hold the given id, one question, the recursion flag and nothing else."""
    asked = dns.message.from_wire(
        build_question(DnsQuery("WWW.Tax.example", "MX", recursion=recursion)).with_id(NUMBER)
    )
    assert (asked.id, asked.flags) == (0x1234, dns.flags.RD if recursion else 0)
    assert [str(question) for question in asked.question] == ["WWW.Tax.example. IN MX"]
    assert (asked.answer, asked.authority, asked.additional, asked.edns) == ([], [], [], -1)


def test_a_name_in_other_letters_is_asked_in_ascii() -> None:
    """A name in Persian letters is sent in its ASCII form."""
    asked = dns.message.from_wire(build_question(DnsQuery("مالیات.ir")).with_id(NUMBER))
    assert str(asked.question[0]) == "xn--mgbaj6hd62f.ir. IN A"


@pytest.mark.parametrize("name", ["a..b", ".a", "x" * 64 + ".ir", ".".join(["x" * 60] * 5)])
def test_what_is_no_name_is_refused(name: str) -> None:
    """A name that cannot be queried is refused when the target is prepared."""
    with pytest.raises(ValueError, match="not a domain name"):
        build_question(DnsQuery(name))


def test_an_answer_is_read() -> None:
    """An answer may differ in upper and lower case, and trailing bytes do not spoil it."""
    wire = answer_to(build_question(DnsQuery("WWW.TAX.EXAMPLE"))).to_wire() + b"\0\0"
    assert parsed(wire) == DnsFacts("NOERROR", (ANSWER.replace("www.tax.example", "WWW.TAX.EXAMPLE"),))


def test_a_worker_reads_the_same() -> None:
    """The facts, and what is wrong with an answer, pass through JSON unchanged; records of endless text are refused."""
    response = answer_to(QUESTION)
    response.flags |= dns.flags.AA
    response.authority.append(dns.rrset.from_text("tax.example.", 300, "IN", "NS", "ns.tax.example."))
    wire = response.to_wire()
    assert facts_of_call(read_answer_call(wire)) == read_answer(wire)
    with pytest.raises(MalformedAnswerError, match="not a complete"):
        facts_of_call(read_answer_call(wire[:-3]))
    name = dns.name.Name([b"\0" * 63] * 3 + [b"\0" * 61, b""])
    response.answer += [dns.rrset.from_rdata(name, ttl, response.answer[0][0]) for ttl in range(2000)]
    with pytest.raises(MalformedAnswerError, match="1 MiB"):
        facts_of_call(read_answer_call(response.to_wire()))


def test_a_truncated_answer_is_read_as_far_as_it_goes() -> None:
    """An answer marked as truncated may end anywhere, even within a record. An unmarked one may not."""
    response = answer_to(QUESTION)
    response.answer.append(dns.rrset.from_text("www.tax.example.", 60, "IN", "A", "192.0.2.2"))
    assert parsed(response.to_wire()) is not None
    with pytest.raises(MalformedAnswerError):
        parsed(response.to_wire()[:-3])
    response.flags |= dns.flags.TC
    assert parsed(response.to_wire()[:-3]) == DnsFacts("NOERROR", (ANSWER,), truncated=True)


def test_what_answers_another_question_is_none() -> None:
    """A message with another id, name, type or class is not the answer."""
    wire = answer_to(QUESTION).to_wire()
    assert parsed(wire, build_question(DnsQuery("www.tax.example", "AAAA"))) is None
    assert parsed(wire, build_question(DnsQuery("ns.tax.example"))) is None
    assert parsed(wire, number=b"\x12\x35") is None
    assert parsed(wire.replace(b"example\0\0\1\0\1", b"example\0\0\1\0\3")) is None
    assert parsed(wire[:5] + b"\2" + wire[6:]) is None


@given(st.binary(max_size=600))
def test_whatever_comes_is_read_or_malformed(data: bytes) -> None:
    """Any bytes either parse or raise MalformedAnswerError."""
    for wire in (data, NUMBER + data, QUESTION.with_id(NUMBER)[:2] + b"\x81\x80" + QUESTION.with_id(NUMBER)[4:] + data):
        try:
            facts = parsed(wire)
        except MalformedAnswerError:
            continue
        assert facts is None or facts.rcode


@given(st.integers(0, 60), st.integers(0, 255))
def test_an_answer_with_one_byte_changed_is_read_or_malformed(at: int, byte: int) -> None:
    """An answer with any one byte changed is parsed, skipped or malformed, and never crashes."""
    wire = bytearray(answer_to(QUESTION).to_wire())
    wire[min(at, len(wire) - 1)] = byte
    try:
        facts = parsed(bytes(wire))
    except MalformedAnswerError:
        return
    assert facts is None or facts.rcode


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("dns://192.0.2.53", ("192.0.2.53", 53)),
        ("dns://[2001:db8::1]:5353", ("2001:db8::1", 5353)),
        ("DNS://Ns.Tax.example/", ("ns.tax.example", 53)),
        ("dns://مالیات.ir", ("xn--mgbaj6hd62f.ir", 53)),
    ],
)
def test_places(target: str, place: tuple[str, int]) -> None:
    """A target names a host and a port, by default that of its kind. Hosts are ASCII and without brackets."""
    assert parse_host_port(target, 53) == place


@pytest.mark.parametrize("target", ["tcp://mail.example", "tcp://:25", "tcp://a:b", "mail.example:25"])
def test_what_is_no_place(target: str) -> None:
    """A target without host or port is refused."""
    with pytest.raises(ValueError, match="the target"):
        parse_host_port(target)
