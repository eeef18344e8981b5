"""The index by brute force, in exact rationals, to check the library against.

It imports nothing of the project and goes slot by slot, so that it shares neither code nor cleverness with what it
checks. Everything goes in as plain rows and comes out as Fractions:

register = {
    "government": "id", "timezone": "Asia/Tehran", "epoch": 1700000000, "slot_seconds": 300, "threshold": Fraction(4, 5),
    "agencies":  [{"id", "sector"}],
    "services":  [{"id", "agency", "weight"}],
    "links":     [{"id", "service", "provider", "required_from", "required_until", "live_from", "vantages", "weight"}],
    "endpoints": [{"id", "vantages"}],
}
Dates are datetime.date or None; live_from is None (absent), "always" or a date; vantages is empty for all.
measurement = (endpoint?, target id, vantage, slot number, time or None, stage 0-5 or None for UNKNOWN)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from math import ceil, lcm
from typing import Any
from zoneinfo import ZoneInfo

Register = Mapping[str, Any]
Measurement = tuple[bool, str, str, int, int | None, int | None]
Verdicts = dict[tuple[bool, str, int], int]
"""(endpoint?, target id, slot number) → stage; an absent slot is unknown."""


@dataclass(frozen=True)
class Result:
    """One indicator. ``estimate`` is the point before the publish threshold, None when nothing at all is known."""

    point: Fraction | None
    estimate: Fraction | None
    lower: Fraction
    upper: Fraction
    known_share: Fraction
    losses: tuple[Fraction, ...]
    strict: tuple[Fraction | None, Fraction, Fraction] | None
    required: int
    known: int
    absent: int


def decimal(weight: float | Fraction) -> Fraction:
    """Return a weight as a register writes it: 0.1 is a tenth, which no double is."""
    return Fraction(str(weight))


def midnight(register: Register, day: date) -> int:
    """Return the day's first midnight in epoch seconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(register["timezone"])).timestamp())


def window(register: Register, days: int, end_slot: int) -> list[int]:
    """Return the slots of the last ``days`` complete days and of the day that ``end_slot`` starts in, up to it."""
    seconds = register["slot_seconds"]
    end = end_slot * seconds
    near = datetime.fromtimestamp(end, ZoneInfo("UTC")).date()
    today = max(day for ahead in range(-3, 4) if midnight(register, day := near + timedelta(days=ahead)) <= end)
    start = max(midnight(register, today - timedelta(days=days)), register["epoch"])
    return list(range(ceil(Fraction(start) / seconds), end_slot))


def verdicts(register: Register, measurements: Iterable[Measurement], delayed: Iterable[Measurement] = ()) -> Verdicts:
    """Judge each slot that was measured: the best of each vantage, then the lower median over vantages.

    Of measurements that were stored ``delayed`` none counts where another one of the vantage and slot was not.
    """
    heard = {(False, link["id"]): link["vantages"] for link in register["links"]}
    heard |= {(True, endpoint["id"]): endpoint["vantages"] for endpoint in register["endpoints"]}
    per_vantage: dict[tuple[bool, str, int], dict[str, tuple[bool, bool, bool, float, int]]] = {}
    for too_late, rows in ((False, measurements), (True, delayed)):
        for endpoint, target, vantage, slot, time, stage in rows:
            allowed = heard.get((endpoint, target), ())
            if allowed and vantage not in allowed:
                continue
            of_slot = per_vantage.setdefault((endpoint, target, slot), {})
            candidate = (too_late, stage is None, time is None, time or 0, stage or 0)
            of_slot[vantage] = min(of_slot.get(vantage, candidate), candidate)
    result: Verdicts = {}
    for key, of_slot in per_vantage.items():
        stages = sorted(stage for _, unknown, _, _, stage in of_slot.values() if not unknown)
        if stages:
            result[key] = stages[(len(stages) - 1) // 2]
    return result


def pairs_of_measurements(
    register: Register, measurements: Iterable[Measurement], *, days: int, end_slot: int
) -> dict[tuple[str, str], Result]:
    """Compute every pair of agencies (kind ``pair``) and of sectors (``sectors``), ids with a space between, in the same way."""
    return _Index(register, verdicts(register, measurements), window(register, days, end_slot)).pairs()


def index_of_measurements(
    register: Register, measurements: Iterable[Measurement], *, days: int, end_slot: int
) -> dict[tuple[str, str], Result]:
    """Compute every indicator from measurements."""
    return index(register, verdicts(register, measurements), days=days, end_slot=end_slot)


def index(register: Register, verdicts: Verdicts, *, days: int, end_slot: int) -> dict[tuple[str, str], Result]:
    """Compute every indicator, by (kind, id), from slot verdicts; what is N/A is not there."""
    return _Index(register, verdicts, window(register, days, end_slot)).everything()


def in_force(register: Register, link: Mapping[str, Any], slot: int) -> bool:
    """Whether the link is required in the slot."""
    start = slot * register["slot_seconds"]
    begun = link["required_from"] is None or start >= midnight(register, link["required_from"])
    return begun and (link["required_until"] is None or start < midnight(register, link["required_until"]))


def live(register: Register, link: Mapping[str, Any], slot: int) -> bool:
    """Whether the link is documented as built in the slot."""
    if link["live_from"] is None or link["live_from"] == "always":
        return link["live_from"] is not None
    return slot * register["slot_seconds"] >= midnight(register, link["live_from"])


class _Index:
    def __init__(self, register: Register, verdicts: Verdicts, slots: list[int]) -> None:
        self.register = register
        self.verdicts = verdicts
        self.slots = slots
        self.links = sorted(register["links"], key=lambda link: link["id"])
        self.services = {service["id"]: service for service in register["services"]}
        self.agencies = {agency["id"]: agency for agency in register["agencies"]}
        # Per link: the stage (or None) of every slot in force.
        self.stages = {
            link["id"]: [self.stage(link, slot) for slot in slots if in_force(register, link, slot)]
            for link in self.links
        }
        self.in_force = [link for link in self.links if self.stages[link["id"]]]
        # Of the slots in which it was live: their share c, and the shares of those known that reached each stage.
        self.connected: dict[str, Fraction] = {}
        self.profiles: dict[str, tuple[Fraction, ...] | None] = {}
        for link in self.in_force:
            lived = [slot for slot in slots if in_force(register, link, slot) and live(register, link, slot)]
            self.connected[link["id"]] = Fraction(len(lived), len(self.stages[link["id"]]))
            self.profiles[link["id"]] = _profile([self.stage(link, slot) for slot in lived])

    def stage(self, link: Mapping[str, Any], slot: int) -> int | None:
        if not live(self.register, link, slot):
            return 0
        return self.verdicts.get((False, link["id"], slot))

    def everything(self) -> dict[tuple[str, str], Result]:
        within, omega = self.weights()
        alone = {link["id"]: Fraction(1) for link in self.in_force}
        sets = [
            (link, kind, entity, weight)
            for link in self.in_force
            for kind, entity, weight in (
                ("government", self.register["government"], omega),
                ("sector", self.sector(self.consumer(link)), omega),
                ("consumer", self.consumer(link), omega),
                ("provider", link["provider"], omega),
                ("service", link["service"], within),
                ("link", link["id"], alone),
            )
        ]
        return self.results(sets) | self.endpoints()

    def pairs(self) -> dict[tuple[str, str], Result]:
        _, omega = self.weights()
        sets = [
            (link, kind, f"{consumer} {provider}", omega)
            for link in self.in_force
            for kind, consumer, provider in (
                ("pair", self.consumer(link), link["provider"]),
                ("sectors", self.sector(self.consumer(link)), self.sector(link["provider"])),
            )
        ]
        return self.results(sets)

    def consumer(self, link: Mapping[str, Any]) -> str:
        return str(self.services[link["service"]]["agency"])

    def sector(self, agency: str) -> str:
        return str(self.agencies[agency]["sector"])

    def results(
        self, sets: list[tuple[Mapping[str, Any], str, str, dict[str, Fraction]]]
    ) -> dict[tuple[str, str], Result]:
        imputed = self.imputed()
        groups: dict[tuple[str, str], tuple[list[Mapping[str, Any]], dict[str, Fraction]]] = {}
        for link, kind, entity, weight in sets:
            groups.setdefault((kind, entity), ([], weight))[0].append(link)
        results = {}
        for (kind, entity), (links, weight) in groups.items():
            if sum(weight[link["id"]] for link in links) > 0:
                results[kind, entity] = self.result(kind, entity, links, weight, imputed)
        return results

    def imputed(self) -> dict[str, tuple[Fraction, ...] | None]:
        """The shares of each link's slots at stages 0 … 5, its own or imputed; None where there is nothing to impute from."""
        _, omega = self.weights()
        of_services, of_providers, of_all = (
            self.means(key, weight)
            for key, weight in (
                ("service", {link["id"]: decimal(link["weight"]) for link in self.in_force}),
                ("provider", omega),
                (None, omega),
            )
        )
        found: dict[str, tuple[Fraction, ...] | None] = {}
        for link in self.in_force:
            name, connected = link["id"], self.connected[link["id"]]
            reached = (
                (self.profiles[name] or of_services[link["service"]] or of_providers[link["provider"]] or of_all[""])
                if connected
                else (Fraction(0),) * 6
            )
            found[name] = reached and (
                1 - connected + connected * reached[0],
                *(connected * one for one in reached[1:]),
            )
        return found

    def means(self, key: str | None, weight: Mapping[str, Fraction]) -> dict[str, tuple[Fraction, ...] | None]:
        """The mean of the measured links that have each value of this key, weighed by the time that each was live."""
        groups: dict[str, list[tuple[Fraction, tuple[Fraction, ...] | None]]] = {}
        for link in self.in_force:
            rows = groups.setdefault(str(link[key]) if key else "", [])
            rows.append((weight[link["id"]] * self.connected[link["id"]], self.profiles[link["id"]]))
        return {value: _mean(rows) for value, rows in groups.items()}

    def weights(self) -> tuple[dict[str, Fraction], dict[str, Fraction]]:
        total: dict[str, Fraction] = {}
        for link in self.in_force:
            total[link["service"]] = total.get(link["service"], Fraction(0)) + decimal(link["weight"])
        within = {
            link["id"]: decimal(link["weight"]) / total[link["service"]] if total[link["service"]] else Fraction(0)
            for link in self.in_force
        }
        omega = {
            link["id"]: decimal(self.services[link["service"]]["weight"]) * within[link["id"]] for link in self.in_force
        }
        return within, omega

    def result(
        self,
        kind: str,
        entity: str,
        links: list[Mapping[str, Any]],
        weight: dict[str, Fraction],
        imputed: dict[str, tuple[Fraction, ...] | None],
    ) -> Result:
        rows = [(weight[link["id"]], self.stages[link["id"]], imputed[link["id"]]) for link in links]
        total = _sum(omega for omega, _, _ in rows)
        lower = _sum(omega * Fraction(stages.count(5), len(stages)) for omega, stages, _ in rows) / total
        known = _sum(omega * Fraction(_known(stages), len(stages)) for omega, stages, _ in rows) / total
        estimate: Fraction | None = None
        losses: tuple[Fraction, ...] = (Fraction(0),) * 5
        profile = _mean([(omega, profile) for omega, _, profile in rows if omega])
        if all(profile is not None for omega, _, profile in rows if omega) and profile is not None:
            estimate, losses = profile[5], profile[:5]
        return Result(
            point=estimate if known >= self.register["threshold"] else None,
            estimate=estimate,
            lower=lower,
            upper=lower + 1 - known,
            known_share=known,
            losses=losses,
            strict=self.strict(kind, entity),
            required=len(links),
            known=sum(1 for _, stages, _ in rows if _known(stages)),
            absent=sum(1 for link in links if link["live_from"] is None),
        )

    def strict(self, kind: str, entity: str) -> tuple[Fraction | None, Fraction, Fraction] | None:
        members = [
            service
            for service, row in self.services.items()
            if entity
            == {
                "government": self.register["government"],
                "sector": self.agencies[row["agency"]]["sector"],
                "consumer": row["agency"],
                "service": service,
            }.get(kind)
        ]
        one = kind == "service"
        counts = [
            (Fraction(1) if one else decimal(self.services[service]["weight"]), *self.joint(service))
            for service in members
        ]
        bounded = [(v, Fraction(up, n), Fraction(n - down, n)) for v, n, up, down in counts if n and v]
        judged = [(v, Fraction(up, up + down)) for v, n, up, down in counts if up + down and v]
        total, total_judged = _sum(v for v, _, _ in bounded), _sum(v for v, _ in judged)
        if not bounded:
            return None
        return (
            _sum(v * e for v, e in judged) / total_judged if judged else None,
            sum(v * low for v, low, _ in bounded) / total,
            sum(v * high for v, _, high in bounded) / total,
        )

    def joint(self, service: str) -> tuple[int, int, int]:
        """Slots with a link of the service in force, those where all such links were OK, and those where one was known not OK."""
        slots = up = down = 0
        links = [link for link in self.links if link["service"] == service]
        for slot in self.slots:
            stages = [self.stage(link, slot) for link in links if in_force(self.register, link, slot)]
            if stages:
                slots += 1
                up += all(stage == 5 for stage in stages)
                down += any(stage is not None and stage < 5 for stage in stages)
        return slots, up, down

    def endpoints(self) -> dict[tuple[str, str], Result]:
        results = {}
        for endpoint in self.register["endpoints"] if self.slots else []:
            stages = [self.verdicts.get((True, endpoint["id"], slot)) for slot in self.slots]
            profile = _profile(stages)
            known = Fraction(_known(stages), len(stages))
            lower = Fraction(stages.count(5), len(stages))
            estimate = profile[5] if profile else None
            results["endpoint", endpoint["id"]] = Result(
                point=estimate if known >= self.register["threshold"] else None,
                estimate=estimate,
                lower=lower,
                upper=lower + 1 - known,
                known_share=known,
                losses=profile[:5] if profile else (Fraction(0),) * 5,
                strict=None,
                required=0,
                known=0,
                absent=0,
            )
        return results


def _sum(parts: Iterable[Fraction]) -> Fraction:
    parts = list(parts)
    common = lcm(*(part.denominator for part in parts))  # adding fractions one by one takes five times as long
    return Fraction(sum(part.numerator * (common // part.denominator) for part in parts), common)


def _known(stages: list[int | None]) -> int:
    return sum(stage is not None for stage in stages)


def _profile(stages: list[int | None]) -> tuple[Fraction, ...] | None:
    """Shares of the known slots at stages 0 … 5; None when none is known."""
    known = _known(stages)
    return tuple(Fraction(stages.count(stage), known) for stage in range(6)) if known else None


def _mean(rows: Sequence[tuple[Fraction, tuple[Fraction, ...] | None]]) -> tuple[Fraction, ...] | None:
    weighed = [(weight, profile) for weight, profile in rows if weight and profile is not None]
    total = _sum(weight for weight, _ in weighed)
    if not weighed:
        return None
    return tuple(_sum(weight * profile[stage] for weight, profile in weighed) / total for stage in range(6))
