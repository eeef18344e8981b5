"""Makes gRPC handlers of a servicer's methods: each call is admitted, counted and timed, each error gets a status."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from prometheus_client import Counter, Histogram

from services.api.access import AccessControl
from services.api.errors import InvalidRequestError, RequestError
from services.api.rpc.limits import PeerLimits
from services.api.rpc.statuses import abort, code_of
from services.core.log import Logger

REQUEST_SECONDS = 10.0
"""How long a request of a few KiB may take to arrive after its call. A call without one would be kept for ever."""

MAX_ANSWER_BYTES = 4 << 20
"""The longest answer. Clients of gRPC refuse a longer one unless told otherwise, in words of their own."""

T = TypeVar("T")

Answer = Message | bytes
"""The answer of a servicer's method: a message, or its serialised bytes."""

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


@dataclass(frozen=True, slots=True)
class Conduct:
    """The conduct that all calls share: who may make them, how many at once, and where they are counted and logged."""

    access: AccessControl
    limits: PeerLimits
    metrics: RequestMetrics
    log: Logger


def service_handlers(service: ServiceDescriptor, servicer: object, conduct: Conduct) -> grpc.GenericRpcHandler:
    """Return the handlers of a gRPC service: method GetLink is ``servicer.get_link`` or, in a library, ``GetLink``.

    Methods take a request, or an async iterator of requests, and the context. A method that streams its answers is an
    async generator. Raises AttributeError when the servicer lacks a method.
    """
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for method in service.methods:
        behaviour = getattr(servicer, method.name, None) or getattr(servicer, _snake_case(method.name))
        handlers[method.name] = _handler(_MethodRunner(method, behaviour, conduct), method)
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _handler(runner: _MethodRunner, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
    # On the wire a single request is a stream of one. gRPC would wait for it for ever, and fail on one that it cannot parse.
    if method.server_streaming:
        return grpc.stream_stream_rpc_method_handler(runner.stream, None, _serialise)
    return grpc.stream_unary_rpc_method_handler(runner.unary, None, None)


class _MethodRunner:
    """Runs the calls of one method."""

    def __init__(self, method: MethodDescriptor, behaviour: Callable[..., Any], conduct: Conduct) -> None:
        self._method = method.name
        self._parse = GetMessageClass(method.input_type).FromString
        self._takes_stream = method.client_streaming
        self._behaviour = behaviour
        self._conduct = conduct
        self._observe = conduct.metrics.timer(method.name)

    async def unary(self, _: object, context: Context) -> bytes:
        async def answer(request: Any) -> bytes:
            content = _serialise(await self._behaviour(request, context))
            if len(content) > MAX_ANSWER_BYTES:
                raise InvalidRequestError(
                    "ANSWER_TOO_LARGE",
                    f"the answer of {self._method} would have {len(content)} bytes, more than {MAX_ANSWER_BYTES}: ask for "
                    "fewer entries or a shorter time",
                    bytes=str(len(content)),
                )
            return content

        return await self._run(context, answer)

    async def stream(self, _: object, context: Context) -> None:
        async def send(request: Any) -> None:
            async with aclosing(self._behaviour(request, context)) as answers:
                async for answer in answers:
                    self._conduct.access.check(context)
                    await context.write(answer)

        await self._run(context, send)

    async def _run(self, context: Context, work: Callable[[Any], Awaitable[T]]) -> T:
        started = perf_counter()
        access = self._conduct.access
        try:
            caller = access.identify(context)
            with self._conduct.limits.call(caller.peer):
                request = self._requests(context) if self._takes_stream else await self._request(context)
                access.admit(self._method, request, caller)
                answer = await work(request)
        except BaseException as error:
            await self._fail(error, context)
            raise
        finally:
            self._observe(perf_counter() - started)
        self._conduct.metrics.count(self._method, "OK")
        return answer

    async def _request(self, context: Context) -> Any:
        """Return the request of a call. Raises RequestError when none arrives, or one of another type of message."""
        request = await self._read(context)
        if request is None:
            raise InvalidRequestError("REQUEST_MISSING", f"{self._method} was called without a request: send one")
        return request

    async def _requests(self, context: Context) -> AsyncIterator[Any]:
        while (request := await self._read(context)) is not None:
            yield request

    async def _read(self, context: Context) -> Any:
        """Return the next request, None after the last."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                content = await context.read()
        except TimeoutError as error:
            raise InvalidRequestError(
                "REQUEST_MISSING", f"no request of {self._method} arrived within {REQUEST_SECONDS:g} s: send it at once"
            ) from error
        if content is grpc.aio.EOF:
            return None
        try:
            return self._parse(content)
        except DecodeError as error:
            raise InvalidRequestError(
                "REQUEST_UNREADABLE",
                f"the request is no message of {self._method}: generate the client from proto/peyvand/v1",
            ) from error

    async def _fail(self, error: BaseException, context: Context) -> None:
        if isinstance(error, asyncio.CancelledError):
            late = context.time_remaining() is not None and context.time_remaining() <= 0
            self._conduct.metrics.count(self._method, "DEADLINE_EXCEEDED" if late else "CANCELLED")
            return
        if not isinstance(error, RequestError):
            self._conduct.log.error("call_failed", method=self._method, exc_info=error)
            error = RequestError("INTERNAL", f"{self._method} failed inside the api: its log has the reason")
        self._conduct.metrics.count(self._method, code_of(error).name)
        await abort(error, context)


def _serialise(answer: Answer) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
