"""Provide the console over an api with a handmade state, and a browser."""

from tests.support.cases.api.server import api, empty_api
from tests.support.console.browser import browser
from tests.support.console.case import console, frozen_rounds, make_console, register, rounds

__all__ = ["api", "browser", "console", "empty_api", "frozen_rounds", "make_console", "register", "rounds"]
