"""What the api refuses, and how it says so: a status code, one sentence and a google.rpc.ErrorInfo."""

from __future__ import annotations

from typing import Any, Never

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

__all__ = ["DOMAIN", "RefusedError"]

DOMAIN = "peyvand"
"""``ErrorInfo.domain`` of every refusal."""


class RefusedError(Exception):
    """A request that cannot be answered.

    ``reason`` is ``ErrorInfo.reason`` (constant, for programs), ``sentence`` is for people, ``about`` is
    ``ErrorInfo.metadata`` and names the entity.
    """

    def __init__(self, code: grpc.StatusCode, reason: str, sentence: str, **about: str) -> None:
        self.code = code
        self.reason = reason
        self.about = about
        super().__init__(sentence)

    async def abort(self, context: grpc.aio.ServicerContext[Any, Any]) -> Never:
        """End the call with this status. Raises what ends it."""
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self.about))
        status = rpc_status.to_status(status_pb2.Status(code=self.code.value[0], message=str(self), details=[detail]))
        await context.abort(status.code, status.details, status.trailing_metadata)
