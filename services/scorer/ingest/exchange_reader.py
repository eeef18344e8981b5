"""Reads EXCHANGES into the volumes for as long as a session runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from math import inf

from services.core.bus import StoredMessage, StreamCursor, summaries_of
from services.core.errors import BusError, GapError, StateError
from services.core.log import Logger
from services.core.model import ExchangeSummary, Policy, StreamPosition
from services.core.tasks import propagate_cancellation, run_in_thread
from services.indicator.calendar import Calendar
from services.scorer.exchanges import ExchangeDatabase
from services.scorer.grouping import grouped
from services.scorer.ingest.measurement_reader import READ_MESSAGES
from services.scorer.ingest.repair import lacks_archived
from services.scorer.metrics import ScorerMetrics

EXCHANGES_POLL_SECONDS = 2.0
EXCHANGES_RETRY_SECONDS = 30.0  # after the file, or the dataset, could not be read

_PART_BYTES = 512 << 10
"""Messages of this size together are ingested at once, which takes half a second: the event loop waits for that."""


class ExchangeReader:
    """Ingests EXCHANGES. Whatever happens to the volumes, the index continues without them.

    ``dataset`` is the address of the archive's dataset, "" for none.
    """

    def __init__(
        self, exchanges: ExchangeDatabase, policy: Policy, *, dataset: str, metrics: ScorerMetrics, log: Logger
    ) -> None:
        self._exchanges = exchanges
        self._policy = policy
        self._calendar = Calendar.of(policy)
        self._dataset = dataset
        self._metrics = metrics
        self._log = log

    async def run(self, cursor: StreamCursor) -> None:
        """Check the volumes, and continue reading from their position until cancelled. Raises GapError."""
        position: StreamPosition | None = None
        while True:
            try:
                if position is None or self._exchanges.damaged:  # another reader of the volumes may have noticed damage
                    with propagate_cancellation():  # even if reading files fails meanwhile
                        position = await self._resume(cursor)
                asked = time.time()
                messages = await cursor.read(position, limit=READ_MESSAGES, now=time.monotonic())
                for part in grouped(messages, lambda message: len(message.data), _PART_BYTES):
                    position = self._take(part, position)
                    await asyncio.sleep(0)
                self._exchanges.read_up_to = messages[-1].time if messages else asked
            except GapError:
                raise
            except BusError:
                await asyncio.sleep(EXCHANGES_POLL_SECONDS)  # the other reader reports it
            except StateError as error:
                self._log.warning("summaries_not_taken", reason=str(error))
                await asyncio.sleep(EXCHANGES_POLL_SECONDS if position else EXCHANGES_RETRY_SECONDS)
            else:
                await asyncio.sleep(0 if len(messages) >= READ_MESSAGES else EXCHANGES_POLL_SECONDS)

    async def _resume(self, cursor: StreamCursor) -> StreamPosition:
        """Return where to continue reading. Damaged or new volumes are rebuilt from the stream and the dataset.

        Raises BusError, StateError.
        """
        with suppress(StateError):
            await run_in_thread(self._exchanges.verify)
        if self._exchanges.damaged:
            self._exchanges.begin_anew()
        taken = self._exchanges.position()
        if taken is None and self._dataset and await lacks_archived(cursor, self._dataset):
            taken = await self._restore()
        return await cursor.resume(taken, stored=self._exchanges.stored(), accept=taken is None)

    async def _restore(self) -> StreamPosition | None:
        """Ingest what the dataset holds; return its last message, None if it holds none. Raises StateError."""
        from services.scorer.archived import archived_exchanges  # noqa: PLC0415  # pyarrow takes 44 MB, which a scorer seldom needs

        archived, parts = await run_in_thread(partial(archived_exchanges, self._dataset, self._policy))
        while (batches := await run_in_thread(partial(next, parts, None))) is not None:
            self._exchanges.take(batches, calendar=self._calendar)
        if archived is None:
            return None
        position = StreamPosition(archived.stream, archived.created, archived.sequence)
        self._exchanges.take([], calendar=self._calendar, position=position, stored=archived.stored or inf)
        self._log.warning("summaries_restored", dataset=self._dataset, up_to=position.sequence)
        return position

    def _take(self, messages: Sequence[StoredMessage], position: StreamPosition) -> StreamPosition:
        taken = StreamPosition(position.stream, position.created, messages[-1].sequence)
        batches = [batch for message in messages if (batch := self._summaries(message)) is not None]
        left_out = self._exchanges.take(batches, calendar=self._calendar, position=taken, stored=messages[-1].time)
        if left_out:
            self._log.warning("summaries_left_out", count=left_out, up_to=taken.sequence)
        return taken

    def _summaries(self, message: StoredMessage) -> tuple[float, str, list[ExchangeSummary]] | None:
        try:
            return message.time, *summaries_of(message)
        except ValueError as error:
            self._metrics.summaries_rejected()
            self._log.error("summaries_rejected", sequence=message.sequence, subject=message.subject, reason=str(error))
            return None
