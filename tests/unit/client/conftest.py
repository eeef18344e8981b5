"""The api's server and a client of it."""

from __future__ import annotations

import pytest

from services.client import connect
from tests.support.cases.api.secured import noted_and_secured, secured
from tests.support.cases.api.server import api, empty_api, register
from tests.support.waiting import DEADLINE

__all__ = ["api", "client", "empty_api", "noted_and_secured", "register", "secured"]


@pytest.fixture
async def client(api):
    """A client with the timeout of the tests."""
    async with connect(api.address, timeout=DEADLINE) as one:
        yield one
