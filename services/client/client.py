"""The client of the api, which returns all answers as messages of peyvand.v1."""

from __future__ import annotations

from dataclasses import replace

import grpc.aio

from services.client.calls import Calls, IndicatorServiceCalls
from services.client.indicators import IndicatorCalls
from services.client.links import LinkCalls
from services.client.register import RegisterCalls


class Client(IndicatorCalls, LinkCalls, RegisterCalls):
    """A client of one api. Every method raises ApiError, usually a subclass, with a message of one sentence.

    ``window_days`` 0 is the policy's default window. Lists are read page by page while they are iterated.
    """

    def __init__(self, channel: grpc.aio.Channel, calls: Calls) -> None:
        IndicatorServiceCalls.__init__(self, channel, calls)
        RegisterCalls.__init__(self, channel, calls)
        self._channel = channel

    def on_behalf_of(self, role: str) -> Client:
        """Return a client whose calls are made for ``role``: ``public``, ``agency:ID`` or ``auditor``.

        The api refuses a role above the caller's own, and any role from a caller that may not act for others.
        """
        return Client(self._channel, replace(self._calls, role=role))
