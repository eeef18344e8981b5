"""Publishes findings about exchanges to FINDINGS when they are found, when they change, and when they end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from services.core.blocks import BlockReader
from services.core.bus import FINDINGS, GOVERNMENT_KEY, INDICATOR_BUCKET, Bus, finding_of, finding_subject
from services.core.codec import finding_from_message, finding_to_message
from services.core.errors import TornValueError
from services.core.log import logger
from services.core.model import Finding

_BATCH = 500
_NEWS = ("kind", "ended_at", "flow_count", "probes", "review", "note")
"""The fields whose changes are worth a message. The figures of an ongoing finding change with each step."""


class FindingPublisher:
    """Publishes what is new in findings. ``check`` raises BusError when this process may no longer publish."""

    def __init__(self, bus: Bus, check: Callable[[], None] = lambda: None) -> None:
        self._bus = bus
        self._check = check
        self._said: dict[str, tuple[object, ...]] | None = None
        """What was last published of each finding, by id; None before that is read from the stream."""
        self._sequence = 0

    async def publish(self, findings: Iterable[Finding]) -> None:
        """Publish the findings that have changed since they were last published. Raises BusError.

        After an error the next call publishes the rest. So it does once a sequence shows that the stream was recreated, for
        findings that have not changed.
        """
        if self._said is None:
            self._said = await self._read()
        for finding in findings:
            news = _news(finding)
            if self._said.get(finding.id) != news:
                self._check()
                payload = finding_to_message(finding).SerializeToString()
                sequence = await self._bus.publish(finding_subject(finding.kind, finding.id), payload, message_id="")
                if sequence <= self._sequence:
                    self._said.clear()
                self._said[finding.id], self._sequence = news, sequence

    async def _read(self) -> dict[str, tuple[object, ...]]:
        said: dict[str, tuple[object, ...]] = {}
        start = 1
        while messages := await self._bus.read(FINDINGS, start, limit=_BATCH):
            for message in messages:
                with suppress(ValueError):  # of a newer version
                    finding = finding_of(message)
                    said[finding.id] = _news(finding)
            self._sequence = messages[-1].sequence
            start = self._sequence + 1
        return said


async def published_findings(bus: Bus) -> tuple[Finding, ...]:
    """Return the findings published with the last index. Raises BusError when the bus cannot be read.

    There are none without an index, or if it is damaged or a newer version wrote it.
    """
    try:
        payload = await bus.kv_get(INDICATOR_BUCKET, GOVERNMENT_KEY)
    except TornValueError as error:
        logger().error("value_torn", reason=str(error))
        return ()
    with suppress(ValueError):
        return () if payload is None else tuple(map(finding_from_message, BlockReader.of(payload).findings))
    return ()


def _news(finding: Finding) -> tuple[object, ...]:
    return tuple(getattr(finding, name) for name in _NEWS)
