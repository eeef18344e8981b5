"""Errors that end a command or a process, in one tree. Errors that a package handles itself are defined in that package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.core.texts import plural


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong with an input: where (file, 1-based line, column and record; 0 when there is none) and what."""

    file: str
    line: int
    column: int
    record: int = field(default=0, kw_only=True)  # here, because faults are sorted by their fields in this order
    reason: str

    def __str__(self) -> str:
        place = ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])
        return f"{place}: record {self.record}: {self.reason}" if self.record else f"{place}: {self.reason}"


class PeyvandError(Exception):
    """A failure that a person can read in one sentence: what failed, on what, what to do. The exit code is 1."""


class InputError(PeyvandError):
    """Bad input, refused whole. ``faults`` lists each fault once, in file order."""

    def __init__(self, what: str, faults: Iterable[Fault]) -> None:
        self.what = what
        self.faults = tuple(sorted(set(faults)))
        super().__init__(f"{what} is refused: {plural(len(self.faults), 'fault')}")

    def report(self) -> str:
        """Return every fault and the message, one per line."""
        return "\n".join([*(str(fault) for fault in self.faults), str(self)])


class SettingsError(PeyvandError):
    """A flag, environment variable or settings file cannot be used."""


class BusError(PeyvandError):
    """A request to the message bus failed."""


class NoStreamError(BusError):
    """No stream takes a request: none was created, or it is gone."""


class NotLastError(BusError):
    """A message was not stored, because another one is the last on its subject: ``last`` (None if that is not known)."""

    def __init__(self, message: str, last: int | None) -> None:
        super().__init__(message)
        self.last = last


class TornValueError(BusError):
    """Parts of a value too large for one message are missing or damaged."""


class GapError(BusError):
    """Messages between the last one read and the first one still kept are gone."""


class StateError(PeyvandError):
    """A component's own state on disk cannot be trusted."""


class ListenError(PeyvandError):
    """An address cannot be listened on, most often because another process does."""


class ApiError(PeyvandError):
    """The api refused or did not answer. ``reason`` is the api's constant for programs, empty when it gave none."""

    def __init__(self, message: str, reason: str = "") -> None:
        self.reason = reason
        super().__init__(message)


class ApiUnavailableError(ApiError):
    """The api does not answer in time, or has no answer yet: the same call may succeed later."""


class ApiNotFoundError(ApiError):
    """The register in force knows no such entity."""


class ApiNotApplicableError(ApiError):
    """The entity is known, but has no such answer."""


class ApiForbiddenError(ApiError):
    """The caller's role may not see it, or not act for another."""


def reason_of(error: Exception) -> str:
    """Return why a file cannot be used, without its name and Python's numbers: the sentence around it names the file."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
