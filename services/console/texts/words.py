"""Names the keys of messages in English: stages, verdicts, reasons, sectors and others; catalogues translate these."""

from __future__ import annotations

from collections.abc import Mapping

from services.console.texts.data_items import DATA_ITEMS
from services.core.model import OTHER

_STAGES = {
    "not_connected": "Not connected",
    "not_answered": "Not answered",
    "invalid": "Wrong answer",
    "late": "Too late",
    "stale": "Out of date",
    "ok": "Answered",
}

_VERDICTS = {**_STAGES, "unknown": "Unknown"}

_REASONS = {
    "ok": "answered automatically, correctly and on time",
    "no_measurement": "nothing was measured",
    "prober_error": "the probe itself failed",
    "overrun": "the probe did not finish within its slot",
    "shed": "the prober was overloaded",
    "vantage_blind": "the vantage itself was cut off",
    "own_credential": "our own credential could not be used",
    "egress_denied": "our own rules forbid the address",
    "local_resources": "the prober's machine was exhausted",
    "resolver_failed": "the vantage's own name server failed",
    "proxy_failed": "the proxy on the way out failed",
    "absent": "still on paper",
    "resolve_failed": "the name was not found",
    "resolve_timeout": "the name was not resolved in time",
    "connect_refused": "the connection was refused",
    "connect_timeout": "no connection in time",
    "connect_unreachable": "the network was not reachable",
    "tls_failed": "no encrypted connection",
    "tls_timeout": "no encrypted connection in time",
    "certificate_expired": "the certificate has expired",
    "certificate_not_yet_valid": "the certificate is not yet valid",
    "certificate_name_mismatch": "the certificate is for another name",
    "certificate_untrusted": "the certificate is not trusted",
    "certificate_expiring": "the certificate expires soon",
    "tls_not_spoken": "the other side does not encrypt",
    "starttls_refused": "encryption was refused",
    "answer_timeout": "no answer in time",
    "body_timeout": "the answer did not end in time",
    "connection_reset": "the connection was reset",
    "connection_closed": "the connection was closed",
    "protocol_error": "the protocol was violated",
    "server_error": "the server reported an error",
    "auth_refused": "access was refused",
    "bus_error": "the data bus reported an error",
    "not_serving": "the service reports that it is not serving",
    "unknown_service": "the service is not known there",
    "unimplemented": "the method is not known there",
    "rpc_failed": "the call failed",
    "soap_fault": "the answer was a fault",
    "name_server_failed": "the name server failed",
    "status": "another status than expected",
    "header": "another header than expected",
    "body": "other content than expected",
    "json": "other fields than expected",
    "test_record": "another record than the one asked for",
    "body_limit": "the answer was too long",
    "encoding": "the answer could not be decoded",
    "too_many_redirects": "too many redirections",
    "redirect_refused": "redirected to where it must not",
    "age_unreadable": "the age of the data could not be read",
    "check_error": "a check could not be run",
    "xml": "other XML than expected",
    "json_schema": "the answer does not have the agreed form",
    "rcode": "another response code than expected",
    "records": "other records than expected",
    "line": "the expected line did not come",
    "capture": "a value that later steps need was missing",
    "not_refused": "data that must be refused was given",
    "not_secure": "the answer came without encryption",
    "late": "slower than the limit",
    "stale": "the data was older than the limit",
    OTHER: "a reason that only a newer version can name",
}

_SECTORS = {
    "agriculture": "Agriculture",
    "culture": "Culture",
    "defence": "Defence",
    "digital": "Communications and digital",
    "economy": "Economy and finance",
    "education": "Education and science",
    "energy": "Energy and environment",
    "farming": "Agriculture",
    "foreign": "Foreign affairs",
    "health": "Health",
    "industry": "Industry and trade",
    "interior": "Interior",
    "justice": "Justice",
    "planning": "Planning and budget",
    "transport": "Roads and transport",
    "welfare": "Work and welfare",
}

_LEVELS = {
    "0": "isolated",
    "1": "some inquiry was answered",
    "2": "all connect",
    "3": "integrated",
    "4": "seamless",
}

_CHANNELS = {"unified": "the unified portal", "own": "its own portal", "both": "both portals"}

_ROLES = {"public": "the public", "agency": "an agency", "auditor": "auditor"}

_ANNOUNCEMENTS = {
    "incident": "Incident",
    "maintenance": "Maintenance",
    "change_of_method": "Change of method",
    OTHER: "Announcement",
}

_OBJECTIONS = {
    "open": "Open",
    "accepted": "Accepted",
    "rejected": "Rejected",
    OTHER: "A state that only a newer version can name",
}

_REVIEWS = {"confirmed": "Confirmed", "dismissed": "Dismissed"}

_KINDS = {"sector": "Sector", "agency": "Agency", "service": "Service", "link": "Inquiry"}


_PHASES = {
    "resolve": "Name look-up",
    "connect": "Connection",
    "tls": "Encryption",
    "processing": "Waiting for the answer",
    "transfer": "Transfer",
}

WORDS: Mapping[str, Mapping[str, str]] = {
    "stage": _STAGES,
    "verdict": _VERDICTS,
    "reason": _REASONS,
    "sector": _SECTORS,
    "level": _LEVELS,
    "channel": _CHANNELS,
    "role": _ROLES,
    "announcement": _ANNOUNCEMENTS,
    "objection": _OBJECTIONS,
    "review": _REVIEWS,
    "kind": _KINDS,
    "phase": _PHASES,
    "item": DATA_ITEMS,
}
"""The words by vocabulary and key."""
