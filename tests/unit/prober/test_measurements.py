"""A measurement states what a probe showed, within the limits of what readers take."""

from __future__ import annotations

from services.core.model import Reason, Target
from services.prober.assignments import Origin
from services.prober.publishing.measurements import unmeasured


def test_no_detail_is_longer_than_readers_take() -> None:
    """A detail that names a very long path is cut."""
    origin = Origin("main", "one", "a" * 64, "b" * 64)
    row = unmeasured(Target("deed-tax"), 0, Reason.OWN_CREDENTIAL, f"{'x' * 5_000} cannot be read", origin)
    assert row.detail == "x" * 200
