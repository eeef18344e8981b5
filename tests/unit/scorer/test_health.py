"""Health says SERVING while reading and publishing go well, and otherwise what is in the way."""

from __future__ import annotations

from services.core.runtime import Health
from services.scorer.health import ReadinessReporter


def test_a_start_says_what_it_is_at_until_there_is_an_index() -> None:
    """Reading alone is not serving; the first index ends the start, and nothing that begins later takes it back."""
    health = Health()
    readiness = ReadinessReporter(health)
    readiness.begin_phase("reading the evidence")
    assert str(health) == "NOT_SERVING: reading the evidence"
    readiness.set_reading(ok=True)
    assert str(health) == "NOT_SERVING: reading the evidence"
    readiness.begin_phase("computing the index")
    assert str(health) == "NOT_SERVING: computing the index"
    readiness.set_publishing(ok=True)
    assert str(health) == "SERVING"
    readiness.begin_phase("computing the index")
    assert str(health) == "SERVING"


def test_what_fails_is_said_before_what_has_begun() -> None:
    """A bus that does not answer is the reason, during a start as well as later, and the only one while there are two."""
    health = Health()
    readiness = ReadinessReporter(health)
    readiness.begin_phase("reading the evidence")
    readiness.set_reading(ok=False)
    assert str(health) == "NOT_SERVING: the bus cannot be read"
    readiness.set_publishing(ok=False)
    assert str(health) == "NOT_SERVING: the bus cannot be read"
    readiness.set_reading(ok=True)
    assert str(health) == "NOT_SERVING: the index cannot be published"
    readiness.set_publishing(ok=True)
    assert str(health) == "SERVING"


def test_without_a_reason_there_is_none_made_up() -> None:
    """A component that says no more than that it does not serve is quoted as such."""
    health = Health()
    assert str(health) == "NOT_SERVING"
    health.serving()
    health.not_serving()
    assert str(health) == "NOT_SERVING"
