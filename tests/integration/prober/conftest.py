"""Run probes in an event loop with its own clock, so that a busy machine changes no outcome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from services.prober.checks import worker_process
from tests.support.patient_loop import PatientLoop, loop_clock, quick_waits
from tests.support.waiting import DEADLINE


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, type[PatientLoop]]:
    """Run tests in a patient loop."""
    return {"patient": PatientLoop}


@pytest.fixture(autouse=True)
def _patient_clock() -> Iterator[None]:
    """The prober reads the clock of the loop that it runs in.

    A worker has the machine's clock, by which it ends itself if the loop does not end it. That clock goes on while the
    loop's stands still.
    """
    with loop_clock("services.prober"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_process, "_ALARM_SECONDS", DEADLINE)
        yield


@pytest.fixture
def quick() -> Iterator[None]:
    """Slots and timeouts pass four times as fast. For tests whose servers run in their own loop."""
    with quick_waits(4.0):
        yield
