"""Draws the exchanges over the data bus slot by slot from the seed, without end. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate
from uuid import UUID

from services.sandbox.exchanges.data_bus import DataBus
from services.sandbox.exchanges.departures import Departure, departures, draw_departures, volume_of
from services.sandbox.exchanges.exchange import SimulatedExchange, longest_delay, simulate_exchange
from services.sandbox.faults import FaultSpan
from services.sandbox.timing import Timing

_KEPT = 64
"""The most slots whose exchanges stay in memory; others are drawn again when they are needed."""

_KEPT_EXCHANGES = 100_000
"""Beyond so many exchanges fewer slots stay in memory. Each exchange takes about a kilobyte."""

_LOOKED_BACK = 8, 60
"""At least so many slots stay, and those of so many seconds: those of the latest answers and of the log of exchanges."""


class SimulatedTraffic:
    """The exchanges from ``first_slot`` on, ``rate`` a second over all routes.

    ``state`` returns the faults in effect in a slot, by link. The volume has the shape of a simulated week, and departs from
    it now and then (departures.py). The same arguments give the same exchanges.
    """

    def __init__(
        self,
        bus: DataBus,
        *,
        rate: float,
        seed: int,
        times: Timing,
        first_slot: int,
        state: Callable[[int], Mapping[str, FaultSpan]],
    ) -> None:
        self.bus, self.rate, self.times, self.first_slot = bus, rate, times, first_slot
        self._seed, self._state = seed, state
        self._routes = [route for route in bus.routes if route.weight > 0]
        self._weights = list(accumulate(route.weight for route in self._routes))
        self._drawn: dict[int, Sequence[SimulatedExchange]] = {}
        self._late: dict[int, Sequence[SimulatedExchange]] = {}
        slots, seconds = _LOOKED_BACK
        fewest = slots + seconds // times.slot
        self._kept = min(_KEPT, max(fewest, int(_KEPT_EXCHANGES / max(rate * times.slot, 1.0))))

    @property
    def reach(self) -> int:
        """The largest number of slots between an exchange and its last record."""
        return int(longest_delay(self.times) // self.times.slot) + 1

    def of(self, slot: int) -> Sequence[SimulatedExchange]:
        """Return the exchanges that start while the state of a slot is in effect."""
        if slot < self.first_slot or not self._routes:
            return ()
        if slot not in self._drawn:
            self._late.pop(slot, None)  # a slot that is drawn again is the latest in both
            _make_room(self._drawn, self._kept)
            _make_room(self._late, _KEPT)
            end = (slot + 2) * self.times.slot
            self._drawn[slot] = self._draw(slot)
            self._late[slot] = [exchange for exchange in self._drawn[slot] if exchange.last_logged >= end]
        return self._drawn[slot]

    def late(self, slot: int) -> Sequence[SimulatedExchange]:
        """Return the few of a slot's exchanges with a record stored after the next slot; they stay in memory longer."""
        if slot not in self._late:
            self.of(slot)
        return self._late.get(slot, ())

    def departures(self, begin: int, end: int) -> Iterator[Departure]:
        """Yield the departures that begin in slots [begin, end). Their own slots are counted from the first one."""
        return departures(self.bus.routes, self._seed, begin - self.first_slot, end - self.first_slot)

    def _draw(self, slot: int) -> Sequence[SimulatedExchange]:
        rng = random.Random(f"{self._seed}/traffic/{slot - self.first_slot}")
        state = self._state(slot)
        begin = round(self.times.effect(slot) * 1000)
        exchanges = []
        departing = draw_departures(self.bus.routes, self._seed, slot - self.first_slot)
        messages: dict[tuple[str, str], str] = {}
        for number in range(int(self.rate * self.times.slot * volume_of(slot) + rng.random())):
            route = rng.choices(self._routes, cum_weights=self._weights)[0]
            span = state.get(rng.choice(route.links)) if route.links else None
            departure = departing.get(route.service)
            for call in range(1 if departure is None else departure.calls(rng)):
                # The absolute slot gives another run of the same seed other ids.
                name = UUID(bytes=blake2b(f"{self._seed}/{slot}/{number}/{call}".encode(), digest_size=16).digest())
                start = begin + rng.randrange(self.times.slot * 1000)
                fault = span if departure is None else departure.fault(span, slot, rng)
                exchange = simulate_exchange(str(name), route, fault, start, self.bus.servers, self.times, rng)
                if departure is not None:
                    before = messages.get((route.client, route.service), exchange.message)
                    exchange = departure.change(exchange, before, rng)
                    messages[route.client, route.service] = exchange.message
                exchanges.append(exchange)
        return exchanges


def _make_room(by_slot: dict[int, Sequence[SimulatedExchange]], most: int) -> None:
    """Remove the slots that were drawn first until another one makes at most so many."""
    while len(by_slot) >= most:
        del by_slot[next(iter(by_slot))]
