"""Replies of several messages to one request, on one subscription for all requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from nats.aio.client import Client
from nats.aio.msg import Msg


class ReplyInbox:
    """Sorts replies to requests by the last token of their subject.

    No token is used twice, so a reply that arrives after its request was given up is dropped. The client renews the
    subscription after a reconnection.
    """

    def __init__(self, inbox: str) -> None:
        self._inbox = inbox
        self._last = 0
        self._waiting: dict[str, asyncio.Queue[Msg]] = {}

    @classmethod
    async def subscribed(cls, client: Client) -> ReplyInbox:
        """Subscribe to a new inbox, for as long as the client lives."""
        replies = cls(client.new_inbox())
        await client.subscribe(f"{replies._inbox}.*", cb=replies._take)
        return replies

    @contextmanager
    def expected(self) -> Iterator[tuple[str, asyncio.Queue[Msg]]]:
        """Yield a reply subject and the queue of what arrives on it until the context is left."""
        self._last += 1
        subject = f"{self._inbox}.{self._last}"
        # Not next_msg of nats-py: it uses asyncio.wait_for, which on Python 3.11 can swallow a cancellation.
        queue = self._waiting[subject] = asyncio.Queue()
        try:
            yield subject, queue
        finally:
            del self._waiting[subject]

    async def _take(self, message: Msg) -> None:
        queue = self._waiting.get(message.subject)
        if queue is not None:
            queue.put_nowait(message)
