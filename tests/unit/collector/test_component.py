"""Tasks that work until the stop."""

from __future__ import annotations

import asyncio

import pytest

from services.collector.component import _Supervisor
from services.core.errors import StateError


async def test_the_first_failure_stops_all():
    """The first task that fails sets the stop, and its failure is raised, whatever fails later."""
    stop = asyncio.Event()
    supervisor = _Supervisor(stop)

    async def fails(reason):
        raise StateError(reason)

    async def works():
        await stop.wait()

    await supervisor.run(asyncio.sleep(0))
    supervisor.check()
    assert not stop.is_set()
    working = asyncio.create_task(supervisor.run(works()))
    await supervisor.run(fails("first"))
    await supervisor.run(fails("second"))
    await working
    with pytest.raises(StateError, match="first"):
        supervisor.check()
