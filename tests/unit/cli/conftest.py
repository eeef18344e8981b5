"""The api's server, for tests of commands that query it."""

from __future__ import annotations

from tests.support.cases.api.server import api, empty_api, register

__all__ = ["api", "empty_api", "register"]
