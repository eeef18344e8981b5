"""The index from files, by the code that scores live."""

from services.scorer.offline.dataset import ALL, ArchivedEvidence
from services.scorer.offline.engines import Engine, engine_at
from services.scorer.offline.jsonl import read_measurements, read_summaries
from services.scorer.offline.score import (
    AdmittedEvidence,
    admitted,
    last_end,
    network,
    rankings,
    score_batches,
    score_evidence,
    volumes,
)

__all__ = [
    "ALL",
    "AdmittedEvidence",
    "ArchivedEvidence",
    "Engine",
    "admitted",
    "engine_at",
    "last_end",
    "network",
    "rankings",
    "read_measurements",
    "read_summaries",
    "score_batches",
    "score_evidence",
    "volumes",
]
