"""Log records of any format, read into sides of exchanges."""

from services.collector.records.answers import (
    AnswerError,
    FaultError,
    read_answer,
    read_envelope,
)
from services.collector.records.batch import (
    START,
    Batch,
    Position,
    Reject,
)
from services.collector.records.formats import (
    GZIP,
    UnreadableError,
    beginning,
    read,
    read_all,
)
from services.collector.records.health_data import (
    Health,
    read_health,
)
from services.collector.records.timeline import (
    Extent,
    Paced,
    Timeline,
)
from services.collector.records.xroad import (
    Result,
    Side,
)

__all__ = [
    "GZIP",
    "START",
    "AnswerError",
    "Batch",
    "Extent",
    "FaultError",
    "Health",
    "Paced",
    "Position",
    "Reject",
    "Result",
    "Side",
    "Timeline",
    "UnreadableError",
    "beginning",
    "read",
    "read_all",
    "read_answer",
    "read_envelope",
    "read_health",
]
