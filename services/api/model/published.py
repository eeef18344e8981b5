"""Published indicators as they are sent, and what a new block changes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from peyvand.v1 import indicator_pb2, indicator_service_pb2
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

    def differs_from(self, other: indicator_pb2.Indicator) -> bool:
        """Whether anything but the interval and the position of the evidence differs."""
        return _comparable(self.message) != _comparable(other)


def _comparable(message: indicator_pb2.Indicator) -> indicator_pb2.Indicator:
    copy = indicator_pb2.Indicator()
    copy.CopyFrom(message)
    copy.ClearField("interval")
    copy.ClearField("evidence_sequence")
    return copy


class BlockChange:
    """One block in place of another. ``published`` returns what the new block holds under a key.

    ``requested`` are indicators of the old block that are in memory already.
    """

    def __init__(
        self,
        before: BlockReader | None,
        after: BlockReader | None,
        *,
        requested: Mapping[IndicatorKey, PublishedIndicator],
        published: Callable[[IndicatorKey], PublishedIndicator | None],
    ) -> None:
        self._before = before
        self._after = after
        self._requested = requested
        self._published = published

    def indicator_keys(self) -> Iterable[IndicatorKey]:
        """Return the keys of the new block's indicators."""
        return () if self._after is None else self._after.keys()

    def __len__(self) -> int:
        return 0 if self._after is None else len(self._after)

    def update(self, key: IndicatorKey) -> PublishedIndicator | None:
        """Return the indicator to send to watchers of a key; None when there is none, or none that differs."""
        if self._after is None or key not in self._after:
            return None
        new = self._published(key)
        if new is None or self._before is None or self._before.as_of != self._after.as_of:
            return new
        requested = self._requested.get(key)
        old = self._before.find(key) if requested is None else requested.message
        return new if old is None or new.differs_from(old) else None
