"""The findings that a scorer takes over from the last index on the bus."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

import pytest

from services.core.bus import Bus
from services.core.errors import BusError, TornValueError
from services.core.log import logger
from services.core.model.register import Register
from services.scorer import resuming
from services.scorer.exchanges import ReconciliationReport
from services.scorer.publishing import BlockEncoder, published_findings
from tests.support.cases.datasets.rows import found
from tests.support.cases.scoring import SLOT, START, Run, register

__all__ = ["register"]  # the fixture


class Answers:
    """A bus that gives one answer or error after another."""

    def __init__(self, *answers: bytes | BusError) -> None:
        self._answers = iter(answers)

    async def kv_get(self, _bucket: str, _key: str) -> bytes:
        answer = next(self._answers)
        if isinstance(answer, BusError):
            raise answer
        return answer


async def test_published_findings_are_read_once_the_bus_answers(
    register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scorer that takes over keeps the published findings, although the bus did not answer at first."""
    monkeypatch.setattr(resuming, "POLL_SECONDS", 0)
    scoring = Run(register, tmp_path).scoring
    result = scoring.compute(scoring.count(START // SLOT + 1))
    ((block,),) = BlockEncoder(result, (), ReconciliationReport(), findings=(found(0),)).government()
    assert block.payload is not None
    bus = Answers(BusError("no answer in time"), BusError("no answer in time"), block.payload)
    read = partial(published_findings, cast(Bus, bus))
    assert await resuming.persistently(read, logger()) == (found(0),)


async def test_a_damaged_index_has_no_findings() -> None:
    """A scorer does not wait for an index whose parts stay missing: its own index replaces that one."""
    assert await published_findings(cast(Bus, Answers(TornValueError("parts are missing")))) == ()
