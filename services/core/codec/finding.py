"""Encodes and decodes findings about exchanges."""

from __future__ import annotations

from peyvand.v1 import finding_pb2
from services.core.codec.units import copied_fields, parse_message, to_timestamp, whole_seconds
from services.core.model import Finding, FindingKind, FindingScope, ProbeView, Review

_plain_fields = copied_fields(Finding, "kind", "scope", "since", "found_at", "ended_at", "probes", "review")


def finding_to_message(finding: Finding) -> finding_pb2.Finding:
    """Return the message, without the fields that the api adds."""
    return finding_pb2.Finding(
        kind=finding_pb2.FindingKind.Value(f"FINDING_KIND_{finding.kind.name}"),
        scope=finding_pb2.FindingScope.Value(f"FINDING_SCOPE_{finding.scope.name}"),
        since=to_timestamp(finding.since),
        found_at=to_timestamp(finding.found_at),
        ended_at=None if finding.ended_at is None else to_timestamp(finding.ended_at),
        probes=finding_pb2.ProbeView.Value(f"PROBE_VIEW_{finding.probes.name}"),
        review=finding_pb2.FindingReview.Value(f"FINDING_REVIEW_{finding.review.name}"),
        **_plain_fields(finding),
    )


def decode_finding(data: bytes) -> Finding:
    """Return the finding of a message. Raises ValueError when it is not one, or this version does not know its kind."""
    return finding_from_message(parse_message(finding_pb2.Finding, data))


def finding_from_message(message: finding_pb2.Finding) -> Finding:
    """Return the finding. Raises ValueError for an impossible time, or a kind, scope or review of a newer version."""
    return Finding(
        kind=FindingKind(finding_pb2.FindingKind.Name(message.kind).removeprefix("FINDING_KIND_").lower()),
        scope=FindingScope(finding_pb2.FindingScope.Name(message.scope).removeprefix("FINDING_SCOPE_").lower()),
        since=whole_seconds(message.since),
        found_at=whole_seconds(message.found_at),
        ended_at=whole_seconds(message.ended_at) if message.HasField("ended_at") else None,
        probes=ProbeView(finding_pb2.ProbeView.Name(message.probes).removeprefix("PROBE_VIEW_").lower()),
        review=Review(finding_pb2.FindingReview.Name(message.review).removeprefix("FINDING_REVIEW_").lower()),
        **{**_plain_fields(message), "flows": tuple(message.flows)},
    )
