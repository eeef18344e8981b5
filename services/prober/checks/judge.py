"""From what a probe saw to what it means: (outcome, reason, detail). Pure, and never raises (PROBING.md, Kinds).

The lowest stage wins: what kept the target from being connected comes before what kept it from answering, that before
wrong content, that before lateness, that before staleness. Within a stage the order below decides the reason. A check
whose fact the probe's kind does not have, or for which nothing is expected, passes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.core.outcome import Outcome, Reason
from services.prober.checks.answer import check_answered, check_body, check_headers, check_secure, check_status
from services.prober.checks.document import Document, check_json
from services.prober.checks.failures import check_whole
from services.prober.checks.names import check_names
from services.prober.checks.rpc import check_rpc
from services.prober.checks.timing import age_of, check_time
from services.prober.checks.wrong import WrongError
from services.prober.expectations import Expectations
from services.prober.observation import Observation

__all__ = ["DETAIL_LENGTH", "Judgement", "judge"]

DETAIL_LENGTH = 200
"""A detail is cut to this many characters."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one observation means. ``data_age`` in seconds, None when the answer does not tell."""

    reason: Reason
    detail: str = ""
    data_age: float | None = None

    @property
    def outcome(self) -> Outcome:
        """The outcome the reason belongs to."""
        return self.reason.outcome


def judge(observation: Observation, expectations: Expectations) -> Judgement:
    """Say what an observation means for the target. A check that itself errors is INVALID/CHECK_ERROR, never a pass.

    A journey fails as its first step that fails does.
    """
    try:
        for step in observation.steps:
            judgement = judge(step.observation, step.expectations)
            if judgement.reason is not Reason.OK:
                return replace(judgement, detail=f"step {step.name}: {judgement.detail}"[:DETAIL_LENGTH])
        return _judge(observation, expectations)
    except Exception as error:  # noqa: BLE001 - the border: whatever goes wrong in a check is a failed check
        return Judgement(Reason.CHECK_ERROR, f"a check failed to run: {type(error).__name__}")


def _judge(observation: Observation, expectations: Expectations) -> Judgement:
    age: float | None = None
    try:
        check_whole(observation, headers_judged=False)
        check_rpc(observation)
        check_answered(observation, expectations)
        check_status(observation, expectations)
        check_secure(observation, expectations)
        check_headers(observation, expectations)
        check_whole(observation, headers_judged=True)
        check_names(observation, expectations)
        document = Document(observation.body)
        check_body(observation, expectations)
        check_json(document, expectations)
        age = age_of(observation, document, expectations.fresh)
        check_time(observation, expectations, age)
    except WrongError as wrong:
        return Judgement(wrong.reason, wrong.detail[:DETAIL_LENGTH], age)
    return Judgement(Reason.OK, "", age)
