"""An index and verdicts whose metrics tests read. Not a test."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.core.codec import decode_columns, encode_measurements
from services.core.model import StreamPosition
from services.core.model.measurement import Measurement, MeasurementColumns, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.core.model.register import Register
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.register.directory.load import load_register
from services.scorer.index.results import CompiledRegister, IndexResult
from services.scorer.index.scoring import Scoring
from services.scorer.state.loading import LoadedState
from tests.support.registers import write_register

__all__ = ["EPOCH", "SLOT", "judged", "measured", "register", "registry", "samples"]

EPOCH = 1_767_213_000  # 2026-01-01T00:00 in Tehran
SLOT = 300


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    return load_register(write_register(tmp_path_factory.mktemp("register")))


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def samples(registry: CollectorRegistry) -> dict[str, float]:
    """Return the exposed series and their values."""
    lines = generate_latest(registry).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {series: float(value) for series, value in pairs}


def measured(
    reasons: dict[str, Reason], slot: int = 0, *, vantage: str = "north", bus: Reason | None = None
) -> MeasurementColumns:
    """Return a vantage's measurements of links, and of the data bus if given, in a slot after the epoch."""
    start = EPOCH + SLOT * slot
    targets = {Target(link): why for link, why in reasons.items()}
    if bus is not None:
        targets[Target("bus", endpoint=True)] = bus
    rows = [Measurement(target, vantage, start, start + 1.0, OUTCOME_OF[why], why) for target, why in targets.items()]
    return decode_columns(encode_measurements(rows))


def judged(
    register: Register, reasons: dict[str, Reason], slots: int = 1, bus: Reason | None = None
) -> tuple[Scoring, IndexResult]:
    """Return the index of the first slots after the epoch. Both vantages measure the first slot."""
    scoring = Scoring(
        CompiledRegister.of(register),
        LoadedState(None, Evidence(Calendar.of(register.policy)), ()),
        StreamPosition("M", "", 0),
    )
    for vantage in ("north", "south"):
        scoring.take(measured(reasons, vantage=vantage, bus=bus), stored=EPOCH + 310.0, sequence=1)
    return scoring, scoring.compute(scoring.count(EPOCH // SLOT + slots))
