"""Evidence as tables: their columns, and Parquet files whose bytes depend on the rows alone (docs/archive.md §2)."""

from services.dataset.tables.batches import UNNUMBERED, StoredBatch, batch_table
from services.dataset.tables.exchanges import exchange_table, summaries_of
from services.dataset.tables.files import content_hash, last_of_each, read, same_rows, sorted_rows, write
from services.dataset.tables.findings import finding_table
from services.dataset.tables.indicators import indicator_table, indicators_of
from services.dataset.tables.link_days import COUNTED, link_day_table, stages_of
from services.dataset.tables.measurements import SCORED, measurement_table, measurements_of
from services.dataset.tables.rows import MICROS, codes_of, table_of_columns, texts_of
from services.dataset.tables.schemas import (
    BATCH,
    DIGEST_BYTES,
    EXCHANGE,
    FINDING,
    INDICATOR,
    KINDS,
    LINK_DAY,
    MEASUREMENT,
    MOMENT,
    NAME,
    STREAM_KINDS,
    Kind,
)

__all__ = [
    "BATCH",
    "COUNTED",
    "DIGEST_BYTES",
    "EXCHANGE",
    "FINDING",
    "INDICATOR",
    "KINDS",
    "LINK_DAY",
    "MEASUREMENT",
    "MICROS",
    "MOMENT",
    "NAME",
    "SCORED",
    "STREAM_KINDS",
    "UNNUMBERED",
    "Kind",
    "StoredBatch",
    "batch_table",
    "codes_of",
    "content_hash",
    "exchange_table",
    "finding_table",
    "indicator_table",
    "indicators_of",
    "last_of_each",
    "link_day_table",
    "measurement_table",
    "measurements_of",
    "read",
    "same_rows",
    "sorted_rows",
    "stages_of",
    "summaries_of",
    "table_of_columns",
    "texts_of",
    "write",
]
