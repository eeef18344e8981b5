"""Reads evidence out of the dataset of an archive, counted here or on a Dask cluster."""

from services.scorer.archived.dataset import ArchivedEvidence
from services.scorer.archived.engines import Engine, engine_at, here
from services.scorer.archived.message_limits import ALL
from services.scorer.archived.restoring import archived_exchanges, restore

__all__ = [
    "ALL",
    "ArchivedEvidence",
    "Engine",
    "archived_exchanges",
    "engine_at",
    "here",
    "restore",
]
