"""Evidence as tables: their columns, and Parquet files whose bytes follow from the rows (docs/archive.md §2)."""

from services.dataset.tables.exchanges import exchange_table, summaries_of
from services.dataset.tables.files import content_hash, read, sorted_rows, write
from services.dataset.tables.measurements import StoredMeasurements, measurement_table, measurements_of
from services.dataset.tables.schemas import EXCHANGE, KINDS, MEASUREMENT, Kind

__all__ = [
    "EXCHANGE",
    "KINDS",
    "MEASUREMENT",
    "Kind",
    "StoredMeasurements",
    "content_hash",
    "exchange_table",
    "measurement_table",
    "measurements_of",
    "read",
    "sorted_rows",
    "summaries_of",
    "write",
]
