"""Traffic that is not as it should be: what the exchanges of agencies show, a sentence each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.console.pages.page import Page, Visit
from services.console.queries import collected

REVIEWS = {2: "confirmed", 3: "dismissed"}
"""Reviews of findings by their number in the messages; any other is open."""


@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding as sentences in the reader's language; ``ended`` is None while it goes on, ``note`` why it has its review."""

    id: str
    since: int
    found: int
    ended: int | None
    text: str
    review: str
    note: str
    agencies: tuple[str, ...]
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FindingsView:
    """Findings that go on and that are over, each the newest first, and how many of them may be false."""

    going_on: tuple[FindingView, ...]
    over: tuple[FindingView, ...]
    false_per_week: float
    confirmed: int
    dismissed: int


def finding_of(visit: Visit, message: Any) -> FindingView:
    """Return the finding of a message."""
    return FindingView(
        id=message.id,
        since=message.since.seconds,
        found=message.found_at.seconds,
        ended=message.ended_at.seconds if message.HasField("ended_at") else None,
        text=visit.either(message.sentence_en, message.sentence_fa),
        review=REVIEWS.get(message.review, "open"),
        note=message.note,
        agencies=tuple(message.agencies),
        links=tuple(message.links) if visit.sees_links else (),
    )


async def gather(visit: Visit) -> FindingsView:
    """Fetch all findings that the reader sees."""
    pages = await collected(visit.api.findings(ended=True))
    findings = [finding_of(visit, one) for page in pages for one in page.findings]
    last = pages[-1]
    return FindingsView(
        going_on=tuple(one for one in findings if one.ended is None),
        over=tuple(one for one in findings if one.ended is not None),
        false_per_week=last.false_findings_per_week,
        confirmed=last.confirmed,
        dismissed=last.dismissed,
    )


PAGE = Page("findings", "/findings", gather, has_window=False)
