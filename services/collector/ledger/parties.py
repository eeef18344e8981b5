"""Stores the table of pairs: which client called which service.

Logs may name any client and service, so pairs that nothing refers to any more are forgotten. Dropping sides does not
update pairs. Instead the table of requests is scanned in rounds of slices. A pair without summaries is idle when a
round begins. It is forgotten at the end of the round unless a side refers to it, an old one or one that came meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import count

from services.core.model import Parties


class PartyPairs:
    """Pairs by number, as in the table. Changes belong in a transaction; after a rollback, create this object again."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        rows = database.execute("SELECT id, client, provider, service, meta FROM pair")
        self._parties: dict[int, Parties] = {
            number: Parties(client, provider, service, bool(meta)) for number, client, provider, service, meta in rows
        }
        self._numbers = {(pair.client, pair.service): number for number, pair in self._parties.items()}
        self._free = self._unused()
        self._idle = {number for (number,) in database.execute("SELECT pair FROM idle")}

    def _unused(self) -> Iterator[int]:
        """Yield the numbers that no pair has at that moment, the lowest first, because they have to stay small."""
        return (number for number in count(1) if number not in self._parties)

    def parties(self, number: int) -> Parties:
        """Return the client and the service of a pair."""
        return self._parties[number]

    def number(self, parties: Parties) -> int:
        """Return the number of a pair; insert the pair if it is new."""
        number = self._numbers.get((parties.client, parties.service))
        if number is not None:
            if number in self._idle:
                self._wake(number)
            return number
        number = next(self._free)
        self._database.execute(
            "INSERT INTO pair VALUES (?, ?, ?, ?, ?)",
            (number, parties.client, parties.provider, parties.service, parties.meta),
        )
        self._numbers[parties.client, parties.service] = number
        self._parties[number] = parties
        return number

    def _wake(self, number: int) -> None:
        self._idle.discard(number)
        self._database.execute("DELETE FROM idle WHERE pair = ?", (number,))

    def keep(self, numbers: Iterable[int]) -> None:
        """Keep these pairs in this round, because sides refer to them."""
        for number in self._idle.intersection(numbers):
            self._wake(number)

    def end_round(self) -> None:
        """End a round over all requests: forget the pairs that stayed idle, and begin the next round."""
        self._database.execute("DELETE FROM pair WHERE id IN (SELECT pair FROM idle)")
        for number in self._idle:
            parties = self._parties.pop(number)
            del self._numbers[parties.client, parties.service]
        self._free = self._unused()
        self._database.execute("DELETE FROM idle")
        self._database.execute(
            "INSERT INTO idle SELECT id FROM pair WHERE NOT EXISTS (SELECT 1 FROM summary WHERE summary.pair = pair.id)"
        )
        self._idle = {number for (number,) in self._database.execute("SELECT pair FROM idle")}
