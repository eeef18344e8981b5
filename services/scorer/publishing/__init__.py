"""Publishes the index on the bus: blocks of bucket `indicator`, the history in INDICATORS, and FINDINGS."""

from services.scorer.publishing.encode import BlockEncoder
from services.scorer.publishing.findings import FindingPublisher, published_findings
from services.scorer.publishing.history import HistoryPublisher
from services.scorer.publishing.publisher import IndexPublisher
from services.scorer.publishing.recent import recall, recent_blocks

__all__ = [
    "BlockEncoder",
    "FindingPublisher",
    "HistoryPublisher",
    "IndexPublisher",
    "published_findings",
    "recall",
    "recent_blocks",
]
