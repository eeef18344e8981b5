"""Behaviour 27: questions to name servers. Not a test itself."""

from __future__ import annotations

from services.core.model.outcome import Reason
from tests.conformance.case import CONFIG_ERROR, FAILS, PASSES, Case, Verdict
from tests.conformance.servers import Scene, at, leaf
from tests.conformance.talkers import names

__all__ = ["CASES"]

_A = ("tax.test. 60 IN A 192.0.2.7", "tax.test. 60 IN A 192.0.2.8")
_SOA = ("test. 60 IN SOA ns.test. root.test. 7 3600 600 86400 60",)
_FOUND = names(answers=_A)
_GONE = names("NXDOMAIN", authority=_SOA)


def _case(
    name: str,
    scene: Scene,
    reason: Reason | None,
    *,
    query: str = "name: tax.test, type: A",
    expect: str = "",
    their_query: str = "query_name: tax.test, query_type: A",
    theirs: str = "",
    verdict: Verdict | None = None,
    facts: dict[str, object] | None = None,
    differs: str = "",
) -> Case:
    return Case(
        27,
        name,
        scene,
        f"kind: dns\nquery: {{{query}}}\n" + (f"expect: {{{expect}}}" if expect else ""),
        f"prober: dns\ndns: {{{', '.join(filter(None, (their_query, theirs)))}}}",
        reason,
        verdict or (PASSES if reason is Reason.OK else FAILS),
        facts or {},
        differs=differs,
    )


def _answers(name: str, scene: Scene, reason: Reason, ours: str, theirs: str) -> Case:
    return _case(name, scene, reason, expect=f"answers: {{{ours}}}", theirs=f"validate_answer_rrs: {{{theirs}}}")


_SEVENTH = r"""['^tax\.test\.\s60\sIN\sA\s192\.0\.2\.7$']"""
_NINTH = r"['192\.0\.2\.9$']"
_EIGHTH = r"['192\.0\.2\.8$']"

_RCODES = (
    _case("an answer", _FOUND, Reason.OK, facts={"answers": 2, "authority": 0}),
    _case("no such name", _GONE, Reason.RCODE, facts={"answers": 0, "authority": 1}),
    _case(
        "no such name where that is listed",
        _GONE,
        Reason.OK,
        expect="rcode: [NXDOMAIN]",
        theirs="valid_rcodes: [NXDOMAIN]",
    ),
    _case(
        "an answer where only none is listed",
        _FOUND,
        Reason.RCODE,
        expect="rcode: [NXDOMAIN]",
        theirs="valid_rcodes: [NXDOMAIN]",
    ),
    _case("a name server that fails", names("SERVFAIL"), Reason.NAME_SERVER_FAILED),
    _case("a name server that refuses", names("REFUSED"), Reason.NAME_SERVER_FAILED),
    _case(
        "a refusal that is listed",
        names("REFUSED"),
        Reason.OK,
        expect="rcode: [REFUSED]",
        theirs="valid_rcodes: [REFUSED]",
    ),
    _case("an empty answer", names(), Reason.OK, facts={"answers": 0}),
)

_RECORDS = (
    _answers(
        "a record as required", _FOUND, Reason.OK, f"must: {_SEVENTH}", f"fail_if_none_matches_regexp: {_SEVENTH}"
    ),
    _answers(
        "no record as required", _FOUND, Reason.RECORDS, f"must: {_NINTH}", f"fail_if_none_matches_regexp: {_NINTH}"
    ),
    _answers(
        "no record at all", names(), Reason.RECORDS, f"must: {_SEVENTH}", f"fail_if_none_matches_regexp: {_SEVENTH}"
    ),
    _answers(
        "a forbidden record", _FOUND, Reason.RECORDS, f"must_not: {_EIGHTH}", f"fail_if_matches_regexp: {_EIGHTH}"
    ),
    _answers("no forbidden record", _FOUND, Reason.OK, f"must_not: {_NINTH}", f"fail_if_matches_regexp: {_NINTH}"),
    _case(
        "right records with a wrong response code",
        names("NXDOMAIN", _A),
        Reason.RCODE,
        expect=f"answers: {{must: {_SEVENTH}}}",
        theirs=f"validate_answer_rrs: {{fail_if_none_matches_regexp: {_SEVENTH}}}",
    ),
    _case(
        "an authority as required",
        _GONE,
        Reason.OK,
        expect=r"rcode: [NXDOMAIN], authority: {must: ['SOA\sns\.test\.']}",
        theirs=r"valid_rcodes: [NXDOMAIN], validate_authority_rrs: {fail_if_none_matches_regexp: ['SOA\sns\.test\.']}",
    ),
    _case(
        "no authority",
        _FOUND,
        Reason.RECORDS,
        expect="authority: {must: [SOA]}",
        theirs="validate_authority_rrs: {fail_if_none_matches_regexp: [SOA]}",
    ),
    _case(
        "several patterns, each met by a record",
        _FOUND,
        Reason.OK,
        expect=r"answers: {must: ['2\.7$', '2\.8$']}",
        theirs=r"validate_answer_rrs: {fail_if_none_matches_regexp: ['2\.7$', '2\.8$']}",
    ),
    _case(
        "several patterns, one met by no record",
        _FOUND,
        Reason.RECORDS,
        expect=r"answers: {must: ['2\.7$', '2\.9$']}",
        theirs=r"validate_answer_rrs: {fail_if_none_matches_regexp: ['2\.7$', '2\.9$']}",
        verdict=PASSES,
        differs="each required pattern must be met by some record; to blackbox_exporter one met pattern is enough",
    ),
)

_GLUE = names(answers=_A, additional=("ns.test. 60 IN A 192.0.2.9",))
_SECTIONS = (
    _case(
        "every record as required",
        _FOUND,
        Reason.OK,
        expect=r"answers: {every: ['\sA\s192\.0\.2\.[78]$']}",
        theirs=r"validate_answer_rrs: {fail_if_not_matches_regexp: ['\sA\s192\.0\.2\.[78]$']}",
    ),
    _case(
        "one record not as every one must be",
        _FOUND,
        Reason.RECORDS,
        expect=f"answers: {{every: {_EIGHTH}}}",
        theirs=f"validate_answer_rrs: {{fail_if_not_matches_regexp: {_EIGHTH}}}",
    ),
    _case(
        "no record where every one must be right",
        names(),
        Reason.RECORDS,
        expect=f"answers: {{every: {_EIGHTH}}}",
        theirs=f"validate_answer_rrs: {{fail_if_not_matches_regexp: {_EIGHTH}}}",
    ),
    _case(
        "an additional record as required",
        _GLUE,
        Reason.OK,
        expect=f"additional: {{must: {_NINTH}}}",
        theirs=f"validate_additional_rrs: {{fail_if_none_matches_regexp: {_NINTH}}}",
    ),
    _case(
        "an additional record that is forbidden",
        _GLUE,
        Reason.RECORDS,
        expect=f"additional: {{must_not: {_NINTH}}}",
        theirs=f"validate_additional_rrs: {{fail_if_matches_regexp: {_NINTH}}}",
    ),
)

_HERE = at("dns://127.0.0.1:1")

_QUESTIONS = (
    _case(
        "over TCP",
        _FOUND,
        Reason.OK,
        query="name: tax.test, type: A, transport: tcp",
        theirs="transport_protocol: tcp",
        facts={"answers": 2},
    ),
    _case(
        "recursion not desired",
        names(answers=_A, iterative=True),
        Reason.OK,
        query="name: tax.test, type: A, recursion: false",
        theirs="recursion_desired: false",
    ),
    _case(
        "another class",
        names(answers=("version.test. 0 CH TXT one",)),
        Reason.OK,
        query="name: version.test, type: TXT, class: CH",
        expect="answers: {must: [CH]}",
        their_query="query_name: version.test, query_type: TXT, query_class: CH",
        theirs="validate_answer_rrs: {fail_if_none_matches_regexp: [CH]}",
    ),
    _case("recursion desired unasked", names(answers=_A, iterative=True), Reason.NAME_SERVER_FAILED),
    _case(
        "a type that is none",
        _HERE,
        None,
        query="name: tax.test, type: AAAAA",
        their_query="query_name: tax.test, query_type: AAAAA",
        verdict=CONFIG_ERROR,
    ),
    _case(
        "no name to ask for",
        _HERE,
        None,
        query="type: A",
        their_query="query_type: A",
        verdict=CONFIG_ERROR,
    ),
    _case(
        "a response code that is none",
        _FOUND,
        None,
        expect="rcode: [NOBODY]",
        theirs="valid_rcodes: [NOBODY]",
        verdict=FAILS,
        differs="what can never be met is refused with the register, not found out at every probe",
    ),
    _case(
        "a transport that is none",
        _FOUND,
        None,
        query="name: tax.test, transport: pigeon",
        theirs="transport_protocol: pigeon",
        verdict=FAILS,
        differs="what can never be asked is refused with the register, not found out at every probe",
    ),
)

_TYPES = tuple(
    _case(
        f"records of type {type_}",
        names(answers=(f"key.test. 60 IN {type_} {data}",)),
        Reason.OK,
        query=f"name: key.test, type: {type_}",
        expect=rf"answers: {{every: ['\sIN\s{type_}\s']}}",
        their_query=f"query_name: key.test, query_type: {type_}",
        theirs=rf"validate_answer_rrs: {{fail_if_not_matches_regexp: ['\sIN\s{type_}\s']}}",
    )
    for type_, data in {
        "SSHFP": "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
        "LOC": "35 41 0.000 N 51 25 0.000 E 1200.00m",
        "RP": "admin.test. txt.test.",
        "DNAME": "tax.test.",
        "CDS": "12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "RRSIG": "A 13 2 300 20300101000000 20250101000000 12345 test. AAAA",
        "CERT": "PKIX 1 RSASHA256 AAAA",
        "OPENPGPKEY": "AAAA",
    }.items()
)

_SECURE = names(answers=_A, tls=leaf())
_OVER_TLS = (
    _case(
        "over TLS",
        _SECURE,
        Reason.OK,
        query="name: tax.test, transport: tls}\ntls: {ca: file:ca.pem",
        theirs="transport_protocol: tcp, dns_over_tls: true, tls_config: {ca_file: ca.pem}",
        facts={"answers": 2},
    ),
    _case(
        "over TLS with a certificate of a stranger",
        _SECURE,
        Reason.CERTIFICATE_UNTRUSTED,
        query="name: tax.test, transport: tls",
        theirs="transport_protocol: tcp, dns_over_tls: true",
    ),
)

CASES = (*_RCODES, *_RECORDS, *_SECTIONS, *_QUESTIONS, *_TYPES, *_OVER_TLS)
