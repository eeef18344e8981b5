"""Random registers and measurements, and the index of them, for the property tests of services.indicator."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import strategies as st

from services.core.evidence import Kind, MeasurementColumns, Target
from services.core.model import ALWAYS, Agency, Endpoint, Government, Link, Policy, Register, Service, Vantage
from services.core.outcome import Outcome, Reason
from services.indicator.calendar import Calendar
from services.indicator.index import Frame, Snapshot, indicators
from services.indicator.window import Evidence
from tests import oracle

VANTAGES = ("north", "south", "west")
# Days with a change of clocks nearby, at midnight in Havana and Tehran; a day that never was in Apia.
PLACES = [
    ("UTC", date(2024, 2, 28)),
    ("Asia/Tehran", date(2021, 3, 21)),
    ("Asia/Tehran", date(2021, 9, 21)),
    ("America/Havana", date(2024, 3, 10)),
    ("America/Havana", date(2024, 11, 3)),
    ("Europe/Berlin", date(2024, 10, 27)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("America/St_Johns", date(2010, 11, 7)),
]


@dataclass
class Case:
    """A register and its measurements as the oracle takes them, and the window to compute."""

    register: dict[str, Any]
    measurements: list[oracle.Measurement] = field(repr=False)
    days: int
    end_slot: int
    rng: random.Random = field(default_factory=random.Random)

    def copy(self) -> Case:
        """Return a case to be changed beside this one."""
        return Case(deepcopy(self.register), list(self.measurements), self.days, self.end_slot, self.rng)

    @property
    def slots(self) -> list[int]:
        """The window's slots."""
        return oracle.window(self.register, self.days, self.end_slot)

    def links(self, *, on: str | None = None) -> list[dict[str, Any]]:
        """Return the register's links, of one service or of all."""
        return [link for link in self.register["links"] if on in (None, link["service"])]


@st.composite
def cases(draw: st.DrawFn, *, whole: bool = False, weights: Sequence[float] = (0, 1, 1, 1, 2.5, 0.1)) -> Case:
    """Draw a small government around a change of clocks.

    ``whole``: every link live and in force throughout, and measured by every vantage in every slot.
    """
    rng = random.Random(draw(st.integers(0, 2**32)))
    timezone, middle = draw(st.sampled_from(PLACES))
    seconds = draw(st.sampled_from([3600, 7200, 10800, 5 * 3600]))
    midnight = int(datetime(middle.year, middle.month, middle.day, tzinfo=ZoneInfo(timezone)).timestamp())
    agencies = [{"id": f"a{n}", "sector": f"x{n % 2}"} for n in range(draw(st.integers(2, 4)))]
    services = [
        {"id": f"s{n}", "agency": rng.choice(agencies)["id"], "weight": rng.choice(weights)}
        for n in range(draw(st.integers(1, 4)))
    ]

    def day(*, chance: float) -> date | None:
        return middle + timedelta(days=rng.randint(-2, 2)) if rng.random() < chance and not whole else None

    links = []
    for number in range(draw(st.integers(1, 7))):
        service = rng.choice(services)
        provider = rng.choice([agency["id"] for agency in agencies if agency["id"] != service["agency"]])
        live = "always" if whole or rng.random() < 0.6 else day(chance=0.6)
        links.append(
            {
                "id": f"l{number}",
                "service": service["id"],
                "provider": provider,
                "required_from": day(chance=0.3),
                "required_until": day(chance=0.2),
                "live_from": live,
                "vantages": tuple(rng.sample(VANTAGES, 2)) if rng.random() < 0.3 else (),
                "weight": rng.choice(weights),
            }
        )
    register = {
        "government": "gov",
        "timezone": timezone,
        "epoch": midnight - rng.randint(0, 4 * 86400),
        "slot_seconds": seconds,
        "threshold": Fraction(4, 5),
        "agencies": agencies,
        "services": services,
        "links": links,
        "endpoints": [{"id": "l0", "vantages": ()}, {"id": "portal", "vantages": ("north",)}],
    }
    case = Case(
        register=register,
        measurements=[],
        days=draw(st.integers(1, 4)),
        end_slot=(midnight + rng.randint(-86400, 3 * 86400)) // seconds,
        rng=rng,
    )
    gap = 0.0 if whole else rng.choice([0.0, 0.1, 0.5, 0.97])
    good = rng.choice([0.3, 0.9])
    first = -(-register["epoch"] // seconds)
    targets = [(False, link["id"]) for link in links] + [(True, one["id"]) for one in register["endpoints"]]
    for endpoint, target in targets:
        silent = not whole and rng.random() < 0.2
        for slot in range(first - 1, case.end_slot + 2):
            for vantage in VANTAGES[: 1 + rng.randrange(3)] if not whole else VANTAGES:
                if silent or rng.random() < gap:
                    continue
                for _ in range(rng.choice([1, 1, 2])):
                    unknown = not whole and rng.random() < 0.1
                    stage = None if unknown else 5 if rng.random() < good else rng.randrange(6)
                    time = None if unknown and rng.random() < 0.5 else slot * seconds * 10**6 + rng.randrange(-2, 3)
                    case.measurements.append((endpoint, target, vantage, slot, time, stage))
    return case


def amended(case: Case) -> dict[str, Any]:
    """Return another version of the case's register: dates, services, vantages and weights moved, links come and gone."""
    register, rng = deepcopy(case.register), case.rng
    links = register["links"]
    first = oracle.window(register, 10, case.end_slot)[:1] or [case.end_slot]
    day = datetime.fromtimestamp(first[0] * register["slot_seconds"], ZoneInfo(register["timezone"])).date()
    for link in list(links):
        chance = rng.random()
        moved = day + timedelta(days=rng.randint(-1, 4))
        if chance < 0.15 and len(links) > 1:
            links.remove(link)
        elif chance < 0.3:
            links.append({**link, "id": f"{link['id']}-too"})
        elif chance < 0.8:
            name, value = rng.choice(
                [
                    ("required_from", moved),
                    ("required_until", moved),
                    ("live_from", rng.choice([moved, None, "always"])),
                    ("vantages", rng.choice([(), VANTAGES[:1], VANTAGES[1:]])),
                    ("weight", 3),
                    ("service", rng.choice(register["services"])["id"]),
                ]
            )
            link[name] = value
    return register


def register_of(rows: dict[str, Any]) -> Register:
    """Return the same register as the library takes it."""
    links = {
        row["id"]: Link(
            id=row["id"],
            service=row["service"],
            provider=row["provider"],
            data_item=row["id"],
            required_from=row["required_from"],
            required_until=row["required_until"],
            live_from=ALWAYS if row["live_from"] == "always" else row["live_from"],
            vantages=row["vantages"],
            weight=row["weight"],
        )
        for row in rows["links"]
    }
    first_agency = rows["agencies"][0]["id"]
    return Register(
        agencies={row["id"]: Agency(row["id"], row["id"], row["id"], row["sector"]) for row in rows["agencies"]},
        services={
            row["id"]: Service(row["id"], row["agency"], row["id"], row["id"], weight=row["weight"])
            for row in rows["services"]
        },
        links=links,
        endpoints={
            row["id"]: Endpoint(row["id"], first_agency, None, "", "", vantages=row["vantages"])
            for row in rows["endpoints"]
        },
        probes={},
        policy=Policy(
            government=Government(rows["government"], "", ""),
            timezone=rows["timezone"],
            epoch=datetime.fromtimestamp(rows["epoch"], ZoneInfo("UTC")),
            slot_seconds=rows["slot_seconds"],
            publish_threshold=float(rows["threshold"]),
            vantages=tuple(Vantage(vantage) for vantage in VANTAGES),
        ),
        register_version="r" * 64,
        probe_version="p" * 64,
    )


def batches(rows: Sequence[oracle.Measurement], slot_seconds: int) -> list[MeasurementColumns]:
    """Return the measurements as batches, one per run of the same vantage, in the order given."""
    runs: list[list[oracle.Measurement]] = []
    for row in rows:
        if not runs or runs[-1][0][2] != row[2]:
            runs.append([])
        runs[-1].append(row)
    return [_batch(run, slot_seconds) for run in runs]


def _batch(rows: Sequence[oracle.Measurement], slot_seconds: int) -> MeasurementColumns:
    targets = sorted({Target(target, endpoint) for endpoint, target, *_ in rows})
    stages = [row[5] for row in rows]
    outcomes = [Outcome.UNKNOWN if stage is None else Outcome(stage + 2) for stage in stages]
    reasons = {
        Outcome.UNKNOWN: Reason.SHED,
        Outcome.NOT_CONNECTED: Reason.RESOLVE_FAILED,
        Outcome.NOT_ANSWERED: Reason.SERVER_ERROR,
        Outcome.INVALID: Reason.BODY,
        Outcome.LATE: Reason.LATE,
        Outcome.STALE: Reason.STALE,
        Outcome.OK: Reason.OK,
    }
    return MeasurementColumns(
        vantage=rows[0][2],
        targets=tuple(targets),
        target=np.array([targets.index(Target(row[1], row[0])) for row in rows], dtype=np.int64),
        slot_start=np.array([row[3] * slot_seconds for row in rows], dtype=np.int64),
        time=np.array([-1 if row[4] is None else row[4] for row in rows], dtype=np.int64),
        outcome=np.array(outcomes, dtype=np.uint8),
        reason=np.array([reasons[outcome] for outcome in outcomes], dtype=np.uint8),
    )


def by_vantage(rows: Sequence[oracle.Measurement]) -> list[oracle.Measurement]:
    """Return the same measurements, vantage by vantage: few and large batches."""
    return sorted(rows, key=lambda row: row[2])


def evidence_of(case: Case, rows: Sequence[oracle.Measurement] | None = None) -> Evidence:
    """Take in all the case's measurements (or those given), in the order given within a vantage."""
    evidence = Evidence(Calendar.of(register_of(case.register).policy))
    for batch in batches(by_vantage(case.measurements if rows is None else rows), case.register["slot_seconds"]):
        evidence.take(batch)
    return evidence


def snapshot(case: Case, evidence: Evidence | None = None, frame: Frame | None = None) -> Snapshot:
    """Compute the index of a case with the library."""
    return indicators(
        frame or Frame.of(register_of(case.register)),
        evidence or evidence_of(case),
        end_slot=case.end_slot,
        windows=[case.days],
    )


Measured = dict[tuple[str, str], dict[str, Any]]


def measured(found: Snapshot) -> Measured:
    """Return every indicator of a snapshot of one window as plain floats, by (kind label, id)."""
    (days,) = found.windows
    result: Measured = {}
    for kind in Kind:
        columns = found.columns[kind, days]
        for at, entity in enumerate(columns.ids):
            if not columns.applies[at]:
                continue
            strict = (columns.strict_point[at], columns.strict_lower[at], columns.strict_upper[at])
            result[kind.label, entity] = {
                "point": _unset(columns.point[at]),
                "estimate": _unset(columns.estimate[at]),
                "lower": float(columns.lower[at]),
                "upper": float(columns.upper[at]),
                "known_share": float(columns.known_share[at]),
                "losses": tuple(columns.losses[at].tolist()),
                "strict": None if np.isnan(strict[1]) else tuple(_unset(value) for value in strict),
                "required": int(columns.links_required[at]),
                "known": int(columns.links_known[at]),
                "absent": int(columns.links_absent[at]),
            }
    return result


def index_of(case: Case) -> Measured:
    """Compute every indicator of a case with the library."""
    return measured(snapshot(case))


def truth_of(case: Case) -> Measured:
    """Compute every indicator of a case with the oracle."""
    results = oracle.index_of_measurements(case.register, case.measurements, days=case.days, end_slot=case.end_slot)
    names = ("point", "estimate", "lower", "upper", "known_share", "losses", "strict", "required", "known", "absent")
    return {key: {name: getattr(result, name) for name in names} for key, result in results.items()}


NUMBERS = ("point", "estimate", "lower", "upper", "known_share", "losses", "strict")
EVERYTHING = (*NUMBERS, "required", "known", "absent")


def assert_same(one: Measured, other: Measured, names: Sequence[str] = EVERYTHING) -> None:
    """Assert that both hold the same indicators, equal within 10⁻¹²."""
    assert set(one) == set(other)
    for key in one:
        for name in names:
            assert _close(one[key][name], other[key][name]), (key, name, one[key][name], other[key][name])


def pick(found: Measured, wanted: Callable[[str, str], bool]) -> Measured:
    """Return those indicators whose (kind, id) is wanted."""
    return {key: value for key, value in found.items() if wanted(*key)}


def _close(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    if isinstance(one, tuple):
        return all(_close(a, b) for a, b in zip(one, other, strict=True))
    return abs(Fraction(one) - Fraction(other)) <= Fraction(1, 10**12)


def _unset(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
