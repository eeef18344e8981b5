"""The scorer is SERVING while reading and publishing succeed, and otherwise gives the reason."""

from __future__ import annotations

from services.core.runtime import Health
from services.scorer.health import ReadinessReporter


def test_a_start_reports_its_phase_until_there_is_an_index() -> None:
    """Reading alone is not serving. The first index ends the startup, and later phases do not undo that."""
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


def test_a_failure_is_reported_before_a_phase() -> None:
    """A bus that does not answer is the reason, during startup and later. Of two failures the first is given."""
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


def test_a_wrong_clock_is_reported_until_it_is_right() -> None:
    """With a wrong clock the scorer does not serve. A bus that cannot be read is reported first."""
    health = Health()
    readiness = ReadinessReporter(health)
    readiness.set_reading(ok=True)
    readiness.set_publishing(ok=True)
    readiness.set_clock("the clock is wrong")
    assert str(health) == "NOT_SERVING: the clock is wrong"
    readiness.set_publishing(ok=False)
    assert str(health) == "NOT_SERVING: the clock is wrong"
    readiness.set_publishing(ok=True)
    readiness.set_reading(ok=False)
    assert str(health) == "NOT_SERVING: the bus cannot be read"
    readiness.set_reading(ok=True)
    readiness.set_clock("")
    assert str(health) == "SERVING"


def test_what_stands_by_serves_once_it_reads() -> None:
    """A scorer that stands by serves once it reads. When it takes over, it serves again from its first index on."""
    health = Health()
    readiness = ReadinessReporter(health)
    readiness.begin_phase("reading the evidence")
    readiness.set_standing_by(active=True)
    assert str(health) == "NOT_SERVING: reading the evidence"
    readiness.set_reading(ok=True)
    assert str(health) == "SERVING"
    readiness.set_standing_by(active=False)
    readiness.begin_phase("computing the index")
    assert str(health) == "NOT_SERVING: computing the index"
    readiness.set_publishing(ok=True)
    assert str(health) == "SERVING"
