"""The evidence on disk: files that survive a crash at any moment."""

from services.scorer.state.manifest import StateManifest
from services.scorer.state.store import LoadedState, StateUpdate, Store

__all__ = [
    "LoadedState",
    "StateManifest",
    "StateUpdate",
    "Store",
]
