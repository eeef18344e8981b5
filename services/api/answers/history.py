"""The indicators published over time, read from stream INDICATORS on demand (docs/design.md §5).

The stream keeps those of government, sectors and agencies hourly and of services daily, for 400 days. A page is one or
two reads of a single subject by direct get; nothing is kept here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from math import inf

from google.protobuf.message import DecodeError

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.api.errors import InvalidRequestError, NotApplicableError, RequestError, UnavailableError
from services.api.model.read_model import ReadModel, named_kind
from services.api.paging import last_of, size_of, token_of
from services.core.bus import StoredMessage, indicator_subject
from services.core.codec import from_timestamp
from services.core.errors import BusError
from services.core.model import IndicatorKind

__all__ = ["History", "Read"]

Read = Callable[[str, int, datetime | None, int, float], Awaitable[list[StoredMessage]]]
"""Reads stream INDICATORS: subject, first sequence or moment of storing, how many at most, seconds it may take."""

_READ_SECONDS = 10.0
_LEFT_SHARE = 0.8  # of a caller's deadline; the rest is for the refusal to reach it
_AT_ONCE = 500
_SKEW_SECONDS = 600.0  # what is published as of a moment is stored after it, by clocks that agree this well
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_INSTEAD = {IndicatorKind.LINK: ", or GetLink for its slots of the last 48 hours", IndicatorKind.ENDPOINT: ""}
"""Of what no history is kept, and what else there is to ask of it than an explanation."""


class History:
    """Answers GetHistory."""

    def __init__(self, model: ReadModel, read: Read) -> None:
        self._model = model
        self._read = read

    async def answer(
        self, request: indicator_service_pb2.GetHistoryRequest, seconds: float | None
    ) -> indicator_service_pb2.GetHistoryResponse:
        """Return one page, oldest first; ``seconds`` are left to the caller's deadline. Raises RequestError."""
        kind, entity, days = self._named(request)
        start, end = _span(request)
        question = ("GetHistory", kind.label, entity, str(days), str(start), str(end))
        size = size_of(request.page_size)
        sequence, newest = _position(last_of(question, request.page_token)) if request.page_token else (0, start)
        page = indicator_service_pb2.GetHistoryResponse()
        try:
            async with asyncio.timeout(min(_READ_SECONDS, inf if seconds is None else _LEFT_SHARE * seconds)):
                subject = indicator_subject(kind.label, entity, days)
                found = self._published(subject, sequence, newest, min(size + 1, _AT_ONCE))
                async for sequence_here, one in found:
                    if one.as_of.seconds >= end:
                        break
                    if len(page.indicators) == size:
                        last = page.indicators[-1].as_of.seconds
                        page.next_page_token = token_of(question, f"{sequence_here - 1} {last + 1}")
                        break
                    page.indicators.append(one)
        except (BusError, TimeoutError) as error:
            raise UnavailableError(
                "HISTORY_UNREACHABLE",
                f"the history of {kind.label} `{entity}` cannot be read as the bus does not answer: retry",
                kind=kind.label,
                id=entity,
            ) from error
        if not page.indicators and not request.page_token:
            # Whoever left the register keeps a history; whoever has none must at least be known.
            self._model.view.entity(kind, entity)
            self._model.view.window(days)
        return page

    def _named(self, request: indicator_service_pb2.GetHistoryRequest) -> tuple[IndicatorKind, str, int]:
        kind, view = named_kind(request.kind), self._model.view
        if kind in _INSTEAD:
            whose = f"{kind.label} `{request.id}`" if request.id else f"any {kind.label}"
            raise NotApplicableError(
                "HISTORY_IN_ARCHIVE",  # for programs, and as docs/api.md promises it stays, though there is no archive
                f"no history is kept of {whose}: ask ExplainIndicator "
                f"(`peyvand explain {kind.label} {request.id or 'ID'}`) for its last failures{_INSTEAD[kind]}",
                kind=kind.label,
                id=request.id,
            )
        # What cannot be an id is no subject either.
        entity = request.id if _ID.fullmatch(request.id) else view.entity(kind, request.id)
        return kind, entity, request.window_days or view.window(0)

    async def _published(
        self, subject: str, sequence: int, newest: float, at_once: int
    ) -> AsyncIterator[tuple[int, indicator_pb2.Indicator]]:
        """Yield what was published as of ``newest`` (epoch seconds) or later and is stored after ``sequence``.

        A scorer that starts again may repeat what it published; of equal times the first is told.
        """
        since = None if sequence else max(0.0, newest - _SKEW_SECONDS)
        while True:
            moment = None if since is None else datetime.fromtimestamp(since, UTC)
            messages = await self._read(subject, sequence + 1, moment, at_once, _READ_SECONDS)
            for message in messages:
                one = _indicator(message)
                if one is not None and one.as_of.seconds >= newest:
                    newest = one.as_of.seconds + 1
                    yield message.sequence, one
            if not messages:
                return
            sequence, since = messages[-1].sequence, None


def _indicator(message: StoredMessage) -> indicator_pb2.Indicator | None:
    try:
        return indicator_pb2.Indicator.FromString(message.data)
    except DecodeError:
        return None  # no scorer of ours wrote it


def _span(request: indicator_service_pb2.GetHistoryRequest) -> tuple[float, float]:
    """The moments in epoch seconds between which as_of must lie, the second exclusive."""
    try:
        start = from_timestamp(getattr(request, "from")) if request.HasField("from") else 0.0
        end = from_timestamp(request.to) if request.HasField("to") else inf
    except ValueError as error:
        raise _bad_span("from and to must be moments in the years 1 to 9999") from error
    if end <= start:
        raise _bad_span("to is not after from: indicators as of a moment in [from, to) are returned")
    return start, end


def _bad_span(why: str) -> RequestError:
    return InvalidRequestError("TIME_RANGE_INVALID", why)


def _position(last: str) -> tuple[int, float]:
    sequence, newest = last.split()
    return int(sequence), float(newest)
