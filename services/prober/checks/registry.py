"""The list of checks, in the order in which they decide, shared by judging and explaining. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.prober.checks.document import Document
from services.prober.checks.failures import check_answered, check_whole
from services.prober.checks.json_values import check_json, check_record, check_schema
from services.prober.checks.protocols import (
    check_body,
    check_bus,
    check_headers,
    check_rcode,
    check_records,
    check_refused,
    check_rpc,
    check_secure,
    check_status,
)
from services.prober.checks.soap import check_envelope, check_fault
from services.prober.checks.xml_values import check_xml, check_xml_record
from services.prober.expected import Expectations
from services.prober.observation import Observation


@dataclass(frozen=True, slots=True)
class Check:
    """One check: ``run`` goes through the expectations in ``reads`` and raises CheckFailedError at the first thing wrong.

    Without such expectations it still applies to observations that have the fact ``about``. If a check that ``decides``
    fails, nothing after it can be judged. ``words`` state for a person what it requires where no item does.
    """

    title: str
    words: str
    run: Callable[[Observation, Expectations, Document], None]
    reads: tuple[str, ...] = ()
    about: str = ""
    decides: bool = False


CHECKS: Final[tuple[Check, ...]] = (
    Check("answered", "an answer came", check_answered, decides=True),
    Check("call", "the call succeeded", check_rpc, about="rpc"),
    Check("data bus", "the provider answered, not the data bus", check_bus, ("bus",)),
    Check("fault", "no SOAP fault", check_fault, ("soap",)),
    Check("refused", "neither a server error nor a refusal", check_refused, about="status"),
    Check("status", "status is 2xx", check_status, ("status",), about="status"),
    Check("secure", "over TLS", check_secure, ("tls",)),
    Check("header", "header", check_headers, ("headers",)),
    Check("whole", "the answer is whole", check_whole, decides=True),
    Check("response code", "response code is NOERROR", check_rcode, ("rcode",), about="dns"),
    Check("records", "records", check_records, ("answers", "authority")),
    Check("body", "body", check_body, ("must_not", "must")),
    Check("envelope", "body is a SOAP message", check_envelope, ("soap",)),
    Check("json", "json", check_json, ("json",)),
    Check("xml", "xml", check_xml, ("xml",)),
    Check("schema", "body follows the JSON Schema", check_schema, ("schema",)),
    Check("record", "record", check_record, ("record",)),
    Check("record", "record", check_xml_record, ("xml_record",)),
)
"""Every check but that of time, which comes last (services.prober.checks.freshness)."""


def needed(expectations: Expectations) -> tuple[Check, ...]:
    """Return the checks that can fail under these expectations, in order: a few, and the same for every probe."""
    return tuple(
        check
        for check in CHECKS
        if not check.reads or check.about or any(getattr(expectations, name) for name in check.reads)
    )
