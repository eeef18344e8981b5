"""Who is told of changes: each watcher holds the newest unsent indicator of every entity it watches, and no more."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import Gauge

from services.api.errors import UnavailableError
from services.api.model.published import Published
from services.api.model.read_model import Change

__all__ = ["Watch", "WatchHub"]


class Watch:
    """One watcher's unsent indicators. A slow watcher skips what was replaced before it could be sent."""

    def __init__(self) -> None:
        self._unsent: OrderedDict[str, Published] = OrderedDict()
        self._wake = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._unsent)

    def offer(self, published: Published) -> None:
        """Hold this for sending, in place of anything older about the same entity."""
        self._unsent[published.indicator.id] = published
        self._wake.set()

    def close(self) -> None:
        """End the watch."""
        self._closed = True
        self._wake.set()

    async def changes(self) -> AsyncIterator[Published]:
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
    """Every watch, by what it watches."""

    def __init__(self, watchers: Gauge) -> None:
        self._watchers = watchers
        self._by_entity: defaultdict[tuple[int, str, int], set[Watch]] = defaultdict(set)
        self._by_kind: defaultdict[tuple[int, int], set[Watch]] = defaultdict(set)
        self._watches: set[Watch] = set()
        self._closed = False

    @contextmanager
    def watch(self, kind: int, window_days: int, ids: Iterable[str]) -> Iterator[Watch]:
        """Watch entities of a kind, every one of them when ``ids`` is empty, for as long as the context lasts."""
        watch = Watch()
        places = [(kind, one, window_days) for one in ids]
        groups = [self._by_entity[place] for place in places] or [self._by_kind[kind, window_days]]
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
            for place in places:
                if not self._by_entity.get(place, True):
                    del self._by_entity[place]
            self._watchers.dec()

    def publish(self, change: Change) -> None:
        """Offer what is news to those who watch it. What nobody watches is not looked at."""
        if not self._watches or not len(change):
            return
        kinds = {kind for kind, watches in self._by_kind.items() if watches}
        if kinds or len(change) < len(self._by_entity):
            places = [one for one in change.places() if one in self._by_entity or (one[0], one[2]) in kinds]
        else:
            places = list(self._by_entity)
        for place in places:
            watches = [*self._by_entity.get(place, ()), *self._by_kind.get((place[0], place[2]), ())]
            published = change.news(place) if watches else None
            if published is not None:
                for watch in watches:
                    watch.offer(published)

    def close(self) -> None:
        """End every watch, those to come as well."""
        self._closed = True
        for watch in self._watches:
            watch.close()
