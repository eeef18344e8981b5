"""The index on the bus: blocks of bucket `indicator`, and the history in INDICATORS."""

from services.scorer.publishing.blocks import AGENCIES_AND_ABOVE
from services.scorer.publishing.encode import BlockEncoder
from services.scorer.publishing.history import HistoryPublisher
from services.scorer.publishing.publisher import EncodedSlots, IndexPublisher
from services.scorer.publishing.recent import recall, recent_blocks

__all__ = [
    "AGENCIES_AND_ABOVE",
    "BlockEncoder",
    "EncodedSlots",
    "HistoryPublisher",
    "IndexPublisher",
    "recall",
    "recent_blocks",
]
