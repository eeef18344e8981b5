"""Makes calls to the api: deadlines, roles, pages, streams that restart, and errors."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from peyvand.v1 import indicator_service_pb2_grpc
from services.core.errors import (
    ApiError,
    ApiForbiddenError,
    ApiNotApplicableError,
    ApiNotFoundError,
    ApiUnavailableError,
)
from services.core.network import UNRESOLVED

PAGE_SIZE = 1000
"""The most entries that the api returns at once."""

MAX_REQUEST_BYTES = 64 << 10
"""The longest request that the api takes."""

ROLE_KEY = "peyvand-role"
"""The metadata key of the role that a call is made for."""

_ERRORS = {
    grpc.StatusCode.UNAVAILABLE: ApiUnavailableError,
    grpc.StatusCode.CANCELLED: ApiUnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: ApiUnavailableError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ApiUnavailableError,
    grpc.StatusCode.NOT_FOUND: ApiNotFoundError,
    grpc.StatusCode.FAILED_PRECONDITION: ApiNotApplicableError,
    grpc.StatusCode.PERMISSION_DENIED: ApiForbiddenError,
    grpc.StatusCode.UNAUTHENTICATED: ApiForbiddenError,
}

# The codes with which a watch ends when the api drains, restarts, is cut off or has too many calls. The server cancels a call
# that arrives while it ends, or when too many wait.
_INTERRUPTED = (
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)

# What gRPC's own refusals mean, which have no sentence of the api. UNAVAILABLE has several meanings.
_SENTENCES = {
    grpc.StatusCode.CANCELLED: "ended the call: try again, or ask another",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "takes no more calls at the moment: try again later",
}


def random_pause() -> float:
    """Return 1 to 5 s at random, so that the watchers of a restarted api do not all come back at once."""
    return random.uniform(1.0, 5.0)  # noqa: S311  # spread, not secrecy


def _why_unavailable(details: str) -> str:
    """Return what is wrong with a connection, by the words with which gRPC describes it."""
    if "errors resolving" in details or "DNS resolution failed" in details:
        return f"has a name that {UNRESOLVED}, or ask another"
    if "CERTIFICATE_VERIFY_FAILED" in details or "Verification Check failed" in details:
        return (
            "shows a certificate that is not trusted here, or is of another name: name its authority (PEYVAND_API_CA)"
        )
    if "handshake failed" in details:
        return "does not speak TLS as it was asked to: ask it without tls://, or see its log"
    if "Failed parsing HTTP/2" in details:
        return "answers as something else than an api, such as the console: ask another"
    if "failed to connect" in details and "Socket closed" in details:
        return (
            "closes the connection: it may require TLS (tls://HOST:PORT), or a certificate (PEYVAND_API_CERTIFICATE, "
            "PEYVAND_API_KEY)"
        )
    return "does not answer: start it, or ask another"


def _status_of(error: grpc.aio.AioRpcError) -> Any:
    """Return the status that the api sent; None if there is none, or if gRPC replaced its code by one of its own."""
    try:
        return rpc_status.from_call(cast(grpc.Call, error))
    except ValueError:
        return None


class _Page(Protocol):
    @property
    def next_page_token(self) -> str: ...


Request = TypeVar("Request", bound=Message)
Answer = TypeVar("Answer")
Page = TypeVar("Page", bound=_Page)
Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Calls:
    """Makes calls to the api at ``address``.

    Each call may take ``timeout`` seconds. ``role`` is the role that calls are made for, empty for the caller's own.
    ``pause`` returns the seconds to wait before an interrupted stream is restarted.
    """

    address: str
    timeout: float
    role: str = ""
    pause: Callable[[], float] = random_pause

    async def unary(self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Answer], request: Request) -> Answer:
        """Return the answer to one request. Raises ApiError."""
        self._check_length(request)
        try:
            return await method(request, timeout=self.timeout, metadata=self._metadata())
        except grpc.aio.AioRpcError as error:
            raise self._translated(error) from error

    async def pages(self, method: grpc.aio.UnaryUnaryMultiCallable[Any, Page], request: Any) -> AsyncIterator[Page]:
        """Yield the pages of a list, each from a call of its own. Raises ApiError."""
        request.page_size = PAGE_SIZE
        while True:
            page = await self.unary(method, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def entries(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Any, Page],
        request: Any,
        entries_of: Callable[[Page], Iterable[Entry]],
    ) -> AsyncIterator[Entry]:
        """Yield the entries of a list, page by page. Raises ApiError."""
        async for page in self.pages(method, request):
            for entry in entries_of(page):
                yield entry

    async def stream(
        self, method: grpc.aio.UnaryStreamMultiCallable[Request, Answer], request: Request
    ) -> AsyncGenerator[Answer, None]:
        """Yield the answers of a stream for ever, and restart it after interruptions. Raises ApiError when refused."""
        self._check_length(request)
        while True:
            call = method(request, metadata=self._metadata(), wait_for_ready=True)
            try:
                async for answer in call:
                    yield answer
            except grpc.aio.AioRpcError as error:
                if error.code() not in _INTERRUPTED:
                    raise self._translated(error) from error
            finally:
                call.cancel()
            await asyncio.sleep(self.pause())

    def _check_length(self, request: Message) -> None:
        """Raise ApiError if the api would refuse the request for its length, with the same code as one call too many."""
        if request.ByteSize() > MAX_REQUEST_BYTES:
            raise ApiError(
                f"the request to the api at {self.address} has {request.ByteSize()} bytes, and an api takes "
                f"{MAX_REQUEST_BYTES}: name fewer ids at once"
            )

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return ((ROLE_KEY, self.role),) if self.role else ()

    def _translated(self, error: grpc.aio.AioRpcError) -> ApiError:
        code, status = error.code(), _status_of(error)
        kind = _ERRORS.get(code, ApiError)
        if status is not None:
            info = error_details_pb2.ErrorInfo()
            known = any(detail.Unpack(info) for detail in status.details)
            return kind(f"api at {self.address}: {status.message}", info.reason if known else "")
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return kind(f"api at {self.address} did not answer within {self.timeout:g} s: try again, or ask another")
        if code is grpc.StatusCode.UNAVAILABLE:
            return kind(f"api at {self.address} {_why_unavailable(error.details() or '')}")
        if code in _SENTENCES:
            return kind(f"api at {self.address} {_SENTENCES[code]}")
        return ApiError(f"what answers at {self.address} is no api of ours ({code.name}): ask another")


class IndicatorServiceCalls:
    """The stub of IndicatorService, which the classes of its calls share."""

    def __init__(self, channel: grpc.aio.Channel, calls: Calls) -> None:
        self._calls = calls
        self._indicators = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
