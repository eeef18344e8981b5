"""Batches of measurements and exchanges for the dataset, and their tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from services.core.model import (
    DURATION_BUCKETS,
    FACTS,
    ExchangeSummary,
    FactColumns,
    Finding,
    FindingKind,
    FindingScope,
    Indicator,
    IndicatorKind,
    Interval,
    Losses,
    MeasurementColumns,
    RankBand,
    RankBasis,
    Reason,
    RegisterVersions,
    StrictShare,
    Target,
)
from services.dataset.days import EvidenceDays, Sealer, SealingContext, write_segments
from services.dataset.log import LOG, WITNESS, SigningKey
from services.dataset.storage import LocalStorage
from services.dataset.tables import MEASUREMENT, exchange_table, measurement_table

SLOT = 300
START = 1_790_000_100 // SLOT * SLOT
STORED = START + 5 * SLOT
"""When the rows were stored, in epoch seconds: after the last of their slots."""
TARGETS = (Target("deed-civil"), Target("deed-tax"), Target("portal", endpoint=True))
VERSIONS = RegisterVersions("a" * 64, "b" * 64)


def batch(seed: int, rows: int = 20, vantage: str = "main") -> MeasurementColumns:
    """One batch of random measurements of TARGETS."""
    rng = np.random.default_rng(seed)
    reasons = np.array(list(Reason), np.uint8)[rng.integers(0, len(Reason), rows)]
    slots = START + SLOT * rng.integers(0, 5, rows)
    unset = rng.random((len(FACTS), rows)) < 0.3
    numbers = np.where(unset, -1, rng.integers(0, 3_000_000, (len(FACTS), rows)))
    return MeasurementColumns(
        vantage=vantage,
        targets=TARGETS,
        target=rng.integers(0, len(TARGETS), rows),
        slot_start=slots,
        time=np.where(rng.random(rows) < 0.2, -1, slots * 1_000_000 + rng.integers(0, SLOT * 1_000_000, rows)),
        outcome=np.array([Reason(int(number)).outcome for number in reasons], np.uint8),
        reason=reasons,
        facts=FactColumns(numbers, rng.integers(0, 2, rows), ("", 'refused by\tthe "server"')),
        register=VERSIONS,
    )


def measured(seed: int, *, sequence: int, rows: int = 20, vantage: str = "main", prober: str = "one") -> pa.Table:
    """The same as a table, as message ``sequence`` of the stream."""
    columns = replace(batch(seed, rows, vantage), prober=prober)
    return measurement_table(columns, stored=STORED + sequence / 8, sequence=sequence)


def exchanged(seed: int, *, sequence: int, rows: int = 5) -> pa.Table:
    """Summaries of random exchanges as a table."""
    return exchange_table("xroad", summaries(seed, rows), stored=STORED + sequence / 8, sequence=sequence)


def summaries(seed: int, rows: int = 5) -> list[ExchangeSummary]:
    """Summaries of random exchanges, some from a collector that did not count repeats."""
    rng = np.random.default_rng(seed)
    return [
        ExchangeSummary(
            client=f"GOV/C/{rng.integers(3)}",
            service=f"GOV/P/{rng.integers(3)}/service",
            slot_start=START + SLOT * int(rng.integers(5)),
            revision=int(rng.integers(1, 1 << 50)),
            count=int(count),
            ok=int(count) // 2,
            duration_buckets=tuple(map(int, rng.integers(0, 9, DURATION_BUCKETS))),
            duration_ms_sum=float(rng.random()),
            repeats=int(count) // 7 if count % 3 else None,
        )
        for count in rng.integers(0, 1000, rows)
    ]


def published(seed: int, as_of: int = START) -> Indicator:
    """Return a random indicator. Some seeds leave optional fields unset."""
    rng = np.random.default_rng(seed)
    low, point, high = np.sort(rng.random(3)).tolist()
    known = seed % 2 == 1
    return Indicator(
        kind=list(IndicatorKind)[seed % 5],
        id=f"entity-{seed % 3}",
        window_days=(7, 28)[seed % 2],
        as_of=as_of,
        point=point if known else None,
        lower=low,
        upper=high,
        known_share=float(rng.random()),
        losses=Losses(*rng.random(5).tolist()),
        strict=StrictShare(None, low, high) if seed % 3 else None,
        links_required=int(rng.integers(100)),
        register_version="a" * 64,
        probe_version="b" * 64,
        method_version="4",
        evidence_sequence=int(rng.integers(1 << 40)),
        interval=Interval(low, high, 0.9) if known else None,
        level=seed % 5 if known else None,
        rank_band=RankBand(1, 3, RankBasis.INTERVALS, 9) if known else None,
    )


def found(seed: int, since: int = START) -> Finding:
    """A random finding about exchanges; every second one is over."""
    rng = np.random.default_rng(seed)
    return Finding(
        id=f"{seed:016x}",
        kind=list(FindingKind)[seed % len(FindingKind)],
        scope=FindingScope.SERVICE,
        subject="xroad GOV/P/1/service",
        since=since,
        found_at=since + 3600,
        ended_at=since + 7200 if seed % 2 else None,
        step_seconds=3600,
        seen=float(rng.random()),
        expected=9.5,
        expected_low=8.0,
        expected_high=11.0,
        chance=float(rng.random()) / 1e9,
        flows=tuple(f"xroad GOV/C/{number} GOV/P/1/service" for number in range(seed % 3)),
        flow_count=seed % 3,
    )


def seal_a_day(folder: Path, key: SigningKey, *, sequence: int = 1) -> str:
    """Seal a day of one message in a dataset, and return the day."""
    storage, days = LocalStorage(folder), EvidenceDays("Asia/Tehran", 3600.0 + sequence, SLOT)
    write_segments(storage, MEASUREMENT, [measured(sequence, sequence=sequence)], sequence, sequence, days)
    day = days.day_of(START)
    Sealer(storage, key, days).seal(day, SealingContext())
    return day


def sealed_example(folder: Path) -> dict[str, str]:
    """Make a dataset of one sealed day with its keys.

    Return the address ``dataset``, the public ``key``, its file ``signer``, ``next_signer``, the file of a key to which it
    could be changed, and ``signs``, the key file of a witness.
    """
    key, signs, signer = SigningKey.generate("archive.example", LOG), folder / "witness.key", folder / "archive.key"
    following = folder / "next.key"
    signer.write_text(key.text(), "utf-8")
    following.write_text(SigningKey.generate("archive.example", LOG).text(), "utf-8")
    signs.write_text(SigningKey.generate("court.example", WITNESS).text(), "utf-8")
    seal_a_day(folder / "dataset", key)
    files = {"signs": str(signs), "signer": str(signer), "next_signer": str(following)}
    return {"dataset": str(folder / "dataset"), "key": str(key.public), **files}
