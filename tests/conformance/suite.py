"""Every case of the conformance suite. Not a test itself."""

from __future__ import annotations

from tests.conformance.case import Case
from tests.conformance.cases import (
    body,
    certificates,
    content,
    form,
    grpc_health,
    http_status,
    names,
    proxies,
    sent,
    talk,
    tls,
    way,
)

__all__ = ["CASES"]

CASES: tuple[Case, ...] = (
    *http_status.CASES,
    *sent.CASES,
    *body.CASES,
    *content.CASES,
    *form.CASES,
    *tls.CASES,
    *certificates.CASES,
    *talk.CASES,
    *grpc_health.CASES,
    *names.CASES,
    *way.CASES,
    *proxies.CASES,
)
"""In the order of their behaviours."""
