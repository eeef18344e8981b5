"""Run probes in an event loop with its own clock, so that a busy machine changes no outcome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.support.patient_loop import PatientLoop, loop_clock


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, type[PatientLoop]]:
    """Run tests in a patient loop."""
    return {"patient": PatientLoop}


@pytest.fixture(autouse=True)
def _patient_clock() -> Iterator[None]:
    """The prober reads the clock of the loop that it runs in."""
    with loop_clock("services.prober"):
        yield
