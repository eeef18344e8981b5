"""Watches of indicators: each holds the newest unsent indicator of every entity it is about, and no more."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import Gauge

from services.api.errors import UnavailableError
from services.api.model.published import BlockChange, PublishedIndicator
from services.core.blocks import IndicatorKey


class Watch:
    """One watcher's unsent indicators. A slow watcher skips those that were replaced before they could be sent."""

    def __init__(self) -> None:
        self._unsent: OrderedDict[str, PublishedIndicator] = OrderedDict()
        self._wake = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._unsent)

    def offer(self, indicator: PublishedIndicator) -> None:
        """Hold an indicator for sending, in place of an older one of the same entity."""
        self._unsent[indicator.message.id] = indicator
        self._wake.set()

    def close(self) -> None:
        """End the watch."""
        self._closed = True
        self._wake.set()

    async def changes(self) -> AsyncIterator[PublishedIndicator]:
        """Yield what is held, waiting when there is nothing. Raises RequestError once the watch is closed."""
        while True:
            await self._wake.wait()
            if self._closed:
                raise UnavailableError("SHUTTING_DOWN", "the api is shutting down: watch again elsewhere")
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
        self._closed = False

    @contextmanager
    def watch(self, kind: int, window_days: int, ids: Iterable[str]) -> Iterator[Watch]:
        """Watch entities of a kind, all of them when ``ids`` is empty."""
        watch = Watch()
        keys = [(kind, entity, window_days) for entity in ids]
        groups = [self._by_key[key] for key in keys] or [self._by_kind[kind, window_days]]
        for group in (*groups, self._watches):
            group.add(watch)
        self._watchers.inc()
        if self._closed:
            watch.close()
        try:
            yield watch
        finally:
            for group in (*groups, self._watches):
                group.discard(watch)
            for key in keys:
                if not self._by_key.get(key, True):
                    del self._by_key[key]
            self._watchers.dec()

    def publish(self, change: BlockChange) -> None:
        """Offer what changed to its watchers. Indicators without a watcher are not read."""
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
        """End every watch, later ones as well."""
        self._closed = True
        for watch in self._watches:
            watch.close()
