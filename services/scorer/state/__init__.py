"""Keeps the evidence on disk, in files that survive a crash at any moment and show when they are damaged."""

from services.scorer.state.damage import Damage
from services.scorer.state.loading import LoadedState
from services.scorer.state.manifest import StateManifest
from services.scorer.state.store import StateUpdate, Store

__all__ = [
    "Damage",
    "LoadedState",
    "StateManifest",
    "StateUpdate",
    "Store",
]
