"""One published indicator and the bytes that are sent of it."""

from __future__ import annotations

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.core.codec import indicator_to_message
from services.core.model import Indicator

__all__ = ["Published"]


class Published:
    """What is sent of an indicator is made once, when first asked for, and kept until a newer one replaces it."""

    __slots__ = ("_answer", "_message", "indicator")

    def __init__(self, indicator: Indicator) -> None:
        self.indicator = indicator
        self._message: indicator_pb2.Indicator | None = None
        self._answer: bytes | None = None

    @property
    def message(self) -> indicator_pb2.Indicator:
        """The indicator as a message. Not to be changed."""
        if self._message is None:
            self._message = indicator_to_message(self.indicator)
        return self._message

    @property
    def answer(self) -> bytes:
        """A serialised GetIndicatorResponse, which is byte for byte a WatchIndicatorsResponse too."""
        if self._answer is None:
            self._answer = indicator_service_pb2.GetIndicatorResponse(indicator=self.message).SerializeToString()
        return self._answer

    def differs_from(self, other: Indicator) -> bool:
        """Whether a watcher is to be told: anything but the position of the evidence is another."""
        one = self.indicator
        return one.as_of != other.as_of or _told(one) != _told(other)


def _told(one: Indicator) -> tuple[object, ...]:
    return (
        *(one.point, one.lower, one.upper, one.known_share, one.losses, one.strict, one.level),
        *(one.links_required, one.links_known, one.links_absent),
        *(one.register_version, one.probe_version, one.method_version),
    )
