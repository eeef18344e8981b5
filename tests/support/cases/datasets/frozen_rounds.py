"""Folders of frozen rounds made by hand: signed and listed like real ones, but small. Not a test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from services.core.model import Indicator, IndicatorKind, Losses
from services.dataset.log import SigningKey
from services.dataset.rounds import (
    INDICATORS_FILE,
    ROUND_FILE,
    SIGNED_SUMS,
    SUMS,
    FrozenRound,
    sign_sums,
    sums_of,
)
from services.dataset.storage import LocalStorage
from services.dataset.tables import INDICATOR, indicator_table, write
from tests.support.cases.api.blocks import AS_OF

__all__ = ["KEY", "MEASUREMENTS", "write_round"]

KEY = SigningKey.generate("archive.example")
MEASUREMENTS = "evidence/sealed/kind=measurement/day=2026-03-01/shard=00.parquet"
_SECRET = b"http://127.0.0.1:7500/tax/clearance deed-tax"
"""Content that only callers who see every link may read."""

_GOVERNMENT = Indicator(
    kind=IndicatorKind.GOVERNMENT,
    id="country",
    window_days=7,
    as_of=AS_OF,
    point=0.625,
    lower=0.5625,
    upper=0.6875,
    known_share=0.875,
    losses=Losses(0.125, 0.125, 0.0, 0.0625, 0.0),
    links_required=8,
    links_known=7,
    links_absent=1,
    register_version="r" * 64,
    probe_version="p" * 64,
    method_version="2.0",
    evidence_sequence=7,
)


def write_round(out: Path, name: str, *, more: dict[str, bytes] | None = None, **changes: object) -> Path:
    """Write a round into a folder of rounds and return its folder. ``changes`` replace fields of its description."""
    frozen = FrozenRound(
        id=name,
        title_en=f"Round {name}",
        title_fa=f"دور {name}",
        timezone="Asia/Tehran",
        window_days=7,
        as_of=AS_OF,
        evidence_sequence=7,
        register_version="r" * 64,
        probe_version="p" * 64,
        method_version="2.0",
        software="0.3.0",
        record="2025-12-09",
        end="2026-03-09",
        days=("2026-03-01",),
        key=str(KEY.public),
    )
    storage = LocalStorage(out / name)
    indicators = indicator_table([_GOVERNMENT], stored=AS_OF, sequence=7)
    for file, content in {
        ROUND_FILE: replace(frozen, **changes).content(),  # type: ignore[arg-type]
        INDICATORS_FILE: write(indicators, INDICATOR),
        "indicators.csv": b"kind,id\ngovernment,country\n",
        "structure.json": b"{}",
        "datapackage.json": b"{}",
        "report.en.pdf": b"%PDF-1.7 " + _SECRET,
        "register/r.p.json": _SECRET,
        MEASUREMENTS: _SECRET * 100,
        **(more or {}),
    }.items():
        storage.write(file, content)
    sums = sums_of(storage)
    storage.write(SUMS, sums.encode())
    storage.write(SIGNED_SUMS, sign_sums(sums, KEY).encode())
    return out / name
