"""Maps every error of the api to its gRPC status."""

from __future__ import annotations

from typing import Any, Never

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.api.errors import (
    ExhaustedError,
    InvalidRequestError,
    NotApplicableError,
    NotVisibleError,
    RequestError,
    UnauthenticatedError,
    UnavailableError,
    UnknownEntityError,
)

DOMAIN = "peyvand"
"""``ErrorInfo.domain`` of every status."""

# A status repeats texts of the request, in trailers. Clients take 8 KiB of trailers and answer a longer status with
# RESOURCE_EXHAUSTED. gRPC sends the sentence twice, with three bytes for each byte that is not ASCII.
_SENTENCE_BYTES = 1000
_METADATA_BYTES = 200

_CODES = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownEntityError: grpc.StatusCode.NOT_FOUND,
    NotApplicableError: grpc.StatusCode.FAILED_PRECONDITION,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    NotVisibleError: grpc.StatusCode.PERMISSION_DENIED,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    ExhaustedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def code_of(error: RequestError) -> grpc.StatusCode:
    """Return the status code of an error; INTERNAL for a class without its own."""
    return _CODES.get(type(error), grpc.StatusCode.INTERNAL)


async def abort(error: RequestError, context: grpc.aio.ServicerContext[Any, Any]) -> Never:
    """End the call with the status of this error. Raises the exception that ends it."""
    detail = any_pb2.Any()
    metadata = {name: _shortened(value, _METADATA_BYTES) for name, value in error.metadata.items()}
    detail.Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata))
    sentence = _shortened(str(error), _SENTENCE_BYTES)
    status = rpc_status.to_status(status_pb2.Status(code=code_of(error).value[0], message=sentence, details=[detail]))
    await context.abort(status.code, status.details, status.trailing_metadata)


def _shortened(text: str, most: int) -> str:
    """Return a text without its middle if it has more bytes than ``most``: what to do is at the end of a sentence."""
    content = text.encode()
    if len(content) <= most:
        return text
    half = most // 2
    return f"{content[:half].decode(errors='ignore')} … {content[-half:].decode(errors='ignore')}"
