"""What the console asks the api: figures as values, the names of the register, and what is new."""

from services.console.asking.edition import Edition, EditionFeed
from services.console.asking.figures import collected, figure_of, figures_of, losses_of
from services.console.asking.names import Agency, Names, Service, fetch_names, matches

__all__ = [
    "Agency",
    "Edition",
    "EditionFeed",
    "Names",
    "Service",
    "collected",
    "fetch_names",
    "figure_of",
    "figures_of",
    "losses_of",
    "matches",
]
