"""Keeps in memory what the api knows: the register in force, published indicators, and watches of them."""

from services.api.model.feed import Feed
from services.api.model.read_model import ReadModel, parse_kind
from services.api.model.register_view import RegisterView, agency_block_key
from services.api.model.watch import WatchHub

__all__ = ["Feed", "ReadModel", "RegisterView", "WatchHub", "agency_block_key", "parse_kind"]
