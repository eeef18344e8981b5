"""Reads log records of any format into sides of exchanges."""

from services.collector.records.answers import FaultError, ServerAnswerError, read_answer, read_envelope
from services.collector.records.batch import START, RecordBatch, Reject, SourcePosition
from services.collector.records.csv_rows import RowError, column_names
from services.collector.records.fields import LARGEST_SIZE, is_name
from services.collector.records.formats import first_bytes, read, read_all
from services.collector.records.gzip_content import GZIP, UnreadableError
from services.collector.records.health_data import ServerHealth, read_health
from services.collector.records.timeline import LogExtent, PacedBatches, ReplayTimeline
from services.collector.records.xroad import ExchangeResult, Side

__all__ = [
    "GZIP",
    "LARGEST_SIZE",
    "START",
    "ExchangeResult",
    "FaultError",
    "LogExtent",
    "PacedBatches",
    "RecordBatch",
    "Reject",
    "ReplayTimeline",
    "RowError",
    "ServerAnswerError",
    "ServerHealth",
    "Side",
    "SourcePosition",
    "UnreadableError",
    "column_names",
    "first_bytes",
    "is_name",
    "read",
    "read_all",
    "read_answer",
    "read_envelope",
    "read_health",
]
