"""Defines the errors with which the api refuses a request. ``rpc/statuses.py`` gives each class its gRPC status."""

from __future__ import annotations


class RequestError(Exception):
    """A request that cannot be answered.

    ``reason`` is a constant for programs and becomes ``ErrorInfo.reason``. The message is one sentence for people.
    ``metadata`` names what the request was about and becomes ``ErrorInfo.metadata``.
    """

    def __init__(self, reason: str, message: str, **metadata: str) -> None:
        self.reason = reason
        self.metadata = metadata
        super().__init__(message)


class InvalidRequestError(RequestError):
    """The request cannot be answered as it is, whatever the register holds."""


class UnknownEntityError(RequestError):
    """The register in force has no such entity."""


class NotApplicableError(RequestError):
    """The entity has no such answer, now or later."""


class UnavailableError(RequestError):
    """There is no answer at the moment; the same request may succeed later."""


class NotVisibleError(RequestError):
    """The caller's role may not see it."""


class UnauthenticatedError(RequestError):
    """The caller's certificate is not accepted."""


class ExhaustedError(RequestError):
    """The caller uses as much of the api as one caller may."""
