"""The table of pairs: which X-Road parties were seen together, and the agencies and link behind them.

A pair is whatever a client called, so those that nothing names any more are forgotten. No side tells by itself how long it is
kept, so the table of requests is looked through, in rounds of slices: what no cell names when a round begins is idle, and
forgotten at its end if no side that was there or came meanwhile names it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import count

from services.core.model import Parties
from services.register.attribution import Attribution, Attributor

__all__ = ["PartyPairs"]


class PartyPairs:
    """Pairs by number, as in the table. Changes belong into a transaction; after a rollback, make this anew."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._numbers: dict[tuple[str, str], int] = {}
        self._parties: dict[int, Parties] = {}
        self._attributions: dict[int, Attribution] = {}
        for number, client, provider, service, meta, consumer, provider_agency, link, shared in database.execute(
            "SELECT * FROM pair"
        ):
            self._numbers[client, service] = number
            self._parties[number] = Parties(client, provider, service, bool(meta))
            self._attributions[number] = Attribution(consumer, provider_agency, link, bool(shared))
        self._free = self._unused()
        self._idle: set[int] = {number for (number,) in database.execute("SELECT pair FROM idle")}

    def _unused(self) -> Iterator[int]:
        """Give each number that no pair has at that moment, the lowest first: they have to stay small."""
        return (number for number in count(1) if number not in self._parties)

    @property
    def any_idle(self) -> bool:
        """Whether there are pairs that may be forgotten when this round ends."""
        return bool(self._idle)

    def parties(self, number: int) -> Parties:
        """Who called what."""
        return self._parties[number]

    def attribution(self, number: int) -> Attribution:
        """Name the agencies and the link, by the register version last applied."""
        return self._attributions[number]

    def number(self, parties: Parties, mapping: Attributor) -> int:
        """Give the number of a pair, which is entered when it is new."""
        number = self._numbers.get((parties.client, parties.service))
        if number is not None:
            if number in self._idle:
                self._wake(number)
            return number
        number = next(self._free)
        at = mapping.attribute(parties)
        self._database.execute(
            "INSERT INTO pair VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(number, parties.client, parties.provider, parties.service, parties.meta),
                *(at.consumer, at.provider, at.link, at.shared),
            ),
        )
        self._numbers[parties.client, parties.service] = number
        self._parties[number], self._attributions[number] = parties, at
        return number

    def _wake(self, number: int) -> None:
        self._idle.discard(number)
        self._database.execute("DELETE FROM idle WHERE pair = ?", (number,))

    def named(self, numbers: Iterable[int]) -> None:
        """Keep these: sides name them."""
        for number in self._idle.intersection(numbers):
            self._wake(number)

    def turn(self) -> None:
        """End a round over all requests, forgetting what was idle and stayed so, and begin the next."""
        self._database.execute("DELETE FROM pair WHERE id IN (SELECT pair FROM idle)")
        for number in self._idle:
            parties = self._parties.pop(number)
            del self._attributions[number], self._numbers[parties.client, parties.service]
        self._free = self._unused()
        self._database.execute("DELETE FROM idle")
        self._database.execute(
            "INSERT INTO idle SELECT id FROM pair WHERE NOT EXISTS (SELECT 1 FROM cell WHERE cell.pair = pair.id)"
        )
        self._idle = {number for (number,) in self._database.execute("SELECT pair FROM idle")}

    def remap(self, mapping: Attributor) -> list[int]:
        """Attribute every pair anew; returns the numbers of those that changed."""
        changed = []
        for number, parties in self._parties.items():
            at = mapping.attribute(parties)
            if at == self._attributions[number]:
                continue
            changed.append(number)
            self._attributions[number] = at
            self._database.execute(
                "UPDATE pair SET consumer_agency = ?, provider_agency = ?, link = ?, shared = ? WHERE id = ?",
                (at.consumer, at.provider, at.link, at.shared, number),
            )
        return changed
