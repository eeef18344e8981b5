"""Answers that come from blocks as a whole: exchanges beside probes, traffic, structure and the three bars (docs/method.md §7)."""

from __future__ import annotations

from collections.abc import Callable

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.api.errors import InvalidRequestError, UnavailableError
from services.api.model.read_model import GOVERNMENT_BLOCK, ReadModel, block_key
from services.core.blocks import BlockReader
from services.core.codec import structure_to_message, to_timestamp, traffic_to_message
from services.core.model import (
    LINK_FINDINGS,
    Indicator,
    IndicatorKind,
    Link,
    Reconciliation,
    Register,
    Structure,
    link_findings,
)
from services.register.rounds import INTEGRATION

__all__ = ["Reconciliations", "structure_answer", "three_bars", "traffic_answer"]


class Reconciliations:
    """Each block's reconciliations by link and window, looked up in the newest block there is."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._found: dict[str, tuple[BlockReader, dict[tuple[str, int], Reconciliation]]] = {}

    def of(self, link: Link, window_days: int) -> Reconciliation | None:
        """Return what is known of one link, None where nothing was exchanged and it is not silent."""
        key = block_key(self._model.view.register.consumer(link))
        block = self._model.blocks.get(key)
        if block is None:
            return None
        kept, found = self._found.get(key, (None, {}))
        if kept is not block:
            found = {(one.link, one.window_days): one for one in block.reconciliations}
            self._found[key] = block, found
        return found.get((link.id, window_days))

    def shown(self, finding: int, window_days: int) -> Callable[[str], bool] | None:
        """Return which links, by id, have this LinkFinding; None where all are asked for. Raises RequestError."""
        if not finding:
            return None
        if finding > len(LINK_FINDINGS) or finding < 0:
            raise InvalidRequestError(
                "FINDING_UNKNOWN",
                f"finding {finding} is none: ask for one of {', '.join(LINK_FINDINGS)}",
                finding=str(finding),
            )
        links, wanted = self._model.view.register.links, LINK_FINDINGS[finding - 1]

        def has(link: str) -> bool:
            one = self.of(links[link], window_days)
            return one is not None and wanted in link_findings(one)

        return has


def traffic_answer(model: ReadModel, asked_days: int) -> indicator_service_pb2.GetTrafficResponse:
    """Answer from the government's block. Raises RequestError."""
    days = model.view.window(asked_days)
    block = model.blocks.get(GOVERNMENT_BLOCK)
    found = next((one for one in block.traffic if one.window_days == days), None) if block else None
    if found is None:
        raise UnavailableError(
            "TRAFFIC_UNPUBLISHED",
            f"exchanges of the last {days} days were not looked at yet: retry later",
            window_days=str(days),
        )
    return indicator_service_pb2.GetTrafficResponse(traffic=traffic_to_message(found))


def structure_answer(model: ReadModel, asked_days: int) -> indicator_service_pb2.GetStructureResponse:
    """Answer from the government's block: structure and bars are of one refresh. Raises RequestError."""
    view = model.view
    days = view.window(asked_days)
    block = model.blocks.get(GOVERNMENT_BLOCK)
    found = next((one for one in block.structures if one.window_days == days), None) if block else None
    if block is None or found is None:
        # What the government has no indicator of has no structure either, and this says why.
        model.get(IndicatorKind.GOVERNMENT, "", days)
        raise UnavailableError(
            "STRUCTURE_UNPUBLISHED",
            f"no structure over {days} days is published yet: retry later",
            window_days=str(days),
        )
    government = model.get(IndicatorKind.GOVERNMENT, "", days).indicator
    return indicator_service_pb2.GetStructureResponse(
        structure=structure_to_message(found), three_bars=three_bars(view.register, found, government)
    )


def three_bars(register: Register, found: Structure, government: Indicator) -> indicator_pb2.ThreeBars:
    """Put the latest official round, the declared coverage and the measured index side by side.

    The latest round counts even if it states no integration score: an older one would be passed off as news.
    """
    rounds = () if register.evaluation is None else register.evaluation.rounds
    official = rounds[-1].dimension_percent.get(INTEGRATION) if rounds else None
    measured = government.point
    return indicator_pb2.ThreeBars(
        as_of=to_timestamp(found.as_of),
        register_version=found.register_version,
        official=None if official is None else official / 100,
        official_round=str(rounds[-1].round) if rounds else "",
        declared=found.declared,
        measured=measured,
        verification_ratio=measured / found.declared if measured is not None and found.declared > 0 else None,
        measured_lower=government.lower,
        measured_upper=government.upper,
        window_days=found.window_days,
        links_required=government.links_required,
        links_absent=government.links_absent,
    )
