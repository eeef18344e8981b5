"""What is judged of an answer, and in which order: the one list that judging and explaining share. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.prober.checks.answer import check_answered, check_body, check_headers, check_secure, check_status
from services.prober.checks.document import Document, check_json
from services.prober.checks.failures import check_whole
from services.prober.checks.names import check_names
from services.prober.checks.rpc import check_rpc
from services.prober.expectations import Expectations
from services.prober.observation import Observation

__all__ = ["CHECKS", "Check"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: ``run`` raises WrongError at the first thing wrong, looking at the expectations in ``reads`` in turn.

    ``reads`` empty means that it holds whatever is expected. Where ``decides``, nothing after it can be judged once it
    fails.
    """

    title: str
    run: Callable[[Observation, Expectations, Document], None]
    reads: tuple[str, ...] = ()
    decides: bool = False


CHECKS: Final[tuple[Check, ...]] = (
    Check("answered", lambda seen, _expected, _document: check_whole(seen, headers_judged=False), decides=True),
    Check("call", lambda seen, _expected, _document: check_rpc(seen)),
    Check("answered by the target", lambda seen, expected, _document: check_answered(seen, expected)),
    Check("status", lambda seen, expected, _document: check_status(seen, expected), ("status",)),
    Check("secure", lambda seen, expected, _document: check_secure(seen, expected), ("tls",)),
    Check("header", lambda seen, expected, _document: check_headers(seen, expected), ("headers",)),
    Check("whole", lambda seen, _expected, _document: check_whole(seen, headers_judged=True), decides=True),
    Check("names", lambda seen, expected, _document: check_names(seen, expected), ("rcode", "answers", "authority")),
    Check("body", lambda seen, expected, _document: check_body(seen, expected), ("must_not", "must")),
    Check("json", lambda _seen, expected, document: check_json(document, expected), ("json", "record")),
)
"""Every check but those of time, which come last (services.prober.checks.timing)."""
