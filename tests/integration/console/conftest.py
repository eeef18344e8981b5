"""The console over an api whose state is made by hand, and a browser."""

from tests.support.browser import browser
from tests.support.cases.api_server import api, empty_api
from tests.support.cases.console import console, make_console, register, rounds

__all__ = ["api", "browser", "console", "empty_api", "make_console", "register", "rounds"]
