"""Gives the headers of every answer: what a browser may load, frame, guess and tell others."""

from __future__ import annotations

from collections.abc import Mapping

YEAR_SECONDS = 31536000

_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
"""Everything from this site and nothing inline, so that even a name that was not escaped could run nothing."""


def security_headers(*, encrypted: bool, framed: bool = False) -> Mapping[str, str]:
    """Return the headers; pages of other sites may show ``framed`` answers, which are badges."""
    headers = {
        "content-security-policy": _POLICY.format(ancestors="*" if framed else "'none'"),
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "cross-origin" if framed else "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
    }
    if encrypted:
        headers["strict-transport-security"] = f"max-age={YEAR_SECONDS}"
    return headers
