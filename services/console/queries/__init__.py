"""Queries of the api: figures as values, the names of the register, and the newest edition; and the files of frozen rounds."""

from services.console.queries.edition import Edition, EditionFeed
from services.console.queries.figures import collected, figure_of, figures_of, losses_of
from services.console.queries.monitoring import monitoring_of
from services.console.queries.names import Agency, Names, Service, fetch_names, matches
from services.console.queries.round_files import RoundFile, RoundFiles

__all__ = [
    "Agency",
    "Edition",
    "EditionFeed",
    "Names",
    "RoundFile",
    "RoundFiles",
    "Service",
    "collected",
    "fetch_names",
    "figure_of",
    "figures_of",
    "losses_of",
    "matches",
    "monitoring_of",
]
