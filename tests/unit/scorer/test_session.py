"""A session ends when it is told to."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from services.core.errors import StateError
from services.core.log import logger
from services.core.tasks import run_in_thread
from services.scorer.session import _Session
from tests.support.waiting import HeldCalls


def fail() -> None:
    raise StateError("the disk is gone")


async def test_a_stop_is_heeded_although_exchanges_cannot_be_read() -> None:
    """A cancelled comparison of exchanges with probes ends, even if the read that is under way fails."""
    with HeldCalls(fail) as held:
        published = asyncio.Event()
        published.set()

        async def compare(_scoring: object, _end_slot: int) -> None:
            await run_in_thread(held)

        session: Any = SimpleNamespace(
            _refresher=SimpleNamespace(published=published),
            _scoring=SimpleNamespace(calendar=SimpleNamespace(slot_seconds=300), manifest=SimpleNamespace(end_slot=1)),
            _reconciler=SimpleNamespace(run=compare),
            _log=logger(),
        )
        comparing = asyncio.create_task(_Session._reconcile(session))
        await held.cancel(comparing)
        assert comparing.cancelled()
