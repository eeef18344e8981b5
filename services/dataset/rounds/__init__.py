"""Frozen rounds as folders: what they say of themselves, their sums, and who signed these (docs/rounds.md §2)."""

from services.dataset.rounds.frozen import FrozenRound, read_round
from services.dataset.rounds.sums import SIGNED_SUMS, SUMS, sign_sums, sums_of, wrong_sums

__all__ = ["SIGNED_SUMS", "SUMS", "FrozenRound", "read_round", "sign_sums", "sums_of", "wrong_sums"]
