"""Reads large answers, and descriptors that servers send, in worker processes, so that they do not hold up the loop."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from time import thread_time
from typing import Final

from services.prober.checks import TooCostlyError, WorkerPool
from services.prober.grpc.descriptors import (
    DescriptorError,
    Descriptors,
    GrpcAnswerError,
    GrpcMethod,
    MethodNotFoundError,
)

# The prober copies the JSON in order to judge it.
_JSON_LIMIT: Final = 16 << 20
# Descriptors up to this size are used without a trial. Their names are repeated in the names of everything in them,
# which takes some megabytes at most.
_TRUSTED_BYTES: Final = 8 * 1024
# Making the descriptors of large APIs takes some 10 ms.
_MAX_TRIAL_SECONDS: Final = 0.04


async def decode_answer(
    method: GrpcMethod, answer: bytes, workers: WorkerPool, deadline: float, provider: str
) -> bytes:
    """Return an answer as JSON, by ``deadline`` (monotonic seconds) or soon after.

    Raises GrpcAnswerError, and UnjudgedError and TooCostlyError when it takes too long.
    """
    if len(answer) <= method.at_once:
        return method.answer(answer)
    arguments = (method.files, method.path.removeprefix("/"), answer)
    result = await workers.call(answer_call, arguments, deadline, provider)
    if "error" in result:
        raise GrpcAnswerError(result["error"])
    body: bytes = result["body"]
    return body


def answer_call(files: tuple[bytes, ...], call: str, answer: bytes) -> Mapping[str, object]:
    """Return the JSON of a method's answer as ``body``, or an ``error``."""
    try:
        body = _descriptors(files).method(call).answer(answer)
    except GrpcAnswerError as error:
        return {"error": str(error)}
    if len(body) > _JSON_LIMIT:
        return {"error": f"the answer is larger than {_JSON_LIMIT >> 20} MiB as JSON"}
    return {"body": body}


@lru_cache(maxsize=32)
def _descriptors(files: tuple[bytes, ...]) -> Descriptors:
    return Descriptors(files)


async def reflected_descriptors(
    files: tuple[bytes, ...], call: str, workers: WorkerPool, deadline: float, provider: str
) -> Descriptors:
    """Return the descriptors in files from a server, once a trial has shown that making those of ``call`` is quick.

    Raises DescriptorError, and UnjudgedError when the trial does not end in time.
    """
    if sum(map(len, files)) > _TRUSTED_BYTES:
        too_long = DescriptorError("the server's reflection takes too long to read: give descriptors")
        try:
            result = await workers.call(describe_call, (files, call), deadline, provider)
        except TooCostlyError as error:
            raise too_long from error
        if "error" in result:
            raise DescriptorError(result["error"])
        if result["seconds"] > _MAX_TRIAL_SECONDS:
            raise too_long
    return Descriptors(files)


def describe_call(files: tuple[bytes, ...], call: str) -> Mapping[str, object]:
    """Return the ``seconds`` of processor time that making the descriptors and the method takes, or an ``error``."""
    began = thread_time()
    try:
        Descriptors(files).method(call)
    except MethodNotFoundError:
        pass  # raised again when the method is asked for
    except DescriptorError as error:
        return {"error": str(error)}
    return {"seconds": thread_time() - began}
