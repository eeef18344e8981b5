"""Decisions about evidence: which rows count, what is due, what an index consists of."""

from services.scorer.index.admission import admit
from services.scorer.index.members import AgencyMembers
from services.scorer.index.results import CompiledRegister, IndexResult, PendingUpdate
from services.scorer.index.scoring import Scoring
from services.scorer.index.silent_vantages import VantageWatch

__all__ = ["AgencyMembers", "CompiledRegister", "IndexResult", "PendingUpdate", "Scoring", "VantageWatch", "admit"]
