"""Queries the api, and reads the files of frozen rounds and of open data.

The api gives figures as values, the names of the register, and the newest edition.
"""

from services.console.queries.costs import LinkGain, LossAt, by_lower_bound, link_gains, provider_losses
from services.console.queries.edition import Edition, EditionFeed
from services.console.queries.figures import collected, figures_of, government_figure
from services.console.queries.media_types import media_type
from services.console.queries.names import LINK_FIELDS, NamedLink, Names, matches, named_links, naming
from services.console.queries.open_data import Export, read_export
from services.console.queries.round_files import RoundFile, RoundFiles

__all__ = [
    "LINK_FIELDS",
    "Edition",
    "EditionFeed",
    "Export",
    "LinkGain",
    "LossAt",
    "NamedLink",
    "Names",
    "RoundFile",
    "RoundFiles",
    "by_lower_bound",
    "collected",
    "figures_of",
    "government_figure",
    "link_gains",
    "matches",
    "media_type",
    "named_links",
    "naming",
    "provider_losses",
    "read_export",
]
