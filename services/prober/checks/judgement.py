"""Judges an observation: returns its outcome, reason and detail. Pure, and never raises (docs/probing.md §1, §6).

The lowest stage wins, in this order: failed connection, missing answer, wrong content, lateness, staleness. Within a
stage, the order of CHECKS decides the reason. A check passes if the kind of probe does not have the fact, or if nothing
is expected of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.core.model import Outcome, Reason, unfrozen
from services.prober.checks.document import CheckFailedError, Document, document_of
from services.prober.checks.freshness import age_of, check_time
from services.prober.checks.json_values import check_json, check_schema, json_problem
from services.prober.checks.protocols import (
    check_answered,
    check_body,
    check_bus,
    check_certificate,
    check_headers,
    check_rcode,
    check_records,
    check_refused,
    check_rpc,
    check_secure,
    check_status,
    check_whole,
)
from services.prober.checks.xml_values import check_envelope, check_fault, check_xml, xml_problem
from services.prober.expected import Expectations, JsonCheck
from services.prober.observation import Observation


@dataclass(frozen=True, slots=True)
class Check:
    """One check. ``run`` goes through the expectations in ``reads`` and raises CheckFailedError at the first problem.

    Without such expectations, it still applies to observations that have the fact ``about``. If a check that
    ``decides`` fails, nothing after it can be judged. ``words`` tell a person what it requires where no item does.
    """

    title: str
    words: str
    run: Callable[[Observation, Expectations, Document], None]
    reads: tuple[str, ...] = ()
    about: str = ""
    decides: bool = False


def check_record(_observation: Observation, expectations: Expectations, document: Document) -> None:
    """Check the fields of the test record."""
    for check in expectations.record:
        problem = json_problem(check, document) if isinstance(check, JsonCheck) else xml_problem(check, document)
        if problem:
            raise CheckFailedError(Reason.TEST_RECORD, problem)


CHECKS: Final[tuple[Check, ...]] = (
    Check("answered", "an answer came", check_answered, decides=True),
    Check("call", "the call succeeded", check_rpc, about="rpc"),
    Check("data bus", "the provider answered, not the data bus", check_bus, ("bus",)),
    Check("fault", "no SOAP fault", check_fault, ("soap",)),
    Check("refused", "neither a server error nor a refusal", check_refused, about="status"),
    Check("status", "status is 2xx", check_status, ("status",), about="status"),
    Check("response code", "response code is NOERROR", check_rcode, ("rcode",), about="dns"),
    Check("secure", "over TLS", check_secure, ("tls",)),
    Check("certificate", "the certificate is valid for long enough", check_certificate, ("certificate_left",)),
    Check("header", "header", check_headers, ("headers",)),
    Check("whole", "the answer is whole", check_whole, decides=True),
    Check("records", "records", check_records, ("authoritative", "answers", "authority", "additional")),
    Check("body", "body", check_body, ("must_not", "must")),
    Check("envelope", "body is a SOAP message", check_envelope, ("soap",)),
    Check("json", "json", check_json, ("json",)),
    Check("xml", "xml", check_xml, ("xml",)),
    Check("schema", "body follows the JSON Schema", check_schema, ("schema",)),
    Check("record", "record", check_record, ("record",)),
)
"""All checks except that of time, which comes last (services.prober.checks.freshness)."""


def needed(expectations: Expectations) -> tuple[Check, ...]:
    """Return the checks that can fail under these expectations, in order. They are few and the same for every probe."""
    return tuple(
        check
        for check in CHECKS
        if not check.reads or check.about or any(getattr(expectations, name) for name in check.reads)
    )


@unfrozen
class Judgement:
    """What one observation means. ``data_age`` in seconds, None when the answer does not state it."""

    reason: Reason
    detail: str = ""
    data_age: float | None = None

    @property
    def outcome(self) -> Outcome:
        """The outcome that the reason belongs to."""
        return self.reason.outcome


def judge(observation: Observation, expectations: Expectations, checks: Sequence[Check] = CHECKS) -> Judgement:
    """Return what an observation means for the target. A check that crashes is INVALID/CHECK_ERROR, never a pass.

    ``checks`` may be only those that are ``needed`` under the expectations.
    """
    try:
        if observation.steps:
            return _judge_steps(observation, expectations)
        judgement = _judge(observation, expectations, checks)
        return _invert(judgement, observation, expectations) if expectations.refused else judgement
    except Exception as error:  # noqa: BLE001 - a check that raises has failed
        return Judgement(Reason.CHECK_ERROR, f"a check failed to run: {type(error).__name__}")


def _invert(judgement: Judgement, observation: Observation, expectations: Expectations) -> Judgement:
    """Return what a judgement means where a refusal is right, if it is in time: an answer of any other kind is wrong."""
    if judgement.reason is Reason.AUTH_REFUSED:
        try:
            check_time(observation, expectations, None)
        except CheckFailedError as late:
            return Judgement(late.reason, late.detail)
        return Judgement(Reason.OK)
    if judgement.outcome >= Outcome.INVALID:
        detail = f"the target answered what it must refuse: {judgement.detail or 'the answer is right'}"
        return Judgement(Reason.NOT_REFUSED, detail)
    return judgement


def _judge_steps(journey: Observation, expectations: Expectations) -> Judgement:
    """Judge a journey by its first step that fails, then by its time and its oldest data."""
    oldest: float | None = None
    for step, expected in zip(journey.steps, expectations.steps, strict=True):
        judgement = judge(step.observation, replace(expected, zone=expectations.zone))
        if judgement.reason is not Reason.OK:
            return replace(judgement, detail=f"step {step.name}: {judgement.detail}")
        if judgement.data_age is not None:
            oldest = max(judgement.data_age, oldest or 0.0)
    try:
        check_whole(journey, expectations, document_of(journey))
        check_time(journey, expectations, oldest)
    except CheckFailedError as failed:
        return Judgement(failed.reason, failed.detail, oldest)
    return Judgement(Reason.OK, "", oldest)


def _judge(observation: Observation, expectations: Expectations, checks: Sequence[Check]) -> Judgement:
    age: float | None = None
    document = document_of(observation)
    try:
        for check in checks:
            check.run(observation, expectations, document)
        age = age_of(observation, document, expectations)
        check_time(observation, expectations, age)
    except CheckFailedError as failed:
        return Judgement(failed.reason, failed.detail, age)
    return Judgement(Reason.OK, "", age)
