"""Frozen rounds as folders: their descriptions, their sums, and the signatures of these (docs/rounds.md §2)."""

from services.dataset.rounds.frozen import ROUND_FILE, ROUND_ID, FrozenRound, read_round
from services.dataset.rounds.summary import INDICATORS_FILE, SUMMARY_FILES, summarise
from services.dataset.rounds.sums import SIGNED_SUMS, SUMS, named_sums, sign_sums, sums_of, wrong_sums

__all__ = [
    "INDICATORS_FILE",
    "ROUND_FILE",
    "ROUND_ID",
    "SIGNED_SUMS",
    "SUMMARY_FILES",
    "SUMS",
    "FrozenRound",
    "named_sums",
    "read_round",
    "sign_sums",
    "summarise",
    "sums_of",
    "wrong_sums",
]
