"""Builds answers to requests from the read model and from evidence on the bus."""

from services.api.answers.blocks import monitoring_answer, structure_answer, three_bars, traffic_answer
from services.api.answers.evidence import EvidenceReader
from services.api.answers.explanation import Explainer
from services.api.answers.findings import FindingAnswers, findings_by_agency
from services.api.answers.frozen_rounds import FrozenRoundAnswers
from services.api.answers.history import HistoryReader
from services.api.answers.link_shares import WindowEvidenceCache, gather_window
from services.api.answers.links import LinkAnswers
from services.api.answers.notices import NoticeAnswers
from services.api.answers.pairs import PairAnswers
from services.api.answers.register_messages import agency_message, evaluation_message, service_message
from services.api.answers.sealed_days import SealedDays
from services.api.answers.search import Searcher
from services.api.answers.tabulation import Tabulator

__all__ = [
    "EvidenceReader",
    "Explainer",
    "FindingAnswers",
    "FrozenRoundAnswers",
    "HistoryReader",
    "LinkAnswers",
    "NoticeAnswers",
    "PairAnswers",
    "SealedDays",
    "Searcher",
    "Tabulator",
    "WindowEvidenceCache",
    "agency_message",
    "evaluation_message",
    "findings_by_agency",
    "gather_window",
    "monitoring_answer",
    "service_message",
    "structure_answer",
    "three_bars",
    "traffic_answer",
]
