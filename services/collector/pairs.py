"""The table of pairs: which X-Road parties were seen together, and the agencies and link behind them."""

from __future__ import annotations

import sqlite3

from services.collector.record import Parties
from services.register.mapping import Attribution, Mapping

__all__ = ["Pairs"]


class Pairs:
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

    def parties(self, number: int) -> Parties:
        """Who called what."""
        return self._parties[number]

    def attribution(self, number: int) -> Attribution:
        """Name the agencies and the link, by the register version last applied."""
        return self._attributions[number]

    def number(self, parties: Parties, mapping: Mapping) -> int:
        """Give the number of a pair, which is entered when it is new."""
        number = self._numbers.get((parties.client, parties.service))
        if number is not None:
            return number
        number = len(self._numbers) + 1
        at = mapping.of(parties)
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

    def remap(self, mapping: Mapping) -> list[int]:
        """Attribute every pair anew; returns the numbers of those that changed."""
        changed = []
        for number, parties in self._parties.items():
            at = mapping.of(parties)
            if at == self._attributions[number]:
                continue
            changed.append(number)
            self._attributions[number] = at
            self._database.execute(
                "UPDATE pair SET consumer_agency = ?, provider_agency = ?, link = ?, shared = ? WHERE id = ?",
                (at.consumer, at.provider, at.link, at.shared, number),
            )
        return changed
