"""Streams on a bus that does not answer."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import AsyncMock, Mock

import nats.errors
import pytest

from services.core.bus import initialise_streams, remake_stream, topology
from services.core.errors import BusError


async def test_a_bus_that_does_not_answer_in_time_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that no answer came in time, also where the library raises one without a text."""
    silent = Mock(stream_info=AsyncMock(side_effect=nats.errors.TimeoutError))
    with pytest.raises(BusError, match="reading the streams failed: no answer in time; is this the admin credential"):
        await initialise_streams(Mock(jetstream=silent))
    monkeypatch.setattr(topology, "_DELETE_SECONDS", 0.0)
    leaderless = Mock(stream_info=AsyncMock(return_value=SimpleNamespace(cluster=SimpleNamespace(leader=None))))
    leaderless.delete_stream = AsyncMock(side_effect=nats.errors.TimeoutError)
    with pytest.raises(BusError, match="making stream KV_register anew failed: no answer in time; is this the admin"):
        await remake_stream(Mock(jetstream=leaderless), "KV_register")
