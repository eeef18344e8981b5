"""The api's server, for tests of its answers."""

from __future__ import annotations

from tests.support.cases.api_server import api, empty_api, refusal, register

__all__ = ["api", "empty_api", "refusal", "register"]
