"""The console over an api whose state is made by hand."""

from tests.support.cases.api.server import api, empty_api
from tests.support.console.case import console, frozen_rounds, make_console, register, rounds

__all__ = ["api", "console", "empty_api", "frozen_rounds", "make_console", "register", "rounds"]
