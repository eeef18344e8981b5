"""Lists findings about exchanges, with sentences, agencies and links by the register in force, as callers see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from peyvand.v1 import finding_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.access import Role, current_caller
from services.api.answers.finding_sentences import PartyNames, finding_sentences
from services.api.errors import InvalidRequestError, UnavailableError
from services.api.model import ReadModel, RegisterView
from services.api.paging import page_of
from services.core.blocks import BlockReader
from services.core.bus import GOVERNMENT_KEY
from services.core.codec import finding_from_message, to_timestamp
from services.core.model import IndicatorKind, Parties, Register, in_language, split_flow
from services.register.attribution import UNMAPPED, Attribution

_OF_AGENCIES = (finding_pb2.FINDING_SCOPE_PROVIDER, finding_pb2.FINDING_SCOPE_CONSUMER)
"""Scopes whose subject is an agency or, where the system belongs to no agency, the system itself."""

_LATEST = 1 << 36
"""Later than every moment, so that moments subtracted from it sort the newest first."""


@dataclass(frozen=True, slots=True)
class _Attributed:
    """A finding as those see it who see everything, and the agencies and links of each of its flows."""

    message: finding_pb2.Finding
    flows: Mapping[str, Attribution]
    links: Mapping[str, frozenset[str]]
    is_public: bool
    """Whether everybody may see it: it is about a bus or an agency of the register, and names no system."""

    @property
    def key(self) -> str:
        """A key by which findings are ordered, the newest first."""
        return f"{_LATEST - self.message.since.seconds:011d} {self.message.id}"

    def for_caller(self) -> finding_pb2.Finding | None:
        """Return the part of it that the current caller may see, None when there is none."""
        caller = current_caller()
        if caller.sees_everything:
            return self.message
        own = caller.role is Role.AGENCY and caller.agency in self.message.agencies
        if not own and not self.is_public:
            return None
        flows = [
            flow for flow, found in self.flows.items() if own and caller.agency in (found.consumer, found.provider)
        ]
        shown = finding_pb2.Finding()
        shown.CopyFrom(self.message)
        for name in ("flows", "links", *(() if own else ("note",))):
            shown.ClearField(name)
        shown.flows.extend(flows)
        shown.links.extend(sorted(frozenset().union(*(self.links[flow] for flow in flows))))
        return shown


class FindingAnswers:
    """Answers from the findings of the government's block; they are attributed once for each block and register."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._source: tuple[RegisterView | None, BlockReader | None] = (None, None)
        self._attributed: dict[str, _Attributed] = {}

    def going_on(self, *, link: str = "", agency: str = "") -> Iterator[finding_pb2.Finding]:
        """Yield the ongoing findings that the caller may see, newest first, of one link or agency unless it is ""."""
        wanted = messages.ListFindingsRequest(link=link, agency=agency)
        for one in self._all().values():
            if _matches(wanted, one.message):
                shown = one.for_caller()
                if shown is not None:
                    yield shown

    def list_findings(self, request: messages.ListFindingsRequest) -> messages.ListFindingsResponse:
        """Return one page of findings, the newest first. Raises RequestError."""
        view = self._model.view
        if request.kind not in finding_pb2.FindingKind.values():
            raise InvalidRequestError(
                "KIND_UNKNOWN", f"kind {request.kind} is none of a finding", kind=str(request.kind)
            )
        if request.agency:
            view.entity(IndicatorKind.CONSUMER, request.agency)
        if request.link:
            view.entity(IndicatorKind.LINK, request.link)
        block = self._model.government_block()
        if block is None:
            raise UnavailableError("FINDINGS_UNPUBLISHED", "no index is published yet: retry later")
        attributed = self._all()
        shown = {key: message for key, one in attributed.items() if (message := one.for_caller()) is not None}
        page = page_of(
            list(attributed),
            ("ListFindings", str(request.kind), request.agency, request.link, str(request.ended)),
            size=request.page_size,
            token=request.page_token,
            visible=lambda key: key in shown and _matches(request, attributed[key].message),
        )
        reviews = Counter(one.message.review for one in attributed.values())
        findings, next_token = page.bounded(shown[key] for key in page.ids)
        return messages.ListFindingsResponse(
            findings=findings,
            next_page_token=next_token,
            false_findings_per_week=view.register.policy.findings.false_findings_per_week,
            confirmed=reviews[finding_pb2.FINDING_REVIEW_CONFIRMED],
            dismissed=reviews[finding_pb2.FINDING_REVIEW_DISMISSED],
            as_of=to_timestamp(block.as_of),
        )

    def _all(self) -> Mapping[str, _Attributed]:
        """Return every finding by its key, in the order of keys."""
        view, block = self._model.view, self._model.blocks.get(GOVERNMENT_KEY)
        if self._source[0] is not view or self._source[1] is not block:
            published = () if block is None else block.findings
            found = [one for message in published if (one := _attribute(message, view)) is not None]
            self._attributed = {one.key: one for one in sorted(found, key=lambda one: one.key)}
            self._source = view, block
        return self._attributed


def findings_by_agency(view: RegisterView, block: BlockReader) -> Counter[str]:
    """Count the ongoing findings of each agency that they touch."""
    going_on = (one for one in block.findings if not one.HasField("ended_at"))
    return Counter(agency for one in going_on for agency in _agencies(one, _attributions(one, view), view.register))


def _matches(request: messages.ListFindingsRequest, message: finding_pb2.Finding) -> bool:
    return (
        request.kind in (finding_pb2.FINDING_KIND_UNSPECIFIED, message.kind)
        and (not request.agency or request.agency in message.agencies)
        and (not request.link or request.link in message.links)
        and (request.ended or not message.HasField("ended_at"))
    )


def _attribute(found: finding_pb2.Finding, view: RegisterView) -> _Attributed | None:
    """Return a finding with its agencies, links and sentences; None if only a newer version knows its kind or scope."""
    try:
        finding = finding_from_message(found)
    except ValueError:
        return None
    register, flows = view.register, _attributions(found, view)
    links = {flow: view.attributor.links(*split_flow(flow)[1:]) for flow in found.flows}
    message = finding_pb2.Finding()
    message.CopyFrom(found)
    message.agencies.extend(sorted(_agencies(found, flows, register)))
    message.links.extend(sorted(frozenset().union(*links.values())))
    zone = ZoneInfo(register.policy.timezone)
    for language in ("en", "fa"):
        sentence = finding_sentences(finding, _parties(found, flows, register, language), zone, language)
        setattr(message, f"sentence_{language}", sentence)
    of_agency = found.scope in _OF_AGENCIES and found.subject in register.agencies
    return _Attributed(message, flows, links, of_agency or found.scope == finding_pb2.FINDING_SCOPE_BUS)


def _attributions(found: finding_pb2.Finding, view: RegisterView) -> dict[str, Attribution]:
    """Return the agencies of each flow that is listed under a finding."""
    parties = {flow: Parties.of(*split_flow(flow)[1:], meta=False) for flow in found.flows}
    return {flow: view.attributor.attribute(one) for flow, one in parties.items()}


def _agencies(found: finding_pb2.Finding, flows: Mapping[str, Attribution], register: Register) -> set[str]:
    """Return every agency that a finding touches."""
    of_subject = {found.subject} & register.agencies.keys()
    return of_subject | ({agency for one in flows.values() for agency in (one.consumer, one.provider)} - {UNMAPPED})


def _parties(
    found: finding_pb2.Finding, flows: Mapping[str, Attribution], register: Register, language: str
) -> PartyNames:
    """Return the names of the parties of a finding."""

    def name(agencies: Iterable[str], other: str) -> str:
        named = {agency for agency in agencies if agency in register.agencies}
        if len(named) != 1:
            return other
        agency = register.agencies[named.pop()]
        return in_language(language, agency.name_en, agency.name_fa)

    bus, client, service = split_flow(found.subject if " " in found.subject else f"{found.subject}  ")
    if found.scope == finding_pb2.FINDING_SCOPE_SERVICE:
        bus, _, service = found.subject.partition(" ")
    code, provider = service.rpartition("/")[2], service.rpartition("/")[0]
    consumers, providers = [one.consumer for one in flows.values()], [one.provider for one in flows.values()]
    if found.scope == finding_pb2.FINDING_SCOPE_PROVIDER:
        providers, provider = [found.subject], found.subject
    elif found.scope == finding_pb2.FINDING_SCOPE_CONSUMER:
        consumers, client = [found.subject], found.subject
    return PartyNames(consumer=name(consumers, client), provider=name(providers, provider), service=code, bus=bus)
