"""Holds published indicators as they are sent, finds those that a new block changes, and offers them to watches."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import Gauge

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.api.errors import UnavailableError
from services.core.blocks import BlockReader, IndicatorKey


class PublishedIndicator:
    """An indicator and its serialised answer, which is made when first requested. The message must not be changed."""

    __slots__ = ("_answer", "message")

    def __init__(self, message: indicator_pb2.Indicator) -> None:
        self.message = message
        self._answer: bytes | None = None

    @property
    def answer(self) -> bytes:
        """A serialised GetIndicatorResponse, which is byte for byte a WatchIndicatorsResponse too."""
        if self._answer is None:
            self._answer = indicator_service_pb2.GetIndicatorResponse(indicator=self.message).SerializeToString()
        return self._answer


def _comparable(message: indicator_pb2.Indicator) -> indicator_pb2.Indicator:
    """Return an indicator without its interval, the ranks that follow from all intervals, and its evidence sequence."""
    copy = indicator_pb2.Indicator()
    copy.CopyFrom(message)
    copy.ClearField("interval")
    copy.ClearField("rank_band")
    copy.ClearField("evidence_sequence")
    return copy


@dataclass(frozen=True, slots=True)
class BlockChange:
    """The replacement of one block by another. ``published`` returns the new block's indicator under a key.

    ``requested`` are indicators of the old block that are in memory already.
    """

    before: BlockReader | None
    after: BlockReader | None
    requested: Mapping[IndicatorKey, PublishedIndicator]
    published: Callable[[IndicatorKey], PublishedIndicator | None]

    def indicator_keys(self) -> Iterable[IndicatorKey]:
        """Return the keys of the new block's indicators."""
        return () if self.after is None else self.after.keys()

    def __len__(self) -> int:
        return 0 if self.after is None else len(self.after)

    def update(self, key: IndicatorKey) -> PublishedIndicator | None:
        """Return the indicator to send to watchers of a key; None when there is none, or none that differs."""
        if self.after is None or key not in self.after:
            return None
        new = self.published(key)
        if new is None or self.before is None or self.before.as_of != self.after.as_of:
            return new
        requested = self.requested.get(key)
        old = self.before.find(key) if requested is None else requested.message
        return new if old is None or _comparable(new.message) != _comparable(old) else None


_DRAINING = "SHUTTING_DOWN", "the api is shutting down: watch again elsewhere"


class Watch:
    """One watcher's unsent indicators. A slow watcher skips those that were replaced before they could be sent."""

    def __init__(self) -> None:
        self._unsent: OrderedDict[str, PublishedIndicator] = OrderedDict()
        self._wake = asyncio.Event()
        self._end: tuple[str, str] | None = None

    def __len__(self) -> int:
        return len(self._unsent)

    def offer(self, indicator: PublishedIndicator) -> None:
        """Hold an indicator for sending, replacing an older one of the same entity."""
        self._unsent[indicator.message.id] = indicator
        self._wake.set()

    def close(self, reason: str, sentence: str) -> None:
        """End the watch, for a reason as in RequestError."""
        self._end = reason, sentence
        self._wake.set()

    async def changes(self) -> AsyncIterator[PublishedIndicator]:
        """Yield the held indicators, waiting when there are none. Raises RequestError once the watch is closed."""
        while True:
            await self._wake.wait()
            if self._end is not None:
                raise UnavailableError(*self._end)
            if self._unsent:
                yield self._unsent.popitem(last=False)[1]
            else:
                self._wake.clear()


class WatchHub:
    """Every watch, by entity and by kind."""

    def __init__(self, watchers: Gauge) -> None:
        self._watchers = watchers
        self._by_key: defaultdict[IndicatorKey, set[Watch]] = defaultdict(set)
        self._by_kind: defaultdict[tuple[int, int], set[Watch]] = defaultdict(set)
        self._watches: set[Watch] = set()
        self._of_register: set[Watch] = set()
        self._closed = False

    @contextmanager
    def watch(self, kind: int, window_days: int, ids: Sequence[str], *, of_register: bool = False) -> Iterator[Watch]:
        """Watch entities of a kind, all of them when ``ids`` is empty.

        A watch ``of_register`` ends with the register in force, as its ids are the caller's own only by that register.
        """
        watch = Watch()
        groups = [self._by_key[kind, entity, window_days] for entity in ids] or [self._by_kind[kind, window_days]]
        groups += [self._watches, *([self._of_register] if of_register else [])]
        for group in groups:
            group.add(watch)
        self._watchers.inc()
        if self._closed:
            watch.close(*_DRAINING)
        try:
            yield watch
        finally:
            for group in groups:
                group.discard(watch)
            for entity in ids:
                if not self._by_key.get((kind, entity, window_days), True):
                    del self._by_key[kind, entity, window_days]
            self._watchers.dec()

    def publish(self, change: BlockChange) -> None:
        """Offer the changed indicators to their watchers. Indicators without a watcher are not read."""
        if not self._watches or not len(change):
            return
        kinds = {kind for kind, watches in self._by_kind.items() if watches}
        if kinds or len(change) < len(self._by_key):
            keys = [key for key in change.indicator_keys() if key in self._by_key or (key[0], key[2]) in kinds]
        else:
            keys = list(self._by_key)
        for key in keys:
            watches = [*self._by_key.get(key, ()), *self._by_kind.get((key[0], key[2]), ())]
            indicator = change.update(key) if watches else None
            if indicator is not None:
                for watch in watches:
                    watch.offer(indicator)

    def close(self) -> None:
        """End every watch, including later ones."""
        self._closed = True
        for watch in self._watches:
            watch.close(*_DRAINING)

    def note_register(self) -> None:
        """End every watch of the register that was in force before."""
        for watch in self._of_register:
            watch.close("REGISTER_CHANGED", "another register is in force: watch again for what is yours by it")
