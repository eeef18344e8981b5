"""Exchanges of three flows of a register, hour by hour, that a scorer watches. Not a test."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.core.model import StreamPosition
from services.core.model.exchange import ExchangeSummary
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.register.directory.load import load_register
from services.scorer.exchanges.database import ExchangeDatabase
from services.scorer.index.results import CompiledRegister
from services.scorer.index.scoring import Scoring
from services.scorer.state.loading import LoadedState
from tests.support.registers import write_register

EPOCH = 1_767_214_800  # 2026-01-01T00:30 in Tehran, a whole hour of UTC
HOUR = 3600
WEEK = 168 * HOUR
STOPPED = EPOCH + 4 * WEEK + 60 * HOUR
ASKING = "getSecurityServerOperationalData"
FLOWS = {
    "tax-office": "customs/tax-clearance/imports",
    "land-registry": "civil-registry/title-deed/civil-status",
    "civil-registry": "tax-office/birth-certificate/dependants",
}


def made(tmp_path: Path) -> tuple[Scoring, ExchangeDatabase]:
    """Return a scoring and the exchanges of its register, both empty."""
    register = load_register(write_register(tmp_path / "register"))
    loaded = LoadedState(None, Evidence(Calendar.of(register.policy)), ())
    scoring = Scoring(CompiledRegister.of(register), loaded, StreamPosition("M", "", 0))
    exchanges = ExchangeDatabase(tmp_path / "exchanges.sqlite")
    exchanges.attribute_by(scoring.compiled.attributor)
    return scoring, exchanges


def take(
    exchanges: ExchangeDatabase,
    scoring: Scoring,
    hours: range,
    least: int = 15,
    spread: int = 11,
    details: Callable[[str, int, int], dict[str, Any]] = lambda _client, _start, _count: {},
) -> None:
    """Ingest hours of exchanges of each flow, about twenty per hour by default. Those of tax-office stop at STOPPED.

    ``details`` returns further fields of a client's exchanges in an hour.
    """
    messages = []
    for hour in hours:
        start, chance, rows = hour * HOUR, random.Random(hour), []
        for client, service in FLOWS.items():
            count = 0 if client == "tax-office" and start >= STOPPED else least + chance.randrange(spread)
            told = details(client, start, count)
            rows.append(ExchangeSummary(client, service, start, 1, count=count, ok=count, **told))
        messages.append((start + HOUR, "xroad", rows))
    exchanges.take(messages, calendar=scoring.calendar)
