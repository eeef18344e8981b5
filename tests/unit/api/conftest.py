"""The api's server, for tests of its answers."""

from __future__ import annotations

from tests.support.cases.api.secured import noted_and_secured, secured
from tests.support.cases.api.server import api, empty_api, refusal, register

__all__ = ["api", "empty_api", "noted_and_secured", "refusal", "register", "secured"]
