"""Run the sandbox in an event loop with its own clock, so that a busy machine makes no answer late."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.support.patient_loop import PatientLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, type[PatientLoop]]:
    """Run tests in a patient loop."""
    return {"patient": PatientLoop}
