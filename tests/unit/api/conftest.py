"""The api's server, for tests of its answers."""

from __future__ import annotations

from tests.support.cases.api_server import api, empty_api, refusal, register
from tests.support.cases.secured_api import noted_and_secured, secured

__all__ = ["api", "empty_api", "noted_and_secured", "refusal", "register", "secured"]
