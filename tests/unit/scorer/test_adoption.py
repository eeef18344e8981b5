"""Registers that are published in short succession are all adopted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from services.core.model.measurement import Target
from services.core.model.register import Register
from services.scorer.exchanges.database import ExchangeDatabase
from services.scorer.index.results import CompiledRegister
from tests.support.cases.scoring import Run, register, still_refresher

__all__ = ["register"]  # the fixture


async def test_no_register_is_passed_over(register: Register, tmp_path: Path) -> None:
    """Of two registers that come during one index, the last is in force, and targets of both have columns."""
    scoring = Run(register, tmp_path).scoring
    exchanges = cast(ExchangeDatabase, SimpleNamespace(attribute_by=lambda _: None))
    refresher = still_refresher(scoring, exchanges)
    for link in ("deed-first", "deed-second"):
        links = {**register.links, link: replace(register.links["deed-civil"], id=link)}
        refresher.adopt(CompiledRegister.of(replace(register, links=links, register_version=link)))
    await refresher.apply_adopted()
    assert scoring.register.register_version == "deed-second"
    assert {Target("deed-first"), Target("deed-second")} <= set(scoring.evidence.columns.targets)
