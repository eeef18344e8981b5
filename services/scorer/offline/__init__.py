"""Computes the index from files, with the same code that scores live."""

from services.scorer.offline.jsonl import read_measurements, read_summaries
from services.scorer.offline.score import (
    admitted,
    last_end,
    network,
    rankings,
    recount_of,
    score_batches,
    score_evidence,
    volumes,
)

__all__ = [
    "admitted",
    "last_end",
    "network",
    "rankings",
    "read_measurements",
    "read_summaries",
    "recount_of",
    "score_batches",
    "score_evidence",
    "volumes",
]
