"""Decisions about evidence: which rows count, what is due, what an index consists of."""

from services.scorer.index.admission import admit
from services.scorer.index.members import Members
from services.scorer.index.results import (
    Adopted,
    Due,
    Judgement,
)
from services.scorer.index.scoring import (
    Scoring,
)
from services.scorer.index.silent_vantages import Vantages

__all__ = ["Adopted", "Due", "Judgement", "Members", "Scoring", "Vantages", "admit"]
