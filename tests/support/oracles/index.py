"""Compute the index by brute force, in exact rationals, to check the library.

It imports nothing of services/ and goes slot by slot, so that it shares neither code nor optimisations with the
library. Input is plain rows, output is Fractions:

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

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tests.support.oracles.rationals import fraction_sum, known_slots, profile_of, weighted_mean
from tests.support.oracles.slots import Measurement, Register, Verdicts, in_force, live, midnight, verdicts, window

__all__ = [
    "Measurement",
    "Register",
    "Result",
    "Verdicts",
    "decimal",
    "in_force",
    "index",
    "index_of_measurements",
    "live",
    "midnight",
    "pairs_of_measurements",
    "verdicts",
    "window",
]


@dataclass(frozen=True)
class Result:
    """One indicator. ``estimate`` is the point before the publish threshold, None when nothing is known."""

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
    """Return a weight as a register writes it: 0.1 is exactly a tenth, unlike the double."""
    return Fraction(str(weight))


def pairs_of_measurements(
    register: Register, measurements: Iterable[Measurement], *, days: int, end_slot: int
) -> dict[tuple[str, str], Result]:
    """Compute every pair of agencies (kind ``pair``) and of sectors (``sectors``). A space divides the two ids."""
    return _Index(register, verdicts(register, measurements), window(register, days, end_slot)).pairs()


def index_of_measurements(
    register: Register, measurements: Iterable[Measurement], *, days: int, end_slot: int
) -> dict[tuple[str, str], Result]:
    """Compute every indicator from measurements."""
    return index(register, verdicts(register, measurements), days=days, end_slot=end_slot)


def index(register: Register, verdicts: Verdicts, *, days: int, end_slot: int) -> dict[tuple[str, str], Result]:
    """Compute every indicator, by (kind, id), from slot verdicts. Those that are N/A are left out."""
    return _Index(register, verdicts, window(register, days, end_slot)).everything()


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
        # The share c of slots in which it was live, and among the known ones of these, the share at each stage.
        self.connected: dict[str, Fraction] = {}
        self.profiles: dict[str, tuple[Fraction, ...] | None] = {}
        for link in self.in_force:
            lived = [slot for slot in slots if in_force(register, link, slot) and live(register, link, slot)]
            self.connected[link["id"]] = Fraction(len(lived), len(self.stages[link["id"]]))
            self.profiles[link["id"]] = profile_of([self.stage(link, slot) for slot in lived])

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
        """Return shares of each link's slots at stages 0 … 5, its own or imputed, None if not imputable."""
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
        """Return the mean of the measured links by value of this key, weighted by the time that each was live."""
        groups: dict[str, list[tuple[Fraction, tuple[Fraction, ...] | None]]] = {}
        for link in self.in_force:
            rows = groups.setdefault(str(link[key]) if key else "", [])
            rows.append((weight[link["id"]] * self.connected[link["id"]], self.profiles[link["id"]]))
        return {value: weighted_mean(rows) for value, rows in groups.items()}

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
        total = fraction_sum(omega for omega, _, _ in rows)
        lower = fraction_sum(omega * Fraction(stages.count(5), len(stages)) for omega, stages, _ in rows) / total
        known = fraction_sum(omega * Fraction(known_slots(stages), len(stages)) for omega, stages, _ in rows) / total
        estimate: Fraction | None = None
        losses: tuple[Fraction, ...] = (Fraction(0),) * 5
        profile = weighted_mean([(omega, profile) for omega, _, profile in rows if omega])
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
            known=sum(1 for _, stages, _ in rows if known_slots(stages)),
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
        total, total_judged = fraction_sum(v for v, _, _ in bounded), fraction_sum(v for v, _ in judged)
        if not bounded:
            return None
        return (
            fraction_sum(v * e for v, e in judged) / total_judged if judged else None,
            sum(v * low for v, low, _ in bounded) / total,
            sum(v * high for v, _, high in bounded) / total,
        )

    def joint(self, service: str) -> tuple[int, int, int]:
        """Count slots with links of the service in force, those with all of them OK, those with one known not OK."""
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
            profile = profile_of(stages)
            known = Fraction(known_slots(stages), len(stages))
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
