"""Exposes the state of the bus on /metrics: streams, lost messages, certificates, and missing or broken batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry

from services.core import metrics
from services.core.bus import DURABILITY_FAULTS, StreamState
from services.core.metrics import GaugeFamily
from services.scorer.work_record import WorkRecord


class BusMetrics:
    """Metrics of streams and batches. The values that the index reports are also kept in ``record``."""

    def __init__(self, registry: CollectorRegistry, record: WorkRecord) -> None:
        self._record = record
        self._messages = GaugeFamily("peyvand_stream_messages", registry)
        self._bytes = GaugeFamily("peyvand_stream_bytes", registry)
        self._limit = GaugeFamily("peyvand_stream_limit_bytes", registry)
        self._last_sequence = GaugeFamily("peyvand_stream_last_sequence", registry)
        self._lost = metrics.counter("peyvand_stream_lost_messages_total", registry)
        self._unsafe = GaugeFamily("peyvand_bus_unsafe", registry)
        self._certificates = GaugeFamily("peyvand_bus_certificate_expiry_timestamp_seconds", registry)
        self._missing = GaugeFamily("peyvand_batches_missing", registry)
        self._broken = GaugeFamily("peyvand_batches_broken", registry)

    def streams(self, states: Mapping[str, StreamState]) -> None:
        """Set messages, bytes, the limit and the last sequence of each stream and bucket."""
        self._record.streams = states
        self._messages.show({(stream,): state.messages for stream, state in states.items()})
        self._bytes.show({(stream,): state.size for stream, state in states.items()})
        self._limit.show({(stream,): state.limit for stream, state in states.items() if state.limit})
        self._last_sequence.show({(stream,): state.last for stream, state in states.items()})

    def lost(self, stream: str, messages: int) -> None:
        """Count messages that a stream or bucket lost before they expired."""
        self._lost.labels(stream).inc(messages)
        self._record.lost[stream] += messages

    def unsafe(self, faults: Collection[str]) -> None:
        """Set which of DURABILITY_FAULTS the bus has."""
        self._unsafe.show({(fault,): float(fault in faults) for fault in DURABILITY_FAULTS})

    def certificates(self, expiries: Mapping[str, float]) -> None:
        """Set when the certificate of each server expires, in epoch seconds."""
        self._certificates.show({(server,): expiry for server, expiry in expiries.items()})

    def unknown(self) -> None:
        """Show neither faults nor certificates, which may have changed while the bus did not answer."""
        self._unsafe.show({})
        self._certificates.show({})

    def batches(self, missing: Mapping[str, int], broken: Mapping[str, int]) -> None:
        """Set the number of missing and of broken batches of each vantage.

        A batch is missing if later ones have come. It is broken if it does not follow the batch before it.
        """
        self._record.batches_missing, self._record.batches_broken = sum(missing.values()), sum(broken.values())
        self._missing.show({(vantage,): count for vantage, count in missing.items()})
        self._broken.show({(vantage,): count for vantage, count in broken.items()})
