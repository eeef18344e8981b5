"""How a check says that an answer is not what it should be."""

from __future__ import annotations

from services.core.model import Reason

__all__ = ["CheckFailedError"]


class CheckFailedError(Exception):
    """The first thing found wrong with an answer; ``detail`` holds neither secrets nor values found."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
