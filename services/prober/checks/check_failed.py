"""The exception by which a check reports that an answer is wrong."""

from __future__ import annotations

from services.core.model import Reason


class CheckFailedError(Exception):
    """The first thing wrong with an answer; ``detail`` holds neither secrets nor values of the answer."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
