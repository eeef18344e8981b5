"""How long the answer took and how old its data is: stages 3 and 4. Pure."""

from __future__ import annotations

from services.core.outcome import Reason
from services.prober.checks.age import moment
from services.prober.checks.document import Document
from services.prober.checks.wrong import WrongError
from services.prober.expectations import Expectations, FreshAt
from services.prober.observation import Observation

__all__ = ["age_of", "check_time"]


def age_of(observation: Observation, document: Document, fresh: FreshAt | None) -> float | None:
    """Seconds between the time the answer gives for its data and the end of the answer; a future time is age 0."""
    if fresh is None:
        return None
    value: object = None
    if fresh.query is not None:
        try:
            node = next(iter(fresh.query.finditer(document.value)), None)
        except WrongError:
            node = None
        value = node and node.value
    else:
        value = next((given for name, given in observation.headers if name == fresh.header), None)
    when = moment(value)
    if when is None:
        raise WrongError(Reason.AGE_UNREADABLE, "the answer does not tell the age of its data")
    return max(0.0, observation.time + observation.duration - when)


def check_time(observation: Observation, expectations: Expectations, age: float | None) -> None:
    """Stages 3 and 4, for an answer that is right."""
    latency, limit = observation.latency, expectations.latency
    if latency is not None and limit is not None and latency > limit:
        raise WrongError(Reason.LATE, f"answered after {latency * 1000:.0f} ms, more than {limit * 1000:.0f} ms")
    if age is not None and expectations.max_age is not None and age > expectations.max_age:
        raise WrongError(Reason.STALE, f"the data is {age:.0f} s old, more than {expectations.max_age:.0f} s")
