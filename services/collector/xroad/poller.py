"""Asks one security server for what it has logged since the last time, for as long as the collector runs (docs/exchange.md)."""

from __future__ import annotations

from asyncio import Semaphore
from collections.abc import Awaitable, Callable
from uuid import uuid4

from services.collector.config import XroadSource
from services.collector.intake import Intake
from services.collector.metrics import CollectorMetrics
from services.collector.records import (
    RecordBatch,
    ServerAnswerError,
    SourcePosition,
    read_all,
    read_answer,
    read_health,
)
from services.collector.xroad.client import SecurityServerClient, SourceError
from services.collector.xroad.requests import (
    RecordSpan,
    StuckAnswerError,
    health_data,
    next_position,
    next_span,
    operational_data,
    retry_pause,
)
from services.core.log import Logger

__all__ = ["ServerPoller"]

_FIRST_SECONDS = 2.0  # within which all servers are first asked
_NOT_YET = ".invalidrequest"  # newer servers: client.invalid_request
_LARGEST_RECORDS = 64 << 20  # bytes of an answer's records, unpacked
_LESS = ("too_large", "unreadable")  # failures after which less is asked for
_PROOFS = 4  # times a second must fail while others can be read, until it is skipped
_OTHERS = (1, 60, 3600)  # how many seconds later those others are


class ServerPoller:
    """One server's turn of rounds. ``now`` is the clock in seconds since 1970, ``chance`` draws from [0, 1), ``wait`` waits
    so many seconds and tells whether the stop came; ``turns`` bounds how many servers' answers are held at once.
    """

    def __init__(
        self,
        source: XroadSource,
        intake: Intake,
        metrics: CollectorMetrics,
        log: Logger,
        turns: Semaphore,
        *,
        now: Callable[[], float],
        chance: Callable[[], float],
        wait: Callable[[float], Awaitable[bool]],
    ) -> None:
        self._source, self._intake, self._metrics, self._log, self._turns = source, intake, metrics, log, turns
        self._now, self._chance, self._wait = now, chance, wait
        # A position says how far these records of this server were read: of others it says nothing.
        self._name = " ".join(filter(None, (source.id, source.server, source.provider)))
        self._seconds: int | None = None  # asked for at once, where not everything is

    async def run(self) -> None:
        """Ask round after round until the stop; a server that fails is asked again, less and less often."""
        failures = 0
        if not self._source.health:
            self._intake.begin(self._source.id)
            await self._intake.rename(self._source.id, self._name)  # as older versions kept it
        stopped = await self._wait(min(self._source.every, _FIRST_SECONDS) * self._chance())
        async with SecurityServerClient(self._source) as server:
            while not stopped:
                try:
                    await (self._health(server) if self._source.health else self._records(server))
                except SourceError as error:
                    failures += 1
                    seconds = retry_pause(failures, self._source.every, self._chance())
                    self._failed(error, failures, seconds)
                else:
                    failures = 0
                    self._metrics.source_up(self._source.id)
                    seconds = retry_pause(0, self._source.every, self._chance())
                stopped = await self._wait(seconds)

    def _failed(self, error: SourceError, failures: int, seconds: float) -> None:
        self._tell(error, failures=failures, retry_seconds=round(seconds, 1))

    def _tell(self, error: SourceError, **more: float) -> None:
        self._metrics.source_failed(self._source.id, error.failure)
        self._log.warning("source_failed", source=self._source.id, failure=error.failure, reason=str(error), **more)

    async def _records(self, server: SecurityServerClient) -> None:
        """One round: follow the server to the end of what it has. Raises SourceError.

        Where an answer cannot be used half as many seconds are asked for, so that one bad record does not keep back all
        after it, and twice as many after each that can.
        """
        follows = False
        while True:
            position = await self._intake.position(self._name)
            if position is not None:
                self._intake.reached(self._source.id, (position.offset - 1) * 1000)
            begin = None if position is None else position.offset
            every = next_span(begin, self._now(), self._source.history, self._source.behind)
            if every is None:
                return
            asked = every.beginning(self._seconds)
            try:
                goes_on = await self._answer(server, asked)
            except SourceError as error:
                if follows and error.code.lower().replace("_", "").endswith(_NOT_YET):
                    return  # its clock is behind ours, and it said itself to go on from there
                await self._ask_for_less(server, error, asked, every)
                goes_on = True
            else:
                part = asked.last < every.last
                goes_on, self._seconds = goes_on or part, 2 * asked.seconds if part else None
            if not goes_on or await self._wait(0):
                return
            follows = True

    async def _ask_for_less(
        self, server: SecurityServerClient, error: SourceError, asked: RecordSpan, every: RecordSpan
    ) -> None:
        """Ask for half as much from now on. Raises the error where that does not help."""
        if not _may_be_of_span(error):
            raise error
        if asked.seconds > 1:
            self._seconds = asked.seconds // 2
            self._tell(error, first=asked.first, last=asked.last)
        else:
            await self._doubt(server, error, asked, every)

    async def _doubt(
        self, server: SecurityServerClient, error: SourceError, asked: RecordSpan, every: RecordSpan
    ) -> None:
        """Skip a second whose answer cannot be used, if it is that second and not the server. Raises SourceError.

        A server that is ill as a whole, or now and then, loses nothing: other seconds must be readable meanwhile.
        """
        for times in range(_PROOFS):
            if times % 2 == 0:  # twice in a row: every other answer may be another machine's
                await self._try_others(server, error, asked, every)
            try:
                await self._answer(server, asked)
            except SourceError as again:
                if not _may_be_of_span(again):
                    raise
                error = again
            else:
                return
        await self._take(RecordBatch((), (), SourcePosition(asked.last + 1)), asked)
        self._metrics.second_skipped(self._source.id)
        self._log.warning(
            "second_skipped",
            source=self._source.id,
            second=asked.first,
            failure=error.failure,
            reason=f"what was logged in second {asked.first} is lost, while others can be read: {error}",
        )

    async def _try_others(
        self, server: SecurityServerClient, error: SourceError, asked: RecordSpan, every: RecordSpan
    ) -> None:
        """Look whether any of a few later seconds can be read. Raises SourceError, that of ``asked`` where none can."""
        for later in _OTHERS:
            second = asked.first + later
            if second > every.last:
                break
            try:
                async with self._turns:
                    await self._ask(server, RecordSpan(second, second))
            except SourceError as failed:
                if not _may_be_of_span(failed):
                    raise
            else:
                return
        raise error

    async def _answer(self, server: SecurityServerClient, asked: RecordSpan) -> bool:
        """Take in one answer; tells whether the server named where to go on. Raises SourceError."""
        async with self._turns:
            batch, goes_on = await self._ask(server, asked)
            await self._take(batch, asked)
        self._intake.reached(self._source.id, (batch.position.offset - 1) * 1000)
        return goes_on

    async def _take(self, batch: RecordBatch, asked: RecordSpan) -> None:
        await self._intake.take(self._name, self._source.id, batch, asked.first * 1000)

    async def _ask(self, server: SecurityServerClient, asked: RecordSpan) -> tuple[RecordBatch, bool]:
        """Ask for a span and read the answer. Raises SourceError."""
        source = self._source
        body = await server.ask(operational_data(source.client, source.server, asked, str(uuid4()), source.provider))
        try:
            return await self._intake.executor.run(_read, body, asked)
        except (ServerAnswerError, StuckAnswerError) as error:
            raise SourceError.of(error) from error

    async def _health(self, server: SecurityServerClient) -> None:
        source = self._source
        body = await server.ask(health_data(source.client, source.server, str(uuid4()), source.provider))
        try:
            found = await self._intake.executor.run(read_health, body)
        except ServerAnswerError as error:
            raise SourceError.of(error) from error
        self._metrics.health(self._source.id, found)
        self._log.info(
            "health_taken", source=self._source.id, services=len(found.services), period_seconds=found.period_seconds
        )


def _may_be_of_span(error: SourceError) -> bool:
    """Tell whether a failure may be that of something in the span alone, so that it helps to ask for less."""
    return error.failure in _LESS and not isinstance(error.__cause__, StuckAnswerError)


def _read(body: bytes, asked: RecordSpan) -> tuple[RecordBatch, bool]:
    answer = read_answer(body, _LARGEST_RECORDS)
    batch = read_all(
        answer.records, SourcePosition(next_position(asked, answer.next_records_from), len(answer.records))
    )
    return batch, answer.next_records_from is not None
