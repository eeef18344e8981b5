"""Every case of the conformance suite. Not a test itself."""

from __future__ import annotations

import cases_body
import cases_certificates
import cases_content
import cases_form
import cases_http
import cases_names
import cases_rpc
import cases_sent
import cases_talk
import cases_tls
import cases_way
from conformance_case import Case

__all__ = ["CASES"]

CASES: tuple[Case, ...] = (
    *cases_http.CASES,
    *cases_sent.CASES,
    *cases_body.CASES,
    *cases_content.CASES,
    *cases_form.CASES,
    *cases_tls.CASES,
    *cases_certificates.CASES,
    *cases_talk.CASES,
    *cases_rpc.CASES,
    *cases_names.CASES,
    *cases_way.CASES,
)
"""In the order of the behaviours they are about."""
