"""A transport for connections that are fed by hand."""

from __future__ import annotations

import asyncio

__all__ = ["DeafTransport"]


class DeafTransport(asyncio.Transport):
    """Accepts everything, keeps what was sent, and is its own socket."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def abort(self) -> None:
        pass

    def get_extra_info(self, *_: object) -> object:
        return self

    def setsockopt(self, *_: object) -> None:
        pass
