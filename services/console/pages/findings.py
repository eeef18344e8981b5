"""Lists unusual traffic that the exchanges of agencies show, as sentences and as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.console.pages.page import Page, Visit
from services.console.queries import NamedLink, collected, named_links
from services.console.texts import Row, iso
from services.core.codec import finding_from_message
from services.core.model import MOST_FLOWS

REVIEWS = {2: "confirmed", 3: "dismissed"}
"""Reviews of findings by their number in the messages; any other is open."""

_MOST_LINKS = MOST_FLOWS
"""How many inquiries of a finding are named: as many as it lists flows."""


@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding in sentences of the reader's language.

    ``ended`` is None while it goes on, ``note`` is why it has its review. ``links`` are the first inquiries affected,
    ``more_links`` how many others are known. With ``has_more`` the finding has more flows than are listed, so that
    ``links`` and ``agencies`` are not complete.
    """

    id: str
    since: int
    ended: int | None
    text: str
    review: str
    note: str
    agencies: tuple[str, ...]
    links: tuple[NamedLink, ...]
    more_links: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class FindingsView:
    """Ongoing and past findings, each newest first, and how many of them may be false."""

    going_on: tuple[FindingView, ...]
    over: tuple[FindingView, ...]
    false_per_week: float
    confirmed: int
    dismissed: int


async def findings_of(visit: Visit, messages: Iterable[Any]) -> tuple[FindingView, ...]:
    """Return the findings of messages, with their inquiries by name if the reader sees those."""
    found = tuple(messages)
    links = (link for one in found for link in one.links[:_MOST_LINKS])
    named = await named_links(visit.api, links) if visit.sees_links else {}
    return tuple(_finding(visit, one, named) for one in found)


def _finding(visit: Visit, message: Any, named: Mapping[str, NamedLink]) -> FindingView:
    links = tuple(named[link] for link in message.links[:_MOST_LINKS] if link in named)
    return FindingView(
        id=message.id,
        since=message.since.seconds,
        ended=message.ended_at.seconds if message.HasField("ended_at") else None,
        text=visit.either(message.sentence_en, message.sentence_fa),
        review=REVIEWS.get(message.review, "open"),
        note=message.note,
        agencies=tuple(message.agencies),
        links=links,
        more_links=len(message.links) - len(links) if visit.sees_links else 0,
        has_more=message.flow_count > MOST_FLOWS,
    )


async def gather(visit: Visit) -> FindingsView:
    """Fetch all findings that the reader sees."""
    pages = await collected(visit.api.findings(ended=True))
    findings = await findings_of(visit, (one for page in pages for one in page.findings))
    last = pages[-1]
    return FindingsView(
        going_on=tuple(one for one in findings if one.ended is None),
        over=tuple(one for one in findings if one.ended is not None),
        false_per_week=last.false_findings_per_week,
        confirmed=last.confirmed,
        dismissed=last.dismissed,
    )


COLUMNS = (
    *("id", "kind", "scope", "subject", "since", "found_at", "ended_at", "usual"),
    *("seen", "expected", "expected_low", "expected_high", "chance", "probes", "review", "note"),
    *("agencies", "links", "sentence_en", "sentence_fa", "as_of"),
)
"""The columns of ``finding_rows``."""


async def finding_rows(visit: Visit) -> list[Row]:
    """Return all findings that the reader sees, as rows."""
    return [
        {**_row(one), "as_of": iso(page.as_of.seconds)}
        for page in await collected(visit.api.findings(ended=True))
        for one in page.findings
    ]


def _row(message: Any) -> Row:
    try:
        finding = finding_from_message(message)
    except ValueError:  # of a kind that a newer api knows
        named = dict.fromkeys(("kind", "scope", "probes", "review"))
    else:
        named = {name: str(getattr(finding, name)) for name in ("kind", "scope", "probes", "review")}
    same = ("id", "subject", "usual", "seen", "expected", "expected_low", "expected_high", "chance", "note")
    return {
        **{name: getattr(message, name) for name in (*same, "sentence_en", "sentence_fa")},
        **named,
        "since": iso(message.since.seconds),
        "found_at": iso(message.found_at.seconds),
        "ended_at": iso(message.ended_at.seconds) if message.HasField("ended_at") else None,
        "agencies": " ".join(message.agencies),
        "links": " ".join(message.links),
    }


PAGE = Page("findings", "/findings", gather)
