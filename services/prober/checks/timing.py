"""How long the answer took and how old its data is: stages 3 and 4. Pure."""

from __future__ import annotations

from services.core.model import Reason
from services.prober.checks.check_failed import WrongError
from services.prober.checks.document import Document
from services.prober.checks.freshness import moment
from services.prober.checks.xml_values import texts
from services.prober.expected.expectations import Expectations, FreshAt
from services.prober.observation import Observation

__all__ = ["age_of", "check_time"]

# Clocks are wrong by minutes, and a day alone begins up to a day apart; what is further ahead is no time of data.
_AHEAD = 86_400.0


def age_of(observation: Observation, document: Document, expectations: Expectations) -> float | None:
    """Seconds between the time the answer gives for its data and the end of the answer; up to a day ahead is age 0."""
    fresh = expectations.fresh
    if fresh is None:
        return None
    try:
        value = _found(observation, document, fresh)
    except WrongError:
        value = None
    when = moment(value, expectations.zone)
    if when is None:
        raise WrongError(Reason.AGE_UNREADABLE, "the answer does not tell the age of its data")
    age = observation.time + observation.duration - when
    if age < -_AHEAD:
        raise WrongError(Reason.AGE_UNREADABLE, "the answer tells of data that is from more than a day ahead")
    return max(0.0, age)


def _found(observation: Observation, document: Document, fresh: FreshAt) -> object:
    if fresh.query is not None:
        return next(iter(fresh.query.values(document.value)), None)
    if fresh.xpath is not None:
        return next(texts(fresh.xpath, document), None)
    return next((given for name, given in observation.headers if name == fresh.header), None)


def check_time(observation: Observation, expectations: Expectations, age: float | None) -> None:
    """Stages 3 and 4, for an answer that is right."""
    latency, limit = observation.latency, expectations.latency
    if latency is not None and limit is not None and latency > limit:
        raise WrongError(Reason.LATE, f"answered after {latency * 1000:.0f} ms, more than {limit * 1000:.0f} ms")
    if age is not None and expectations.max_age is not None and age > expectations.max_age:
        raise WrongError(Reason.STALE, f"the data is {age:.0f} s old, more than {expectations.max_age:.0f} s")
