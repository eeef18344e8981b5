"""Serves the console over HTTP: addresses, languages, headers, caching, sessions and errors."""

from services.console.web.answers import Settled
from services.console.web.app import make_app
from services.console.web.connections import BoundedProtocol
from services.console.web.sign_in import Provider

__all__ = ["BoundedProtocol", "Provider", "Settled", "make_app"]
