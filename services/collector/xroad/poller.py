"""Polls one security server for what it has logged since the last request, until the stop (docs/exchange.md §2)."""

from __future__ import annotations

from asyncio import Semaphore
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
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

_FIRST_SECONDS = 2.0  # within which each server gets its first request
_NOT_YET = ".invalidrequest"  # newer servers: client.invalid_request
_LARGEST_RECORDS = 64 << 20  # bytes of an answer's records, decompressed
_TOO_MUCH = ("too_large", "unreadable")  # failures after which a shorter span is requested
_PROOFS = 4  # how often a second must fail, while others can be read, before it is skipped
_LATER = (1, 60, 3600)  # how many seconds later those others are


@dataclass(eq=False)
class ServerPoller:
    """Polls one server in rounds.

    ``now`` is the clock in seconds since 1970. ``chance`` draws from [0, 1). ``wait`` waits for some seconds and
    returns whether the stop has come. ``answers`` limits how many servers' answers are in memory at once.
    """

    source: XroadSource
    intake: Intake
    metrics: CollectorMetrics
    log: Logger
    answers: Semaphore
    now: Callable[[], float]
    chance: Callable[[], float]
    wait: Callable[[float], Awaitable[bool]]
    _seconds: int | None = field(default=None, init=False)  # how many to request at once; None for all

    def __post_init__(self) -> None:
        # A position is valid for these records of this server only.
        self._name = " ".join(filter(None, (self.source.id, self.source.server, self.source.provider)))

    async def run(self) -> None:
        """Poll round after round until the stop. After failures in a row, wait longer and longer."""
        failures = 0
        if not self.source.health:
            self.intake.begin(self.source.id)
        stopped = await self.wait(min(self.source.every, _FIRST_SECONDS) * self.chance())
        async with SecurityServerClient(self.source) as server:
            while not stopped:
                try:
                    await (self._read_health(server) if self.source.health else self._read_records(server))
                except SourceError as error:
                    failures += 1
                    seconds = retry_pause(failures, self.source.every, self.chance())
                    self._failed(error, failures=failures, retry_seconds=round(seconds, 1))
                    await server.close()  # the certificates may have been replaced, even if it answered
                else:
                    failures = 0
                    self.metrics.source_up(self.source.id)
                    seconds = retry_pause(0, self.source.every, self.chance())
                stopped = await self.wait(seconds)

    def _failed(self, error: SourceError, **details: float) -> None:
        self.metrics.source_failed(self.source.id, error.failure)
        self.log.warning("source_failed", source=self.source.id, failure=error.failure, reason=str(error), **details)

    async def _read_records(self, server: SecurityServerClient) -> None:
        """Read one round: follow the server to the end of its records. Raises SourceError.

        After an unusable answer the span is halved, so that one bad record does not block all later ones. After each
        usable answer it is doubled.
        """
        followed = False
        while True:
            position = await self.intake.position(self._name)
            if position is not None:
                self.intake.reached(self.source.id, (position.offset - 1) * 1000)
            begin = None if position is None else position.offset
            missing = next_span(begin, self.now(), self.source.history, self.source.behind)
            if missing is None:
                return
            span = missing.first_part(self._seconds)
            try:
                has_more = await self._read_span(server, span)
            except SourceError as error:
                if followed and error.code.lower().replace("_", "").endswith(_NOT_YET):
                    return  # the server itself named this second; its clock is behind ours
                await self._shorten(server, error, span, missing)
                has_more = True
            else:
                partial = span.last < missing.last
                has_more, self._seconds = has_more or partial, 2 * span.seconds if partial else None
            if not has_more or await self.wait(0):
                return
            followed = True

    async def _shorten(
        self, server: SecurityServerClient, error: SourceError, span: RecordSpan, missing: RecordSpan
    ) -> None:
        """Request half as many seconds from now on. Raises the error if that does not help, or not at once."""
        if error.failure == "timeout" and span.seconds > 1:
            self._seconds = span.seconds // 2  # over a slow line, fewer records may come in time
        if not _may_depend_on_span(error):
            raise error
        if span.seconds > 1:
            self._seconds = span.seconds // 2
            self._failed(error, first=span.first, last=span.last)
        else:
            await self._quarantine_second(server, error, span, missing)

    async def _quarantine_second(
        self, server: SecurityServerClient, error: SourceError, span: RecordSpan, missing: RecordSpan
    ) -> None:
        """Skip a second whose answer cannot be used, if other seconds can be read meanwhile. Raises SourceError.

        So no records are lost when a server fails as a whole, or now and then.
        """
        for attempt in range(_PROOFS):
            if attempt % 2 == 0:  # twice in a row, since every other answer may come from another machine
                await self._read_later_second(server, error, span, missing)
            try:
                await self._read_span(server, span)
            except SourceError as again:
                if not _may_depend_on_span(again):
                    raise
                error = again
            else:
                return
        await self._take(RecordBatch((), (), SourcePosition(span.last + 1)), span)
        self.metrics.second_skipped(self.source.id)
        self.log.warning(
            "second_skipped",
            source=self.source.id,
            second=span.first,
            failure=error.failure,
            reason=f"what was logged in second {span.first} is lost, while others can be read: {error}",
        )

    async def _read_later_second(
        self, server: SecurityServerClient, error: SourceError, span: RecordSpan, missing: RecordSpan
    ) -> None:
        """Return if any of a few later seconds can be read; raise ``error``, or another SourceError, if none can."""
        for later in _LATER:
            second = span.first + later
            if second > missing.last:
                break
            try:
                async with AsyncExitStack() as held:
                    await self._request(server, RecordSpan(second, second), held)
            except SourceError as failed:
                if not _may_depend_on_span(failed):
                    raise
            else:
                return
        raise error

    async def _read_span(self, server: SecurityServerClient, span: RecordSpan) -> bool:
        """Ingest the answer for one span; return whether the server named where to continue. Raises SourceError."""
        async with AsyncExitStack() as held:
            batch, has_more = await self._request(server, span, held)
            await self._take(batch, span)
        self.intake.reached(self.source.id, (batch.position.offset - 1) * 1000)
        return has_more

    async def _take(self, batch: RecordBatch, span: RecordSpan) -> None:
        await self.intake.take(self._name, self.source.id, batch, span.first * 1000)

    async def _request(
        self, server: SecurityServerClient, span: RecordSpan, held: AsyncExitStack
    ) -> tuple[RecordBatch, bool]:
        """Request a span and read the answer, which counts among ``answers`` until ``held`` ends. Raises SourceError.

        A server that has not begun to answer does not count, since it would keep others waiting.
        """
        source = self.source
        body = await server.send(
            operational_data(source.client, source.server, span, str(uuid4()), source.provider),
            lambda: held.enter_async_context(self.answers),
        )
        try:
            return await self.intake.executor.run(_read, body, span)
        except (ServerAnswerError, StuckAnswerError) as error:
            raise SourceError.of(error) from error

    async def _read_health(self, server: SecurityServerClient) -> None:
        source = self.source
        body = await server.send(health_data(source.client, source.server, str(uuid4()), source.provider))
        try:
            health = await self.intake.executor.run(read_health, body)
        except ServerAnswerError as error:
            raise SourceError.of(error) from error
        self.metrics.health(source.id, health)
        self.log.info(
            "health_taken", source=source.id, services=len(health.services), period_seconds=health.period_seconds
        )


def _may_depend_on_span(error: SourceError) -> bool:
    """Return whether the span alone may have caused a failure, so that a shorter span may help."""
    return error.failure in _TOO_MUCH and not isinstance(error.__cause__, StuckAnswerError)


def _read(body: bytes, span: RecordSpan) -> tuple[RecordBatch, bool]:
    answer = read_answer(body, _LARGEST_RECORDS)
    position = SourcePosition(next_position(span, answer.next_records_from), len(answer.records))
    return read_all(answer.records, position), answer.next_records_from is not None
