"""Decides about evidence: which rows count, what is due, and what an index consists of."""

from services.scorer.index.members import AgencyMembers, EvidenceGroup
from services.scorer.index.results import FAULTS, CompiledRegister, IndexResult, PendingUpdate, TakenBatch
from services.scorer.index.scoring import Scoring
from services.scorer.index.silent_vantages import VantageWatch

__all__ = [
    "FAULTS",
    "AgencyMembers",
    "CompiledRegister",
    "EvidenceGroup",
    "IndexResult",
    "PendingUpdate",
    "Scoring",
    "TakenBatch",
    "VantageWatch",
]
