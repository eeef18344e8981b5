"""Answers of several messages each, on one subscription for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from nats.aio.client import Client
from nats.aio.msg import Msg

__all__ = ["ReplyInbox"]


class ReplyInbox:
    """Tells apart, by the last token of the subject they come on, which request messages answer.

    No token comes twice, so what arrives after nobody waits for it any more reaches nobody. The client subscribes anew
    after a reconnection.
    """

    def __init__(self, inbox: str) -> None:
        self._inbox = inbox
        self._last = 0
        self._waiting: dict[str, asyncio.Queue[Msg]] = {}

    @classmethod
    async def subscribed(cls, client: Client) -> ReplyInbox:
        """Subscribe to an inbox of our own, for as long as the client lives."""
        replies = cls(client.new_inbox())
        await client.subscribe(f"{replies._inbox}.*", cb=replies._take)
        return replies

    @contextmanager
    def expected(self) -> Iterator[tuple[str, asyncio.Queue[Msg]]]:
        """Give a subject to be answered on, and the queue that holds what has come on it until the context is left."""
        self._last += 1
        subject = f"{self._inbox}.{self._last}"
        # A queue of our own: next_msg waits by asyncio.wait_for, which on Python 3.11 can swallow a cancellation.
        queue = self._waiting[subject] = asyncio.Queue()
        try:
            yield subject, queue
        finally:
            del self._waiting[subject]

    async def _take(self, message: Msg) -> None:
        queue = self._waiting.get(message.subject)
        if queue is not None:
            queue.put_nowait(message)
