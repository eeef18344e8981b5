"""Stubs that say whether a call is admitted, and a fixture that notices changed files at once. Not a test."""

from __future__ import annotations

from typing import Any, cast

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status

from peyvand.v1 import indicator_service_pb2_grpc, register_service_pb2_grpc
from tests.support.waiting import DEADLINE

__all__ = ["Stubs", "looking_always"]


@pytest.fixture(autouse=True)
def looking_always(monkeypatch):
    """Let the api notice changed files at once."""
    for module in ("certificates", "revocation"):
        monkeypatch.setattr(f"services.api.access.{module}._LOOK_SECONDS", 0.0)


class Stubs:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self.indicators = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
        self.registers = register_service_pb2_grpc.RegisterServiceStub(channel)
        self.health: Any = health_pb2_grpc.HealthStub(channel)

    async def sees(self, method: str, request: object) -> bool:
        """Return whether a call is admitted. It may then fail for another reason."""
        stub = self.registers if hasattr(self.registers, method) else self.indicators
        call = getattr(stub, method)(request, timeout=DEADLINE)
        try:
            await (call.read() if hasattr(call, "read") else call)
        except grpc.aio.AioRpcError as error:
            info = error_details_pb2.ErrorInfo()
            rpc_status.from_call(cast(Any, error)).details[0].Unpack(info)
            return (error.code(), info.reason) != (grpc.StatusCode.PERMISSION_DENIED, "NOT_VISIBLE")
        call.cancel()
        return True
