"""Renders findings for ``peyvand findings`` and ``peyvand exchange``. Pure: messages or values in, renderables out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo

from rich.console import Group
from rich.table import Table
from rich.text import Text

from peyvand.v1 import finding_pb2, indicator_service_pb2
from services.cli.render.format import new_table, number, text, when, word
from services.core.model import Finding, FindingKind, FindingScope
from services.core.texts import plural

_REVIEWS = {finding_pb2.FINDING_REVIEW_CONFIRMED: "confirmed", finding_pb2.FINDING_REVIEW_DISMISSED: "dismissed"}


def findings_view(answer: indicator_service_pb2.ListFindingsResponse, zone: tzinfo, language: str) -> Group:
    """Return the findings as sentences in a language, and how far to trust them; times are in ``zone``."""
    budget = f"{answer.false_findings_per_week:g}"
    heading = plural(len(answer.findings), "finding")
    reviewed = answer.confirmed + answer.dismissed
    said = f"; of {plural(reviewed, 'reviewed finding')} {answer.confirmed} confirmed" if reviewed else ""
    return Group(
        Text(f"{heading} about exchanges as of {when(answer.as_of, zone)} {zone}", "bold"),
        *finding_lines(answer.findings, language),
        Text(
            f"Findings that are mere chance are kept to {budget} a week in the whole government, as the policy states{said}.",
            "dim",
        ),
    )


def finding_lines(findings: Iterable[finding_pb2.Finding], language: str = "en") -> Iterator[Text]:
    """Yield a line for each finding: its id, its sentence, and its review."""
    for finding in findings:
        style = "dim" if finding.HasField("ended_at") else ""
        review = _REVIEWS.get(finding.review)
        said = f" {review.capitalize()}: {finding.note}" if review and finding.note else f" {review or ''}".rstrip()
        yield Text.assemble(
            (f"{finding.id} ", "cyan"), (getattr(finding, f"sentence_{language}"), style), (said, "green")
        )


def findings_table(findings: Iterable[Finding], zone: tzinfo) -> Table:
    """Return findings in the counts of a file; times are in ``zone``."""
    times, amounts = map(word, ("since", "until")), map(number, ("seen", "expected"))
    table = new_table(None, word("finding"), text("stream", ratio=1), *times, *amounts, word("by luck"))
    for finding in findings:
        share = finding.kind is FindingKind.PROVIDER_FAILURES
        of = "" if finding.scope is FindingScope.FLOW else f"{finding.flow_count} of "
        table.add_row(
            "failures" if share else finding.kind.value,
            f"{of}{finding.subject}",
            _moment(finding.since, zone),
            "" if finding.ended_at is None else _moment(finding.ended_at, zone),
            _amount(finding.seen, share=share),
            f"{_amount(finding.expected_low, share=share)}-{_amount(finding.expected_high, share=share)}",
            f"{finding.chance:.0e}",
        )
    return table


def _moment(seconds: int, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M}"


def _amount(value: float, *, share: bool) -> str:
    return f"{100 * value:.1f} %" if share else f"{value:,.0f}"
