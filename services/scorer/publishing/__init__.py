"""The index on the bus: blocks of bucket `indicator`, and the history in INDICATORS."""

from services.scorer.publishing.blocks import AGENCIES_AND_ABOVE
from services.scorer.publishing.history import Announcer
from services.scorer.publishing.publisher import (
    Publisher,
    Slots,
)
from services.scorer.publishing.recent import (
    latest_blocks,
    recall,
)

__all__ = ["AGENCIES_AND_ABOVE", "Announcer", "Publisher", "Slots", "latest_blocks", "recall"]
