"""Checks of DNS answers: response code, records. Pure."""

from __future__ import annotations

from services.core.model import Reason
from services.prober.checks.check_failed import CheckFailedError
from services.prober.checks.document import Document
from services.prober.expected import Expectations, Records
from services.prober.observation import Observation

_NO_ANSWER = frozenset({"SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"})


def check_rcode(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check that the response code is one of those listed, or NOERROR."""
    dns = observation.dns
    if dns is None:
        return
    expected = expectations.rcode or frozenset({"NOERROR"})
    if dns.rcode not in expected:
        if dns.rcode in _NO_ANSWER:
            raise CheckFailedError(Reason.NAME_SERVER_FAILED, f"the name server answered {dns.rcode}")
        raise CheckFailedError(Reason.RCODE, f"{dns.rcode} instead of {', '.join(sorted(expected))}")


def check_records(observation: Observation, expectations: Expectations, _document: Document) -> None:
    """Check each section of the answer: every pattern matches a record, no forbidden one matches any."""
    dns = observation.dns
    if dns is None:
        return
    cut = ", which is truncated," if dns.truncated else ""
    _check_records(f"record of the answer section{cut}", dns.answers, expectations.answers)
    _check_records(f"record of the authority section{cut}", dns.authority, expectations.authority)


def _check_records(what: str, records: tuple[str, ...], expected: Records) -> None:
    for pattern in expected.must_not:
        if any(pattern.matches(record.encode()) for record in records):
            raise CheckFailedError(Reason.RECORDS, f"a {what} matches the forbidden {pattern.text}")
    for pattern in expected.must:
        if not any(pattern.matches(record.encode()) for record in records):
            raise CheckFailedError(Reason.RECORDS, f"no {what} matches {pattern.text}")
