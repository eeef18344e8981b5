"""The list of checks, in the order in which they decide, shared by judging and explaining. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.prober.checks.dns import check_rcode, check_records
from services.prober.checks.document import Document
from services.prober.checks.failures import check_whole
from services.prober.checks.grpc import check_rpc
from services.prober.checks.http import check_answered, check_body, check_bus, check_headers, check_secure, check_status
from services.prober.checks.json_values import check_json, check_record, check_schema
from services.prober.checks.soap import check_envelope, check_fault
from services.prober.checks.xml_values import check_xml, check_xml_record
from services.prober.expected import Expectations
from services.prober.observation import Observation

__all__ = ["CHECKS", "Check", "needed"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: ``run`` goes through the expectations in ``reads`` and raises CheckFailedError at the first thing wrong.

    Without such expectations it still applies to observations that have the fact ``about``. If a check that ``decides``
    fails, nothing after it can be judged.
    """

    title: str
    run: Callable[[Observation, Expectations, Document], None]
    reads: tuple[str, ...] = ()
    about: str = ""
    decides: bool = False


CHECKS: Final[tuple[Check, ...]] = (
    Check("answered", lambda seen, _expected, _document: check_whole(seen, headers_judged=False), decides=True),
    Check("call", lambda seen, _expected, _document: check_rpc(seen), about="rpc"),
    Check("data bus", lambda seen, expected, _document: check_bus(seen, expected), ("bus",)),
    Check("fault", check_fault, ("soap",)),
    Check("answered by the target", lambda seen, expected, _document: check_answered(seen, expected), about="status"),
    Check("status", lambda seen, expected, _document: check_status(seen, expected), ("status",), about="status"),
    Check("secure", lambda seen, expected, _document: check_secure(seen, expected), ("tls",)),
    Check("header", lambda seen, expected, _document: check_headers(seen, expected), ("headers",)),
    Check("whole", lambda seen, _expected, _document: check_whole(seen, headers_judged=True), decides=True),
    Check("response code", lambda seen, expected, _document: check_rcode(seen, expected), ("rcode",), about="dns"),
    Check("records", lambda seen, expected, _document: check_records(seen, expected), ("answers", "authority")),
    Check("body", lambda seen, expected, _document: check_body(seen, expected), ("must_not", "must")),
    Check("envelope", lambda _seen, expected, document: check_envelope(document, expected), ("soap",)),
    Check("json", lambda _seen, expected, document: check_json(document, expected), ("json",)),
    Check("xml", lambda _seen, expected, document: check_xml(document, expected), ("xml",)),
    Check("schema", lambda _seen, expected, document: check_schema(document, expected), ("schema",)),
    Check("record", lambda _seen, expected, document: check_record(document, expected), ("record",)),
    Check("record", lambda _seen, expected, document: check_xml_record(document, expected), ("xml_record",)),
)
"""Every check but that of time, which comes last (services.prober.checks.freshness)."""


def needed(expectations: Expectations) -> tuple[Check, ...]:
    """Return the checks that can fail under these expectations, in order: a few, and the same for every probe."""
    return tuple(
        check
        for check in CHECKS
        if not check.reads or check.about or any(getattr(expectations, name) for name in check.reads)
    )
