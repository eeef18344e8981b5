"""gRPC handlers of a servicer's methods: every call is admitted, counted and timed, and every error gets its status."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from time import perf_counter
from typing import Any, Never, TypeVar

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from prometheus_client import Counter, Histogram

from services.api.access import AccessControl
from services.api.errors import (
    InvalidRequestError,
    NotApplicableError,
    NotVisibleError,
    RequestError,
    UnavailableError,
    UnknownEntityError,
)
from services.core.log import Logger

DOMAIN = "peyvand"
"""``ErrorInfo.domain`` of every status."""

_CODES = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownEntityError: grpc.StatusCode.NOT_FOUND,
    NotApplicableError: grpc.StatusCode.FAILED_PRECONDITION,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    NotVisibleError: grpc.StatusCode.PERMISSION_DENIED,
}


def code_of(error: RequestError) -> grpc.StatusCode:
    """Return the status code of an error, INTERNAL for a class without one of its own."""
    return _CODES.get(type(error), grpc.StatusCode.INTERNAL)


async def abort(error: RequestError, context: grpc.aio.ServicerContext[Any, Any]) -> Never:
    """End the call with the status of this error. Raises the exception that ends it."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata))
    status = rpc_status.to_status(status_pb2.Status(code=code_of(error).value[0], message=str(error), details=[detail]))
    await context.abort(status.code, status.details, status.trailing_metadata)


T = TypeVar("T")

Answer = Message | bytes
"""What a servicer's method returns: a message, or one that is serialised already."""

Context = grpc.aio.ServicerContext[Any, Any]


class RequestMetrics:
    """Counts and times the calls of each method."""

    def __init__(self, requests: Counter, seconds: Histogram) -> None:
        self._requests = requests
        self._seconds = seconds
        self._counters: dict[tuple[str, str], Counter] = {}

    def count(self, method: str, code: str) -> None:
        """Count one finished call."""
        counter = self._counters.get((method, code))
        if counter is None:
            counter = self._counters[method, code] = self._requests.labels(method=method, code=code)
        counter.inc()

    def timer(self, method: str) -> Callable[[float], None]:
        """Return a function that takes the seconds of each call of a method. Both series exist from now on."""
        self._counters[method, "OK"] = self._requests.labels(method=method, code="OK")
        return self._seconds.labels(method=method).observe


def service_handlers(
    service: ServiceDescriptor, servicer: object, access: AccessControl, metrics: RequestMetrics, log: Logger
) -> grpc.GenericRpcHandler:
    """Return the handlers of an API service, where method GetLink is ``servicer.get_link(request, context)``.

    A streaming method is an async generator. AttributeError when the servicer lacks a method of the service.
    """
    return grpc.method_handlers_generic_handler(
        service.full_name,
        {
            method.name: _handler(method, getattr(servicer, _snake_case(method.name)), access, metrics, log)
            for method in service.methods
        },
    )


def _handler(
    method: MethodDescriptor, behaviour: Callable[..., Any], access: AccessControl, metrics: RequestMetrics, log: Logger
) -> grpc.RpcMethodHandler[Any, Any]:
    runner = _MethodRunner(method.name, access, metrics, log)
    request = GetMessageClass(method.input_type)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(runner.stream(behaviour), request.FromString, _serialise)
    return grpc.unary_unary_rpc_method_handler(runner.unary(behaviour), request.FromString, _serialise)


class _MethodRunner:
    """Runs the calls of one method."""

    def __init__(self, method: str, access: AccessControl, metrics: RequestMetrics, log: Logger) -> None:
        self._method = method
        self._access = access
        self._metrics = metrics
        self._observe = metrics.timer(method)
        self._log = log

    def unary(self, behaviour: Callable[[Any, Context], Awaitable[Answer]]) -> Callable[[Any, Context], Awaitable[Any]]:
        async def call(request: Any, context: Context) -> Answer:
            return await self._run(request, context, lambda: behaviour(request, context))

        return call

    def stream(
        self, behaviour: Callable[[Any, Context], AsyncGenerator[Answer, None]]
    ) -> Callable[[Any, Context], Awaitable[None]]:
        async def call(request: Any, context: Context) -> None:
            async def send() -> None:
                async with aclosing(behaviour(request, context)) as answers:
                    async for answer in answers:
                        await context.write(answer)

            await self._run(request, context, send)

        return call

    async def _run(self, request: Any, context: Context, work: Callable[[], Awaitable[T]]) -> T:
        started = perf_counter()
        try:
            self._access.admit(self._method, request, context)
            answer = await work()
        except BaseException as error:
            await self._fail(error, context)
            raise
        finally:
            self._observe(perf_counter() - started)
        self._metrics.count(self._method, "OK")
        return answer

    async def _fail(self, error: BaseException, context: Context) -> None:
        if isinstance(error, asyncio.CancelledError):
            late = context.time_remaining() is not None and context.time_remaining() <= 0
            self._metrics.count(self._method, "DEADLINE_EXCEEDED" if late else "CANCELLED")
            return
        if not isinstance(error, RequestError):
            self._log.error("call_failed", method=self._method, exc_info=error)
            error = RequestError("INTERNAL", f"{self._method} failed inside the api: its log has the reason")
        self._metrics.count(self._method, code_of(error).name)
        await abort(error, context)


def _serialise(answer: Answer) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
