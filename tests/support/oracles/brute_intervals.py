"""The intervals of a case, computed slot by slot (docs/method.md §6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.indicator.calendar import RECORD_DAYS
from tests.support.cases.indicator import Case
from tests.support.oracles import index as oracle
from tests.support.oracles import intervals as interval_oracle

__all__ = ["NOTHING", "Brute", "Interval"]

Interval = tuple[float, float, float]
NOTHING = (0.0, 0.0, 0.0)


class Brute:
    """The intervals of a case, computed slot by slot and link by link."""

    def __init__(self, case: Case, bus: str | None) -> None:
        self.case, self.register = case, case.register
        self.verdicts = oracle.verdicts(case.register, case.measurements)
        self.hours = case.register["slot_seconds"] / 3600
        self.links = sorted(case.register["links"], key=lambda link: link["id"])
        self.bus_name = bus
        self.window = oracle.window(case.register, case.days, case.end_slot)
        self.record = oracle.window(case.register, RECORD_DAYS, case.end_slot)
        self.states = {slot: dict(self.states_in(slot)) for slot in self.record}
        self.window_sums, self.record_sums = self.sums(self.window), self.sums(self.record)
        agencies = [("provider", agency["id"]) for agency in case.register["agencies"]]
        own = [("own", link["id"]) for link in self.links]
        self.causes: dict[object, interval_oracle.Cause] = {}
        for names in (agencies, own):
            pool = interval_oracle.pooled(self.record_sums[name] for name in names)
            for name in names:
                self.causes[name] = interval_oracle.cause(self.window_sums[name], self.record_sums[name], pool)

    def day(self, slot: int) -> date:
        """Return the day a slot starts in."""
        start = slot * self.register["slot_seconds"]
        near = datetime.fromtimestamp(start, ZoneInfo("UTC")).date()
        around = (near + timedelta(days=ahead) for ahead in range(-3, 4))
        return max(day for day in around if oracle.midnight(self.register, day) <= start)

    def by_day(self, slots: list[int]) -> list[list[int]]:
        """Return the slots of each day."""
        days: dict[date, list[int]] = {}
        for slot in slots:
            days.setdefault(self.day(slot), []).append(slot)
        return list(days.values())

    def stage(self, link: dict[str, Any], slot: int) -> int:
        """Return the stage of a link that is live in the slot, -1 where unknown or not live."""
        if not (oracle.in_force(self.register, link, slot) and oracle.live(self.register, link, slot)):
            return -1
        return self.verdicts.get((False, link["id"], slot), -1)

    def states_in(self, slot: int) -> Iterator[tuple[object, int]]:
        """Yield the state of each cause in a slot: -1 unknown, 0 up, 1 down."""
        bus = self.verdicts.get((True, self.bus_name, slot), -1) if self.bus_name else -1
        bus_down = 0 <= bus < 5
        yield ("bus", ""), -1 if bus < 0 else int(bus_down)
        down = {}
        for agency in self.register["agencies"]:
            known = [
                stage
                for link in self.links
                if link["provider"] == agency["id"]
                if (stage := self.stage(link, slot)) >= 0
            ]
            fails = sum(stage < 5 for stage in known) > len(known) / 2
            down[agency["id"]] = fails
            yield ("provider", agency["id"]), -1 if not known or (fails and bus_down) else int(fails)
        for link in self.links:
            stage = self.stage(link, slot)
            failed = 0 <= stage < 5
            unknown = stage < 0 or (failed and bus_down)
            yield ("own", link["id"]), -1 if unknown else int(failed and not down[link["provider"]])

    def sums(self, slots: list[int]) -> dict[object, interval_oracle.Sums]:
        """Sum every cause's outages."""
        days = self.by_day(slots)
        names = list(self.states[slots[0]])
        return {
            name: interval_oracle.sums(
                [[self.states[slot][name] for slot in day] for day in days], self.hours, 1
            )  # slots last an hour or longer
            for name in names
        }

    def bus(self) -> Interval:
        """Return the loss of the bus with its bounds."""
        return interval_oracle.bus(self.window_sums["bus", ""], self.record_sums["bus", ""])

    def weights(self, links: list[dict[str, Any]]) -> dict[str, float]:
        """Return w over Σw of the service, over these links."""
        total: dict[str, float] = {}
        for link in links:
            total[link["service"]] = total.get(link["service"], 0.0) + link["weight"]
        return {
            link["id"]: link["weight"] / total[link["service"]] if total[link["service"]] else 0.0 for link in links
        }

    def weight(self, kind: str, link: dict[str, Any], within: dict[str, float]) -> float:
        """Return the weight of a link in a set of this kind."""
        value = next(one["weight"] for one in self.register["services"] if one["id"] == link["service"])
        return {"link": 1.0, "service": within[link["id"]]}.get(kind, value * within[link["id"]])

    def members(self, kind: str, entity: str) -> list[dict[str, Any]]:
        """Return the links of a set."""
        consumer = {one["id"]: one["agency"] for one in self.register["services"]}
        sector = {one["id"]: one["sector"] for one in self.register["agencies"]}
        belongs = {
            "government": lambda link: True,  # noqa: ARG005
            "sector": lambda link: sector[consumer[link["service"]]] == entity,
            "consumer": lambda link: consumer[link["service"]] == entity,
            "provider": lambda link: link["provider"] == entity,
            "service": lambda link: link["service"] == entity,
            "link": lambda link: link["id"] == entity,
        }
        return [link for link in self.links if belongs[kind](link)]

    def known(self, link: dict[str, Any], slots: list[int]) -> list[int]:
        """Return the slots in which a link's own cause is known."""
        return [slot for slot in slots if self.states[slot]["own", link["id"]] >= 0]

    def failed(self, link: dict[str, Any], slots: list[int]) -> float:
        """Return the share of these known slots in which the link failed."""
        known = self.known(link, slots)
        return sum(self.stage(link, slot) < 5 for slot in known) / len(known)

    def met(self, link: dict[str, Any]) -> int:
        """Count the slots in which a live link certainly met the downtime of the bus, day by day."""
        total = 0
        for slots in self.by_day(self.window):
            down = sum(self.states[slot]["bus", ""] == 1 for slot in slots)
            if down and all(oracle.in_force(self.register, link, slot) for slot in slots):
                stages = [self.stage(link, slot) for slot in slots if oracle.live(self.register, link, slot)]
                failed = sum(stage >= 0 for stage in stages) - len(self.known(link, slots))
                total += max(failed, down - stages.count(-1)) if stages else 0
        return total

    def guard(self, kind: str, links: list[dict[str, Any]]) -> tuple[float, float, float]:
        """Return the guard of a set from its daily losses."""
        daily = []
        for slots in self.by_day(self.record):
            within = self.weights([link for link in self.links if oracle.in_force(self.register, link, slots[0])])
            here = [(self.weight(kind, link, within), link) for link in links if self.known(link, slots)]
            total = sum(weight for weight, _ in here)
            enough = 2 * len(slots) >= 86400 // self.register["slot_seconds"]
            known = total > 0 and enough
            daily.append(sum(weight * self.failed(link, slots) for weight, link in here) / total if known else None)
        return interval_oracle.guard_of(daily, len(self.window) * self.hours / 24)

    def spread(self, in_force: list[dict[str, Any]]) -> float:
        """Return the spread of the losses of the observed links."""
        within = self.weights(in_force)
        rows = []
        for link in in_force:
            forced = [slot for slot in self.window if oracle.in_force(self.register, link, slot)]
            built = [slot for slot in forced if oracle.live(self.register, link, slot)]
            if self.known(link, self.window):
                exposed = self.weight("government", link, within) * len(built) / len(forced)
                rows.append((exposed, self.failed(link, self.window)))
        return interval_oracle.spread(rows)

    def outages(self, kind: str, entity: str) -> int:
        """Count the outages that an interval rests on."""
        causes, exposed, met = set(), 0, 0
        for link in self.members(kind, entity):
            in_force = [slot for slot in self.window if oracle.in_force(self.register, link, slot)]
            weighs = kind == "link" or (link["weight"] > 0 and (kind == "service" or self.service_weight(link) > 0))
            if weighs and self.known(link, self.window):
                causes |= {("provider", link["provider"]), ("own", link["id"])}
                live = [slot for slot in in_force if self.stage(link, slot) >= 0]
                met += self.met(link)
                exposed += len(live) - len(self.known(link, self.window))
        found = sum(self.record_sums[name].outages for name in causes)
        depends = self.record_sums["bus", ""].known > 0 and (exposed > 0 or met == 0)
        return min(found, self.record_sums["bus", ""].outages) if depends else found

    def service_weight(self, link: dict[str, Any]) -> float:
        """Return v of a link's service."""
        return float(next(one["weight"] for one in self.register["services"] if one["id"] == link["service"]))

    def interval(self, kind: str, entity: str, point: float) -> tuple[float, float]:
        """Compute one interval."""
        in_force = [
            link for link in self.links if any(oracle.in_force(self.register, link, slot) for slot in self.window)
        ]
        within = self.weights(in_force)
        whole = connected = met = charged = certain = lost = 0.0
        shares: dict[object, float] = {}
        seen: list[float] = []
        unseen: dict[object, list[float]] = {}
        for link in self.members(kind, entity):
            if link not in in_force:
                continue
            forced = [slot for slot in self.window if oracle.in_force(self.register, link, slot)]
            live = [slot for slot in forced if self.stage(link, slot) >= 0]
            built = [slot for slot in forced if oracle.live(self.register, link, slot)]
            own = self.known(link, self.window)
            weight = self.weight(kind, link, within)
            whole += weight
            exposed = weight * len(built) / len(forced)
            connected += exposed
            if live:
                charged += exposed * (1 - len(own) / len(live))
                met += exposed * self.met(link) / len(live)
            if exposed and not own:
                unseen.setdefault(link["provider"], []).append(exposed)
            if own and exposed:
                seen.append(exposed)
                certain += exposed
                lost += exposed * self.failed(link, self.window)
                for name in (("provider", link["provider"]), ("own", link["id"])):
                    shares[name] = shares.get(name, 0.0) + exposed
        if whole == 0 or connected == 0:
            return min(0.0, point), max(0.0, point)
        share = connected / whole
        if certain == 0:
            return 0.0, max(share, point)
        guard = NOTHING if kind == "link" else self.guard(kind, self.members(kind, entity))
        shares = {name: part / certain for name, part in shares.items()}
        free = interval_oracle.set_of(min(1.0, lost / certain), shares, self.causes, guard)
        if kind != "link":
            free = interval_oracle.unobserved(free, seen, unseen, self.spread(in_force))
        bus = self.bus()
        exposure = charged / met if met else 1.0
        _, low, high = interval_oracle.with_bus(free, (exposure * bus[0], exposure * bus[1], exposure * bus[2]))
        return min(share * (1 - high), point), max(share * (1 - low), point)
