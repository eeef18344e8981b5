"""Reads the streams MEASUREMENTS and EXCHANGES in order from a durable position."""

from services.scorer.ingest.exchange_reader import ExchangeReader
from services.scorer.ingest.measurement_reader import POLL_SECONDS, MeasurementReader
from services.scorer.ingest.repair import start_position
from services.scorer.ingest.retention import RetentionWatch

__all__ = ["POLL_SECONDS", "ExchangeReader", "MeasurementReader", "RetentionWatch", "start_position"]
