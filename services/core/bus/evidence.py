"""Decodes messages of the streams, and refuses those that do not belong on their subject."""

from __future__ import annotations

from services.core.bus.messages import StoredMessage
from services.core.bus.names import exchange_subject, finding_subject, indicator_subject, measurement_subject
from services.core.codec import decode_columns, decode_finding, decode_indicator, decode_summaries
from services.core.model import ExchangeSummary, Finding, Indicator, MeasurementColumns


def columns_of(message: StoredMessage) -> MeasurementColumns:
    """Return the measurements of a message. Raises ValueError when they are unreadable or of another vantage.

    The bus lets a prober publish on the subjects of its own vantage only, so the subject identifies the sender.
    """
    try:
        columns = decode_columns(message.data)
    except OverflowError as error:
        raise ValueError("a MeasurementBatch with numbers out of range") from error
    if message.subject != measurement_subject(columns.vantage, _shard(message)):
        raise ValueError(f"a batch of vantage {columns.vantage!r} on {message.subject}")
    return columns


def summaries_of(message: StoredMessage) -> tuple[str, list[ExchangeSummary]]:
    """Return the data bus and its summaries. Raises ValueError when they are unreadable or of another bus."""
    bus, summaries = decode_summaries(message.data)
    if message.subject != exchange_subject(bus, _shard(message)):
        raise ValueError(f"a batch of bus {bus!r} on {message.subject}")
    return bus, summaries


def indicator_of(message: StoredMessage) -> Indicator:
    """Return the indicator of a message. Raises ValueError when it is unreadable, or of another entity than its subject."""
    row = decode_indicator(message.data)
    if message.subject != indicator_subject(row.kind.label, row.id, row.window_days):
        raise ValueError(f"the indicator of {row.kind.label} {row.id!r} on {message.subject}")
    return row


def finding_of(message: StoredMessage) -> Finding:
    """Return the finding of a message. Raises ValueError when it is unreadable, or not the one its subject names."""
    finding = decode_finding(message.data)
    if message.subject != finding_subject(finding.kind, finding.id):
        raise ValueError(f"the {finding.kind} finding {finding.id!r} on {message.subject}")
    return finding


def _shard(message: StoredMessage) -> str:
    return message.subject.rpartition(".")[2]
