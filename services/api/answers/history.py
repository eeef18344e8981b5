"""Answers GetHistory from stream INDICATORS or, for links and endpoints, from sealed days (docs/design.md §5).

The stream keeps the indicators of government, sectors and agencies hourly and of services daily, for 400 days. A page
takes one or two reads of a single subject; nothing of the stream is kept in memory.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from math import inf

from google.protobuf.message import DecodeError

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.api.answers.sealed_days import SealedDays
from services.api.errors import InvalidRequestError, NotApplicableError, UnavailableError
from services.api.model import ReadModel, parse_kind
from services.api.paging import invalid_token, page_size, page_token, token_position
from services.core.bus import StoredMessage, indicator_subject
from services.core.codec import from_timestamp, indicator_to_message
from services.core.errors import BusError, StateError
from services.core.model import IndicatorKind

ReadStream = Callable[[str, int, datetime | None, int, float], Awaitable[list[StoredMessage]]]
"""Reads stream INDICATORS: subject, first sequence or time of storing, most messages, timeout in seconds."""

_READ_SECONDS = 10.0
_DEADLINE_SHARE = 0.8  # of the time left to the caller's deadline; in the rest the error can arrive
_MAX_MESSAGES = 500
_SKEW_SECONDS = 600.0
"""An indicator is stored after its ``as_of``, by clocks that agree to within this."""
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_POSITION = re.compile(r"([1-9][0-9]{0,14}) ([0-9]{1,12})")
"""Where the next page begins: when its first indicator was stored (milliseconds), and from which moment on it is.

Not by its sequence, since sequences begin again in a stream that is recreated.
"""
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999, in epoch seconds."""
_ALTERNATIVES = {IndicatorKind.LINK: ", or GetLink for its slots of the last 48 hours", IndicatorKind.ENDPOINT: ""}
"""Kinds without a history in the stream, and what to request beside an explanation."""


class HistoryReader:
    """Answers GetHistory."""

    def __init__(self, model: ReadModel, read: ReadStream, sealed: SealedDays | None = None) -> None:
        self._model = model
        self._read = read
        self._sealed = sealed

    async def answer(
        self, request: indicator_service_pb2.GetHistoryRequest, seconds: float | None
    ) -> indicator_service_pb2.GetHistoryResponse:
        """Return one page, oldest first; ``seconds`` are left to the caller's deadline. Raises RequestError."""
        kind, entity, days = self._name(request)
        start, end = _span(request)
        stepped = (str(request.step_seconds),) if request.step_seconds else ()
        query = ("GetHistory", kind.label, entity, str(days), str(start), str(end), *stepped)
        if kind in _ALTERNATIVES:
            return await self._of_target(request, query, kind, entity, days, start=start, end=end, seconds=seconds)
        size, step = page_size(request.page_size), request.step_seconds or 1
        since, newest = max(0.0, start - _SKEW_SECONDS), start
        if request.page_token:
            since, newest = _position(token_position(query, request.page_token))
        page = indicator_service_pb2.GetHistoryResponse()
        try:
            async with _time_to_read(seconds):
                subject = indicator_subject(kind.label, entity, days)
                indicators = self._published(subject, since, newest, min(size + 1, _MAX_MESSAGES))
                async for stored, indicator in indicators:
                    if indicator.as_of.seconds >= end:
                        break
                    if page.indicators and page.indicators[-1].as_of.seconds // step == indicator.as_of.seconds // step:
                        page.indicators[-1].CopyFrom(indicator)
                        continue
                    if len(page.indicators) == size:
                        last = page.indicators[-1].as_of.seconds
                        page.next_page_token = page_token(query, f"{int(stored * 1000)} {last + 1}")
                        break
                    page.indicators.append(indicator)
        except (BusError, TimeoutError) as error:
            raise _unreachable(kind, entity, " as the bus does not answer: retry") from error
        if not page.indicators and not request.page_token:
            # An entity that left the register keeps its history; one without a history must be in the register.
            self._model.view.entity(kind, entity)
            self._model.view.window(days)
        return page

    async def _of_target(
        self,
        request: indicator_service_pb2.GetHistoryRequest,
        query: tuple[str, ...],
        kind: IndicatorKind,
        entity: str,
        days: int,
        *,
        start: float,
        end: float,
        seconds: float | None,
    ) -> indicator_service_pb2.GetHistoryResponse:
        """Return one page of a link or an endpoint from the archive's dataset.

        Days that were read remain read when the time is over, so that a later call gets further.
        """
        assert self._sealed is not None
        if request.page_token:
            start = max(start, _position(token_position(query, request.page_token))[1])
        size = page_size(request.page_size)
        try:
            async with _time_to_read(seconds):
                rows = await self._sealed.read(self._model.view, kind, entity, days, start=start, end=end)
        except TimeoutError as error:
            raise _unreachable(kind, entity, " yet, as sealed days are being read: retry") from error
        except StateError as error:
            raise _unreachable(kind, entity, f": {error}") from error
        step = request.step_seconds or 1
        rows = list({row.as_of // step: row for row in rows}.values())  # the last of each step
        page = indicator_service_pb2.GetHistoryResponse(indicators=map(indicator_to_message, rows[:size]))
        if len(rows) > size:
            page.next_page_token = page_token(query, f"1 {rows[size].as_of}")
        return page

    def _name(self, request: indicator_service_pb2.GetHistoryRequest) -> tuple[IndicatorKind, str, int]:
        kind, view = parse_kind(request.kind), self._model.view
        if kind in _ALTERNATIVES and self._sealed is None:
            whose = f"{kind.label} `{request.id}`" if request.id else f"any {kind.label}"
            raise NotApplicableError(
                "HISTORY_IN_ARCHIVE",
                f"no history is kept of {whose}: ask ExplainIndicator "
                f"(`peyvand explain {kind.label} {request.id or 'ID'}`) for its last failures{_ALTERNATIVES[kind]}",
                kind=kind.label,
                id=request.id,
            )
        # An id becomes part of a subject: anything else must be in the register.
        entity = (
            request.id if _ID.fullmatch(request.id) and kind not in _ALTERNATIVES else view.entity(kind, request.id)
        )
        days = view.window(request.window_days) if kind in _ALTERNATIVES else request.window_days or view.window(0)
        return kind, entity, days

    async def _published(
        self, subject: str, since: float, newest: float, limit: int
    ) -> AsyncIterator[tuple[float, indicator_pb2.Indicator]]:
        """Yield the indicators stored at ``since`` or later and as of ``newest`` or later, with the times of storing.

        All times are in epoch seconds. A scorer that restarts may publish again; of indicators with equal times, the
        first is yielded.
        """
        sequence, moment = 0, datetime.fromtimestamp(since, UTC)
        while messages := await self._read(subject, sequence + 1, None if sequence else moment, limit, _READ_SECONDS):
            for message in messages:
                indicator = _decode(message)
                if indicator is not None and indicator.as_of.seconds >= newest:
                    newest = indicator.as_of.seconds + 1
                    yield message.time, indicator
            sequence = messages[-1].sequence


def _time_to_read(seconds: float | None) -> asyncio.Timeout:
    """Return a timeout for reading, when ``seconds`` are left to the caller's deadline."""
    return asyncio.timeout(min(_READ_SECONDS, inf if seconds is None else _DEADLINE_SHARE * seconds))


def _unreachable(kind: IndicatorKind, entity: str, why: str) -> UnavailableError:
    message = f"the history of {kind.label} `{entity}` cannot be read{why}"
    return UnavailableError("HISTORY_UNREACHABLE", message, kind=kind.label, id=entity)


def _position(text: str) -> tuple[float, float]:
    """Return both moments of a token, in epoch seconds. Raises RequestError: an unsigned token may be forged."""
    position = _POSITION.fullmatch(text)
    if position is None or int(position[1]) > 1000 * _LAST_SECOND:
        raise invalid_token()
    return int(position[1]) / 1000, float(position[2])


def _decode(message: StoredMessage) -> indicator_pb2.Indicator | None:
    try:
        return indicator_pb2.Indicator.FromString(message.data)
    except DecodeError:
        return None  # no scorer of ours wrote it


def _span(request: indicator_service_pb2.GetHistoryRequest) -> tuple[float, float]:
    """Return the moments in epoch seconds between which as_of must lie, the second exclusive."""
    try:
        start = from_timestamp(getattr(request, "from")) if request.HasField("from") else 0.0
        end = from_timestamp(request.to) if request.HasField("to") else inf
    except ValueError as error:
        raise InvalidRequestError("TIME_RANGE_INVALID", "from and to must be moments in the years 1 to 9999") from error
    if end <= start:
        why = "to is not after from: indicators as of a moment in [from, to) are returned"
        raise InvalidRequestError("TIME_RANGE_INVALID", why)
    return start, end
