"""The evidence on disk: files that survive a crash at any moment."""

from services.scorer.state.manifest import Manifest
from services.scorer.state.position import (
    Kept,
    Position,
    hole,
    resume,
)
from services.scorer.state.store import (
    Loaded,
    Save,
    Store,
)

__all__ = ["Kept", "Loaded", "Manifest", "Position", "Save", "Store", "hole", "resume"]
