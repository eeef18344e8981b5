"""Registers and measurements near their limits, for tests of sensitivity."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from services.core.model.measurement import MeasurementColumns, Target
from services.core.model.outcome import OUTCOME_OF, Outcome, Reason
from services.core.model.register import Register
from services.indicator.calendar import Calendar
from services.indicator.register_arrays import RegisterArrays
from services.indicator.sensitivity.recount import Recount, by_day, mark_days
from tests.support.cases.api.indicator_answers import register_of
from tests.support.cases.indicator import VANTAGES, Case

__all__ = ["PHI_S", "TAU_MS", "alike", "counted", "limited", "measured"]

TAU_MS, PHI_S = 2000, 3600
REASONS = [Reason.OK, Reason.OK, Reason.LATE, Reason.STALE, Reason.STATUS, Reason.RESOLVE_FAILED, Reason.SHED]


def limited(case: Case) -> Register:
    """Return the case's register with a latency limit for all links and an age limit for some."""
    register = register_of(case.register)
    links = {
        name: replace(link, latency_ms=TAU_MS, max_age_s=PHI_S if index % 3 else None)
        for index, (name, link) in enumerate(register.links.items())
    }
    return replace(register, links=links)


def measured(case: Case, register: Register, *, gap: float = 0.2, again: float = 0.1) -> list[MeasurementColumns]:
    """Return measurements of all links, with latencies and ages that agree with their outcomes or are unknown.

    Some slots are measured ``again``, a few at the same time.
    """
    rng = case.rng
    targets = tuple(Target(link) for link in register.links)
    seconds = register.policy.slot_seconds
    first = Calendar.of(register.policy).epoch_slot
    columns = []
    for vantage in VANTAGES[: rng.randint(1, 3)]:
        rows = []
        for target, slot, chance in product(range(len(targets)), range(first, case.end_slot + 2), (1 - gap, again)):
            if rng.random() >= chance:
                continue
            limit = register.links[targets[target].id].max_age_s
            reason = rng.choice(REASONS)
            latency = rng.choice([-1, rng.randrange(TAU_MS * 4000)])
            age = rng.choice([-1, rng.randrange(PHI_S * 4_000_000)])
            if OUTCOME_OF[reason] >= Outcome.LATE and latency >= 0:
                late, stale = latency > TAU_MS * 1000, limit is not None and age > limit * 1_000_000
                reason = Reason.LATE if late else Reason.STALE if stale else Reason.OK
            rows.append((target, slot * seconds, slot * seconds * 10**6 + rng.randrange(3), reason, latency, age))
        rng.shuffle(rows)
        fields: list[list[Any]] = list(map(list, zip(*rows, strict=True))) if rows else [[]] * 6
        numbers, slots, times, reasons, latencies, ages = fields
        columns.append(
            MeasurementColumns(
                vantage=vantage,
                targets=targets,
                target=np.array(numbers, np.int64),
                slot_start=np.array(slots, np.int64),
                time=np.array(times, np.int64),
                outcome=np.array([OUTCOME_OF[one] for one in reasons], np.uint8),
                reason=np.array(reasons, np.uint8),
                latency=np.array(latencies, np.int64),
                data_age=np.array(ages, np.int64),
            )
        )
    return columns


def counted(case: Case, register: Register, batches: list[MeasurementColumns], windows: tuple[int, ...]):
    arrays, calendar = RegisterArrays.of(register), Calendar.of(register.policy)
    recount = Recount(arrays, calendar, end_slot=case.end_slot, windows=windows)
    for parts in mark_days(register, by_day(batches, calendar), recount.span):
        recount.add(parts)
    return arrays, recount.counts()


def alike(*, days: int = 2) -> Case:
    """Three agencies, each with a service that asks the two others; slots of an hour."""
    names = ["a0", "a1", "a2"]
    links = [
        {
            "id": f"{own}-{other}",
            "service": f"s-{own}",
            "provider": other,
            "required_from": None,
            "required_until": None,
            "live_from": "always",
            "vantages": (),
            "weight": 1,
        }
        for own in names
        for other in names
        if own != other
    ]
    register = {
        "government": "gov",
        "timezone": "UTC",
        "epoch": 1_767_225_600,
        "slot_seconds": 3600,
        "threshold": Fraction(4, 5),
        "agencies": [{"id": name, "sector": "x"} for name in names],
        "services": [{"id": f"s-{name}", "agency": name, "weight": 1} for name in names],
        "links": links,
        "endpoints": [],
    }
    return Case(register, [], days, 1_767_225_600 // 3600 + 60, random.Random(3))
